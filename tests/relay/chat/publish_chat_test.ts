// A turn that is published to the topic of its chat.
import { once } from "node:events";
import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/fetch/clock.ts";
import {
  createChatToken,
  publishChat,
  type PublishChatOptions,
} from "../../../relay/chat/server/mod.ts";
import { TURN_PART } from "../../../src/model/wires/ui/turn.ts";
import { readEvents } from "../../../src/sse/read_events.ts";
import { ManualAnswer, textOf } from "../../support/chat/manual_answer.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { startStoredRelay } from "../../support/relay/stores.ts";
import { LIMIT, until, within } from "../../support/within.ts";
import { freePort } from "../../support/http/free_port.ts";

const MESSAGE = {
  id: "u1",
  role: "user",
  parts: [{ type: "text", text: "?" }],
};

const KEY = "a secret of the relay that is long enough";

/** A turn, and what becomes of it. */
class Turn {
  readonly answer = new ManualAnswer();
  readonly errors: unknown[] = [];
  readonly cancels: (string | undefined)[] = [];
  done: Promise<void> = Promise.resolve();
  readonly response: Promise<Response>;

  constructor(relay: string, options: Partial<PublishChatOptions> = {}) {
    this.response = publishChat({
      relay,
      topic: "chat:ada:7",
      message: MESSAGE,
      stream: this.answer.stream,
      onError: (error) => {
        this.errors.push(error);
        return "Words for users.";
      },
      onCancel: (reason) => this.cancels.push(reason),
      waitUntil: (done) => this.done = done,
      ...options,
    });
  }
}

/** The data of the events that a response has. */
async function dataOf(response: Response): Promise<string[]> {
  const events = await within(
    Array.fromAsync(readEvents(response.body!)), // a stream has a body
    LIMIT,
    "the end of the stream",
  );
  return events.map(({ data }) => data);
}

function chunksOf(data: readonly string[]): { type: string }[] {
  return data.filter((text) => text !== "[DONE]").map((text) =>
    JSON.parse(text)
  );
}

async function followed(relay: TestRelay): Promise<string[]> {
  const token = await createChatToken({ key: KEY, user: "ada" });
  const response = await relay.request("/topics/chat:ada:7?raw", {
    headers: { authorization: `Bearer ${token}` },
  });
  return await dataOf(response);
}

function topicOf({ relay }: TestRelay) {
  return relay.topics.get("chat:ada:7");
}

async function reaches(relay: TestRelay, next: number): Promise<void> {
  await until(
    () => topicOf(relay)?.log.next === next || undefined,
    LIMIT,
    `event ${next - 1}`,
  );
}

Deno.test("publishChat gives the caller and the topic one stream, with the message first", async () => {
  await using relay = await startRelay();
  const turn = new Turn(relay.url);
  const response = await turn.response;
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("x-vercel-ai-ui-message-stream"), "v1");
  assertEquals(response.headers.get("rivulet-topic"), "chat:ada:7");
  assertEquals(
    response.headers.get("rivulet-epoch"),
    topicOf(relay)?.log.epoch,
  );
  turn.answer.say("Hel", "lo");
  turn.answer.finish();
  const data = await dataOf(response);
  await within(turn.done, LIMIT, "the end");
  assertEquals(JSON.parse(data[0]!), {
    type: TURN_PART,
    transient: true,
    data: { message: MESSAGE },
  });
  assertEquals(textOf(chunksOf(data)), "Hello");
  assertEquals(data.at(-1), "[DONE]");
  assertEquals(await followed(relay), data);
  assertEquals(topicOf(relay)?.verdict?.status, "complete");
  assertEquals(turn.errors, []);
});

Deno.test("publishChat renews the topic for each turn, and begins nothing while one goes on", async () => {
  await using relay = await startRelay();
  const epochs = new Set<string | null>();
  for (let number = 0; number < 2; number++) {
    const turn = new Turn(relay.url);
    const response = await turn.response;
    epochs.add(response.headers.get("rivulet-epoch"));
    const second = new Turn(relay.url);
    const refused = await second.response;
    assertEquals(refused.status, 409);
    assertEquals(
      await refused.text(),
      "The answer to the last message is still being written.",
    );
    assertEquals(second.answer.begun, 0);
    turn.answer.finish();
    await dataOf(response);
    await within(turn.done, LIMIT, "the end");
  }
  assertEquals(epochs.size, 2);
});

