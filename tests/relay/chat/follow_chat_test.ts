// Turns of a topic, followed with followChat by chats that show them already or not.
import { assertEquals } from "@std/assert";
import {
  type ChatMessage,
  type FollowableChat,
  followChat,
} from "../../../relay/chat/mod.ts";
import { systemClock } from "../../../src/fetch/clock.ts";
import { turnPart } from "../../../src/model/wires/ui/turn.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

function message(id: string): ChatMessage {
  return { id, role: id.startsWith("u") ? "user" : "assistant", parts: [] };
}

function data(chunk: unknown): { data: string } {
  return { data: JSON.stringify(chunk) };
}

/** A chat that notes what is done to it. */
class NotedChat implements FollowableChat {
  readonly id = "7";
  status: FollowableChat["status"] = "ready";
  readonly done: string[] = [];
  #messages: ChatMessage[];

  constructor(...ids: string[]) {
    this.#messages = ids.map(message);
  }

  get messages(): ChatMessage[] {
    return this.#messages;
  }

  set messages(messages: ChatMessage[]) {
    this.#messages = messages;
    this.done.push(messages.map(({ id }) => id).join());
  }

  resumeStream(): Promise<void> {
    this.done.push("resume");
    return Promise.resolve();
  }

  clearError(): void {
    this.done.push("clear");
    this.status = "ready";
  }
}

interface Case {
  /** The ids of the messages that the chat shows. */
  readonly shown: readonly string[];
  readonly status?: FollowableChat["status"];
  /** The turn behind its first part, which answers u1. */
  readonly turn: readonly unknown[];
  /** The status of its end. Default: complete. */
  readonly end?: "complete" | "failed";
  /** The ids of the messages that the application has. */
  readonly kept?: readonly string[];
  /** The changes of the chat, in their order. */
  readonly done: readonly string[];
}

const START = { type: "start", messageId: "a1" };
const WORD = { type: "text-delta", id: "t", delta: "x" };

const CASES: Readonly<Record<string, Case>> = {
  "a turn of another tab is joined and read, and is loaded as it has ended": {
    shown: ["u0", "a0"],
    turn: [START, WORD],
    kept: ["u0", "a0", "u1", "a1"],
    done: ["u0,a0,u1", "resume", "u0,a0,u1,a1"],
  },
  "an answer that was read from its request before it was told stays": {
    shown: ["u1", "a1"],
    turn: [START, WORD],
    done: [],
  },
  "an answer that is wanted anew takes the place of the last": {
    shown: ["u1", "a0"],
    turn: [START, WORD],
    kept: ["u1", "a1"],
    done: ["u1", "resume", "u1,a1"],
  },
  "an answer without an id is read": {
    shown: ["u1", "a0"],
    turn: [{ type: "start" }, WORD],
    kept: ["u1", "a0"],
    done: ["u1", "resume", "u1,a0"],
  },
  "an answer that was sent from here is read by its request": {
    shown: ["u0", "u1"],
    status: "submitted",
    turn: [START, WORD],
    done: [],
  },
  "what the application has without the turn is not shown": {
    shown: ["u1"],
    turn: [START, WORD],
    kept: [],
    done: ["u1", "resume"],
  },
};

for (
  const [name, { shown, status, turn, end, kept, done }] of Object.entries(
    CASES,
  )
) {
  Deno.test(`followChat: ${name}`, async () => {
    await using relay = await startRelay();
    const topic = relay.relay.topics.create("app:7");
    const chat = new NotedChat(...shown);
    chat.status = status ?? "ready";
    const ends: string[] = [];
    const told = Promise.withResolvers<void>();
    const followed = followChat(chat, {
      relay: relay.url,
      chat: "app",
      load: () => Promise.resolve((kept ?? []).map(message)),
      onEnd: ({ status }) => ends.push(status),
      onTurn: () => told.resolve(),
    });
    await topic.append([data(turnPart(message("u1")))]);
    // One that has ended before it is looked at is none that is told.
    await within(told.promise, LIMIT, "the turn");
    await topic.append(turn.map(data));
    topic.end(end ?? "complete");
    await until(() => ends[0], LIMIT, "the end");
    await until(
      () => chat.done.length >= done.length || undefined,
      LIMIT,
      () => `${done}: ${chat.done}`,
    );
    await followed.close();
    assertEquals(chat.done, [...done]);
  });
}