Deno.test("publishChat goes on when its caller leaves", async () => {
  await using relay = await startRelay();
  const turn = new Turn(relay.url);
  const response = await turn.response;
  await response.body?.cancel();
  turn.answer.say("all", " of it");
  turn.answer.finish();
  await within(turn.done, LIMIT, "the end");
  assertEquals(textOf(chunksOf(await followed(relay))), "all of it");
  assertEquals(turn.answer.signal?.aborted, false);
});

Deno.test("publishChat stops the generation of a topic that is cancelled, while it says nothing", async () => {
  await using relay = await startRelay();
  const turn = new Turn(relay.url);
  const response = await turn.response;
  turn.answer.say("Hel");
  await reaches(relay, 5);
  const aborted = new Promise<void>((resolve) =>
    turn.answer.signal?.addEventListener("abort", () => resolve())
  );
  topicOf(relay)?.end("cancelled", "enough");
  await within(aborted, LIMIT, "the signal");
  assertEquals(turn.cancels, ["enough"]);
  turn.answer.chunk({ type: "abort" });
  turn.answer.close();
  const chunks = chunksOf(await dataOf(response));
  assertEquals(chunks.filter(({ type }) => type === "abort").length, 1);
  await within(turn.done, LIMIT, "the end");
  assertEquals(turn.errors, []);
  await answeredEarly();
});

Deno.test("publishChat hangs up on a generation that does not listen to its signal", async () => {
  await using relay = await startRelay();
  const turn = new Turn(relay.url);
  const response = await turn.response;
  await reaches(relay, 4);
  topicOf(relay)?.end("cancelled");
  const chunks = chunksOf(await dataOf(response));
  assertEquals(chunks.at(-1)?.type, "abort");
  assert(turn.answer.isCancelled);
  await within(turn.done, LIMIT, "the end");
  await answeredEarly();
});

Deno.test("publishChat hangs up on a generation that begins after its turn was stopped", async () => {
  await using relay = await startRelay();
  const answer = new ManualAnswer();
  const asked = Promise.withResolvers<AbortSignal>();
  const turn = new Turn(relay.url, {
    stream: async (signal) => {
      asked.resolve(signal);
      // The model takes its time, and does not listen.
      if (!signal.aborted) await once(signal, "abort");
      return answer.stream(signal);
    },
    clock: {
      ...systemClock,
      setTimeout: (callback, delay) =>
        systemClock.setTimeout(callback, Math.min(delay, 10)),
    },
  });
  const response = await turn.response;
  await within(asked.promise, LIMIT, "the generation");
  topicOf(relay)?.end("cancelled", "enough");
  const chunks = chunksOf(await dataOf(response));
  assertEquals(chunks.at(-1)?.type, "abort");
  assert(answer.isCancelled);
  await within(turn.done, LIMIT, "the end");
  assertEquals([turn.cancels, turn.errors], [["enough"], []]);
  await answeredEarly();
});

Deno.test("publishChat ends a topic as its stream has ended", async () => {
  const cases: [string, (answer: ManualAnswer) => void, unknown][] = [
    ["an error of the model", (answer) => {
      answer.chunk({ type: "error", errorText: "Too many requests." });
      answer.close();
    }, { status: "failed", reason: "Too many requests." }],
    ["an exception", (answer) => {
      answer.fail(new Error("key sk-secret is wrong"));
    }, { status: "failed", reason: "Words for users." }],
    ["a limit", (answer) => {
      answer.chunk({ type: "finish", finishReason: "length" });
      answer.close();
    }, { status: "complete", reason: "max_output_tokens" }],
    ["no last word", (answer) => {
      answer.close();
    }, {
      status: "truncated",
      reason: "The answer ended without finish or [DONE]",
    }],
    ["an abort of its own", (answer) => {
      answer.chunk({ type: "abort" });
      answer.close();
    }, { status: "cancelled" }],
  ];
  for (const [name, end, wanted] of cases) {
    await using relay = await startRelay();
    const turn = new Turn(relay.url);
    const response = await turn.response;
    end(turn.answer);
    const data = await dataOf(response);
    assert(!data.join().includes("sk-secret"), name);
    await within(turn.done, LIMIT, name);
    assertEquals(await topicOf(relay)?.ended, wanted as never, name);
  }
});