Deno.test("followChat: a chat that has lost its answer goes on with it once a second, and is loaded at its end", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("app:7");
  const chat = new NotedChat("u0", "u1", "a1"); // a part of the answer is shown
  chat.status = "streaming";
  const told = Promise.withResolvers<void>();
  let now = 1_000_000;
  const followed = followChat(chat, {
    relay: relay.url,
    chat: "app",
    load: () => Promise.resolve(["u0", "u1", "a1"].map(message)),
    onTurn: () => told.resolve(),
    clock: { ...systemClock, now: () => now },
  });
  await topic.append([turnPart(message("u1")), START].map(data));
  await within(told.promise, LIMIT, "the turn");
  const resumed = (count: number) =>
    until(() => chat.done.length === count || undefined, LIMIT, "a resume");
  chat.status = "error";
  await topic.append([WORD, WORD, WORD].map(data));
  await resumed(1);
  now += 1_000;
  await topic.append([WORD, WORD].map(data));
  await resumed(2);
  // The answer to the second request: nothing goes on any more.
  chat.status = "ready";
  topic.end("complete");
  await until(() => chat.done.includes("clear") || undefined, LIMIT, "the end");
  assertEquals(chat.done, ["resume", "resume", "u0,u1,a1", "clear"]);
  await followed.close();
});

Deno.test("followChat: a tab that was away is told of each turn, and loads the answers", async () => {
  await using relay = await startRelay();
  await using line = await CuttableLine.start(relay.port);
  const { topics } = relay.relay;
  const chat = new NotedChat();
  const told: unknown[] = [];
  const followed = followChat(chat, {
    relay: line.url,
    chat: "app",
    load: () => Promise.resolve(["u1", "a1", "u2", "a2"].map(message)),
    onTurn: (message) => told.push(message?.id),
    onEnd: ({ status }) => told.push(status),
    reconnect: { minTimeout: 10, maxTimeout: 50 },
  });
  const turn = async (id: string): Promise<void> => {
    const topic = topics.renew("app:7");
    const start = { type: "start", messageId: `a${id}` };
    await topic.append([turnPart(message(`u${id}`)), start].map(data));
    if (id === "1") await until(() => told[0], LIMIT, "the turn");
    topic.end("complete");
  };
  await turn("1");
  await until(() => told[1], LIMIT, "the end");
  line.cut();
  await turn("2");
  line.mend();
  await until(() => told[3], LIMIT, "the end of the other");
  assertEquals(told, ["u1", "complete", "u2", "complete"]);
  await until(
    () => chat.messages.at(-1)?.id === "a2" || undefined,
    LIMIT,
    "the answer",
  );
  assertEquals(chat.done.filter((what) => what === "resume").length, 1);
  await followed.close();
});

Deno.test("followChat: a failure that the answer has told is not asked for again", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("app:7");
  const chat = new NotedChat("u0", "u1");
  chat.status = "submitted";
  const told = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  const followed = followChat(chat, {
    relay: relay.url,
    chat: "app",
    load: () => Promise.resolve(["u0", "u1"].map(message)),
    onTurn: () => told.resolve(),
    onEnd: ({ reason = "" }) => ended.resolve(reason),
  });
  await topic.append([data(turnPart(message("u1")))]);
  await within(told.promise, LIMIT, "the turn");
  chat.status = "error"; // its own request has told it
  const error = { type: "error", errorText: "no luck" };
  await topic.append([error, WORD].map(data));
  topic.end("failed", "no luck");
  assertEquals(await within(ended.promise, LIMIT, "the end"), "no luck");
  await followed.close();
  assertEquals(chat.done, []);
});

Deno.test("followChat: a turn that broke off is told in the words of its answer", async () => {
  const table = [
    ["truncated", "The relay was closed", ": The relay was closed"],
    ["truncated", undefined, ""],
    ["expired", "Too old", ": Too old"],
  ] as const;
  for (const [status, reason, rest] of table) {
    await using relay = await startRelay();
    const topic = relay.relay.topics.create("app:7");
    const told = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<unknown>();
    const followed = followChat(new NotedChat("u1"), {
      relay: relay.url,
      chat: "app",
      load: () => Promise.resolve([message("u1"), message("a1")]),
      onTurn: () => told.resolve(),
      onEnd: (end) => ended.resolve(end),
    });
    await topic.append([turnPart(message("u1")), START].map(data));
    await within(told.promise, LIMIT, "the turn");
    topic.end(status, reason);
    assertEquals(await within(ended.promise, LIMIT, "the end"), {
      status,
      reason: `The answer broke off${rest}`,
    });
    await followed.close();
  }
});

Deno.test("followChat: a turn of another tab waits until the chat has read its last answer", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("app:7");
  const chat = new NotedChat("u0", "a0");
  chat.status = "streaming";
  const told = Promise.withResolvers<void>();
  let looks = 0;
  const followed = followChat(chat, {
    relay: relay.url,
    chat: "app",
    load: () => Promise.resolve([]),
    onTurn: () => told.resolve(),
    clock: {
      ...systemClock,
      setTimeout: (callback, delay) =>
        systemClock.setTimeout(() => {
          // Nothing more of the turn comes that it could be looked at with again.
          if (++looks === 3) chat.status = "ready";
          callback();
        }, delay),
    },
  });
  await topic.append([turnPart(message("u1"))].map(data));
  await within(told.promise, LIMIT, "the turn");
  await until(() => chat.done.length > 1 || undefined, LIMIT, "the resume");
  await followed.close();
  assertEquals(chat.done, ["u0,a0,u1", "resume"]);
});

Deno.test("followChat: a chat that never becomes idle holds up no turn", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("app:7");
  const chat = new NotedChat("u0", "a0");
  chat.status = "streaming";
  const told = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  const followed = followChat(chat, {
    relay: relay.url,
    chat: "app",
    load: () => Promise.resolve([]),
    onTurn: () => told.resolve(),
    onEnd: ({ status }) => ended.resolve(status),
    clock: {
      ...systemClock,
      // The times of the connection are as ever.
      setTimeout: (callback, delay) =>
        systemClock.setTimeout(callback, delay < 100 ? 0 : delay),
    },
  });
  await topic.append([data(turnPart(message("u1")))]);
  await within(told.promise, LIMIT, "the turn");
  await topic.append([data(START)]);
  topic.end("complete");
  assertEquals(await within(ended.promise, LIMIT, "the end"), "complete");
  await followed.close();
  assertEquals(chat.done, []);
});

Deno.test("followChat: a stop that comes before the turn has begun stops it as it begins", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("app:7");
  const chat = new NotedChat("u1");
  chat.status = "submitted";
  const ended = Promise.withResolvers<unknown>();
  const followed = followChat(chat, {
    relay: relay.url,
    chat: "app",
    load: () => Promise.resolve([message("u1")]),
    onEnd: (end) => ended.resolve(end),
  });
  followed.stop("enough");
  await topic.append([turnPart(message("u1")), START].map(data));
  assertEquals(await within(ended.promise, LIMIT, "the stop"), {
    status: "cancelled",
    reason: "enough",
  });
  await followed.close();
});

Deno.test("followChat: a stop of a chat that asks for nothing stops no later turn", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("app:7");
  const chat = new NotedChat("u1");
  const told = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  const followed = followChat(chat, {
    relay: relay.url,
    chat: "app",
    load: () => Promise.resolve([message("u1")]),
    onTurn: () => told.resolve(),
    onEnd: ({ status }) => ended.resolve(status),
  });
  followed.stop();
  chat.status = "submitted";
  await topic.append([data(turnPart(message("u1")))]);
  await within(told.promise, LIMIT, "the turn");
  await topic.append([data(START)]);
  topic.end("complete");
  assertEquals(await within(ended.promise, LIMIT, "the end"), "complete");
  await followed.close();
});