Deno.test("publishChat fails the topic if there is no answer to begin with", async () => {
  await using relay = await startRelay();
  const turn = new Turn(relay.url, {
    stream: () => Promise.reject(new Error("the database is away")),
  });
  const chunks = chunksOf(await dataOf(await turn.response));
  assertEquals(chunks.at(-1), {
    type: "error",
    errorText: "Words for users.",
  } as { type: string });
  await within(turn.done, LIMIT, "the end");
  assertEquals(topicOf(relay)?.verdict?.status, "failed");
});

Deno.test("publishChat loses nothing to a short cut towards the relay", async () => {
  await using relay = await startRelay();
  await using line = await CuttableLine.start(relay.port);
  const turn = new Turn(line.url);
  const response = await turn.response;
  turn.answer.say("one ");
  await reaches(relay, 5);
  for (const [at, word] of ["two ", "three ", "four "].entries()) {
    line.cut();
    turn.answer.say(word);
    await new Promise((resolve) => setTimeout(resolve, 50));
    line.mend();
    await reaches(relay, 6 + at);
  }
  turn.answer.finish();
  const data = await dataOf(response);
  await within(turn.done, LIMIT, "the end");
  assertEquals(await followed(relay), data);
  assertEquals(textOf(chunksOf(data)), "one two three four ");
  assertEquals(topicOf(relay)?.verdict?.status, "complete");
  assertEquals(turn.errors, []);
});

Deno.test("publishChat goes on with a relay that was restarted on its store", async () => {
  const port = freePort();
  await using world = await startStoredRelay("sqlite", {
    port,
    rights: { jwtKey: KEY },
  });
  const turn = new Turn(world.relay.url, { key: KEY });
  const response = await turn.response;
  turn.answer.say("one ");
  await reaches(world.relay, 5);
  await world.restart();
  turn.answer.say("two");
  turn.answer.finish();
  const data = await dataOf(response);
  await within(turn.done, LIMIT, "the end");
  assertEquals(await followed(world.relay), data);
  assertEquals(topicOf(world.relay)?.verdict?.status, "complete");
  await answeredEarly();
});

Deno.test("publishChat begins the turn anew on a relay that has forgotten it", async () => {
  const port = freePort();
  await using world = await startStoredRelay("memory", { port });
  const turn = new Turn(world.relay.url);
  const response = await turn.response;
  turn.answer.say("one ");
  await reaches(world.relay, 5);
  await world.restart();
  turn.answer.say("two");
  turn.answer.finish();
  const data = await dataOf(response);
  await within(turn.done, LIMIT, "the end");
  assertEquals(await followed(world.relay), data);
  await answeredEarly();
});

Deno.test("A relay that is away, or refuses, is told in words that users may see", async () => {
  await using relay = await startRelay({
    rights: { jwtKey: KEY },
  });
  const wrong = new Turn(relay.url, { token: "nonsense" });
  const refused = await wrong.response;
  assertEquals(refused.status, 502);
  assertEquals(
    await refused.text(),
    "The chat is not available at the moment.",
  );
  assertEquals(wrong.answer.begun, 0);
  assertEquals(wrong.errors.length, 1);

  let requests = 0;
  const away = new Turn("http://127.0.0.1:9", {
    fetch: () => {
      requests += 1;
      return Promise.reject(new TypeError("no route"));
    },
    clock: {
      now: () => requests * 1_000,
      setTimeout: (callback) => {
        queueMicrotask(callback);
        return () => {};
      },
    },
  });
  const unreachable = await away.response;
  assertEquals(unreachable.status, 503);
  assert(requests > 1);
  assertEquals(away.answer.begun, 0);
});

Deno.test("publishChat makes its own token of the relay's key, for its topic alone", async () => {
  await using relay = await startRelay({ rights: { jwtKey: KEY } });
  const tokens: string[] = [];
  const turn = new Turn(relay.url, {
    key: KEY,
    fetch: (input, init) => {
      tokens.push(new Headers(init?.headers).get("authorization") ?? "");
      return fetch(input, init);
    },
  });
  const response = await turn.response;
  assertEquals(response.status, 200);
  turn.answer.finish();
  await dataOf(response);
  await within(turn.done, LIMIT, "the end");
  const [, payload = ""] = tokens[0]!.split(".");
  assertEquals(JSON.parse(atob(payload)).rivulet, { write: ["chat:ada:7"] });
});

/**
 * Waits until @hono/node-server no longer looks after the body of a request that was
 * answered early: for 500 ms, by a timer that nothing ends.
 */
async function answeredEarly(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 600));
}
