// The transport of a page, against a relay and an endpoint that publishes to it.
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type ChatChunk,
  ChatError,
  type ChatListener,
  type ChatMessage,
  joinTurn,
  RivuletChatTransport,
} from "../../../relay/chat/mod.ts";
import {
  chatTopic,
  createChatToken,
  publishChat,
} from "../../../relay/chat/server/mod.ts";
import type { RelayOptions } from "../../../relay/mod.ts";
import { systemClock } from "../../../src/fetch/clock.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { SubscriptionError } from "../../../relay/client/mod.ts";
import { ManualAnswer, textOf } from "../../support/chat/manual_answer.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const KEY = "a secret of the relay that is long enough";

function asked(id: string, text = "?"): ChatMessage {
  return { id, role: "user", parts: [{ type: "text", text }] };
}

/** An application: its answers are written by the test. */
class Application {
  readonly answers: ManualAnswer[] = [];
  readonly #relay: string;
  /** Answers a request in place of the application. */
  instead: (() => Promise<Response>) | undefined;

  constructor(relay: string) {
    this.#relay = relay;
  }

  get answer(): ManualAnswer {
    return this.answers.at(-1)!; // a turn has begun
  }

  readonly fetch: typeof globalThis.fetch = async (_input, init) => {
    if (this.instead) return await this.instead();
    const { id, messages } = JSON.parse(String(init?.body));
    const answer = new ManualAnswer(`a${this.answers.length + 1}`);
    return await publishChat({
      relay: this.#relay,
      key: KEY,
      topic: chatTopic({ chat: "chat", user: "ada", id }),
      message: messages.at(-1),
      stream: (signal) => {
        this.answers.push(answer);
        return answer.stream(signal);
      },
    });
  };
}

/** A relay, an application, and tabs of it. */
class World implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly app: Application;
  readonly url: string;
  readonly relay: Awaited<ReturnType<typeof startRelay>>;

  private constructor(relay: World["relay"]) {
    this.relay = relay;
    this.url = relay.url;
    this.app = new Application(relay.url);
    this.#stack.use(relay);
  }

  static async start(options: RelayOptions = {}): Promise<World> {
    return new World(await startRelay({ ...options, rights: { jwtKey: KEY } }));
  }

  tab(
    user = "ada",
    url = this.url,
    chats = "ada",
    clock = systemClock,
  ): RivuletChatTransport {
    const transport = new RivuletChatTransport({
      clock,
      relay: url,
      user: chats,
      fetch: this.app.fetch,
      token: () => createChatToken({ key: KEY, user }),
      reconnect: { minTimeout: 20, maxTimeout: 200 },
    });
    this.#stack.defer(transport.close);
    return transport;
  }

  /** Waits until an answer was begun. */
  async begun(count: number): Promise<ManualAnswer> {
    await until(
      () => this.app.answers.length === count || undefined,
      LIMIT,
      "the answer",
    );
    return this.app.answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    // Of early answers, @hono/node-server looks after the body for 500 ms.
    await new Promise((resolve) => setTimeout(resolve, 600));
  }
}

function send(
  transport: RivuletChatTransport,
  messages: ChatMessage[],
  abortSignal?: AbortSignal,
): Promise<ReadableStream<ChatChunk>> {
  return within(
    transport.sendMessages({
      trigger: "submit-message",
      chatId: "7",
      messageId: undefined,
      messages,
      abortSignal,
    }),
    LIMIT,
    "the stream",
  );
}

async function readAll(
  stream: ReadableStream<ChatChunk> | null,
): Promise<ChatChunk[]> {
  assert(stream, "no answer is going on");
  return await within(Array.fromAsync(stream), LIMIT, "the end of the stream");
}

/** Notes what a tab is told. */
class Notes implements ChatListener {
  readonly told: string[] = [];
  readonly onTurn = (message: ChatMessage | undefined): void => {
    this.told.push(`turn ${message?.id}`);
  };
  readonly onEnd = ({ status }: { status: string }): void => {
    this.told.push(status);
  };
  readonly onError = (error: unknown): void => {
    this.told.push(error instanceof SubscriptionError ? error.code : "error");
  };

  async tells(count: number): Promise<string[]> {
    await until(
      () => this.told.length >= count || undefined,
      LIMIT,
      "what is told",
    );
    return this.told;
  }
}

Deno.test("RivuletChatTransport sends a message and reads the answer from the topic", async () => {
  await using world = await World.start();
  const tab = world.tab();
  for (const turn of [1, 2]) {
    const reading = readAll(await send(tab, [asked(`u${turn}`)]));
    const answer = await world.begun(turn);
    answer.say("Hel", "lo");
    answer.finish();
    const chunks = await reading;
    assertEquals(textOf(chunks), "Hello");
    assertEquals(chunks.at(-1)?.type, "finish");
    assertEquals(await tab.reconnectToStream({ chatId: "7" }), null);
  }
});

Deno.test("reconnectToStream gives the answer that is going on, from its beginning, or null", async () => {
  await using world = await World.start();
  const tab = world.tab();
  assertEquals(
    await within(tab.reconnectToStream({ chatId: "7" }), LIMIT, "null"),
    null,
  );
  const stream = await send(tab, [asked("u1")]);
  const answer = await world.begun(1);
  answer.say("one ");
  await stream.cancel();
  const later = world.tab();
  const resumed = await within(
    later.reconnectToStream({ chatId: "7" }),
    LIMIT,
    "the stream",
  );
  answer.say("two");
  answer.finish();
  assertEquals(textOf(await readAll(resumed)), "one two");
  assertEquals(await world.tab().reconnectToStream({ chatId: "7" }), null);
});

Deno.test("watch tells other tabs of each turn, and how it ends", async () => {
  await using world = await World.start();
  const [own, other] = [world.tab(), world.tab()];
  const [ownNotes, otherNotes] = [new Notes(), new Notes()];
  own.watch("7", ownNotes);
  other.watch("7", otherNotes);
  let conversation: ChatMessage[] = [];
  for (const turn of [1, 2]) {
    conversation = joinTurn(conversation, asked(`u${turn}`));
    const reading = readAll(await send(own, conversation));
    const answer = await world.begun(turn);
    await otherNotes.tells(2 * turn - 1);
    const followed = readAll(await other.reconnectToStream({ chatId: "7" }));
    answer.say("Hello");
    answer.finish();
    assertEquals(textOf(await followed), textOf(await reading));
    await otherNotes.tells(2 * turn);
  }
  assertEquals(otherNotes.told, ["turn u1", "complete", "turn u2", "complete"]);
  assertEquals(ownNotes.told, ["complete", "complete"]);
});

Deno.test("A tab that watches in the middle of a turn is told of it at once", async () => {
  await using world = await World.start();
  const tab = world.tab();
  const stream = await send(tab, [asked("u1")]);
  const answer = await world.begun(1);
  answer.say("one ");
  const notes = new Notes();
  const second = world.tab();
  second.watch("7", notes);
  assertEquals(await notes.tells(1), ["turn u1"]);
  const third = new Notes();
  second.watch("7", third);
  assertEquals(third.told, ["turn u1"]);
  answer.finish();
  await readAll(stream);
});

/** A page: it loads something, resumes each turn that it is told of, and notes what it reads. */
class Reader extends Notes implements ChatListener {
  readonly read: Promise<string>[] = [];
  readonly #tab: RivuletChatTransport;
  readonly messages: ChatMessage[] | undefined;

  readonly #load: () => Promise<Response>;

  constructor(
    world: World,
    tab: RivuletChatTransport,
    messages?: ChatMessage[],
  ) {
    super();
    this.#load = () => world.relay.request("/healthz");
    this.#tab = tab;
    this.messages = messages;
  }

  override readonly onTurn = (message: ChatMessage | undefined): void => {
    this.told.push(`turn ${message?.id}`);
    const loaded = this.#load().then((response) => response.text());
    const stream = loaded.then(() =>
      this.#tab.reconnectToStream({ chatId: "7" })
    );
    this.read.push(stream.then(readAll).then(textOf));
  };
}

Deno.test("A page that was loaded before the end of a turn gets the answer that it lacks, once", async () => {
  await using world = await World.start();
  const first = await send(world.tab(), [asked("u1")]);
  const answer = await world.begun(1);
  answer.say("one ");
  answer.finish();
  await readAll(first);
  const answered = { ...asked("a1"), role: "assistant" } as const;
  const cases: [string, ChatMessage[] | undefined, boolean][] = [
    ["before the message", [], true],
    ["before the answer", [asked("u1")], true],
    ["an older conversation", [asked("u0"), asked("a0")], true],
    ["with the answer", [asked("u1"), answered], false],
    ["with the answer, under another id", [asked("u1"), asked("x")], false],
    ["the page does not say", undefined, false],
  ];
  for (const [name, messages, isLacking] of cases) {
    const tab = world.tab();
    const reader = new Reader(world, tab, messages);
    tab.watch("7", reader);
    assertEquals(await tab.reconnectToStream({ chatId: "8" }), null);
    // Chat 8 came later: what is to be told of chat 7 has been told.
    if (isLacking) await reader.tells(2);
    assertEquals(reader.told, isLacking ? ["turn u1", "complete"] : [], name);
    assertEquals(
      await Promise.all(reader.read),
      isLacking ? ["one "] : [],
      name,
    );
    assertEquals(await tab.reconnectToStream({ chatId: "7" }), null, name);
    const late = new Reader(world, tab, messages);
    tab.watch("7", late);
    assertEquals(late.told.length, isLacking ? 2 : 0, name);
    await Promise.all(late.read);
    await tab.close();
  }
});

Deno.test("A tab that was away for two turns is told of both, and reads both", async () => {
  await using world = await World.start();
  await using line = await CuttableLine.start(world.relay.port);
  // However long it takes to read a turn here: the next is not told before.
  const patient: typeof systemClock = {
    ...systemClock,
    setTimeout: (callback, delay) =>
      systemClock.setTimeout(callback, delay === 1_000 ? LIMIT : delay),
  };
  const own = world.tab();
  const other = world.tab("ada", line.url, "ada", patient);
  const reader = new Reader(world, other);
  other.watch("7", reader);
  for (const turn of [1, 2, 3]) {
    const reading = send(own, [asked(`u${turn}`)]).then(readAll);
    const answer = await world.begun(turn);
    if (turn === 1) await reader.tells(1);
    answer.say(`answer ${turn}`);
    answer.finish();
    await reading;
    if (turn > 1) continue;
    await reader.tells(2);
    line.cut();
  }
  line.mend();
  assertEquals(await reader.tells(6), [
    "turn u1",
    "complete",
    "turn u2",
    "complete",
    "turn u3",
    "complete",
  ]);
  assertEquals(await Promise.all(reader.read), [
    "answer 1",
    "answer 2",
    "answer 3",
  ]);
});

Deno.test("A turn that is over before its tab has connected is its answer, and an earlier one is not", async () => {
  await using world = await World.start();
  await using line = await CuttableLine.start(world.relay.port);
  const tab = world.tab("ada", line.url);
  const notes = new Notes();
  const unwatch = world.tab().watch("7", notes);
  line.cut();
  const first = send(tab, [asked("u1")]).then(readAll);
  const answer = await world.begun(1);
  answer.say("one");
  answer.finish();
  await notes.tells(2);
  unwatch();
  line.mend();
  assertEquals(textOf(await first), "one");
  // A page that was loaded after it.
  const again = within(
    world.tab().sendMessages({
      trigger: "regenerate-message",
      chatId: "7",
      messageId: "a1",
      messages: [asked("u1")],
      abortSignal: undefined,
    }),
    LIMIT,
    "the stream",
  ).then(readAll);
  const second = await world.begun(2);
  second.say("two");
  second.finish();
  assertEquals(textOf(await again), "two");
});

Deno.test("An answer is asked for anew once the chat's last answer is known", async () => {
  await using world = await World.start();
  const first = send(world.tab(), [asked("u1")]).then(readAll);
  (await world.begun(1)).finish();
  await first;
  const order: string[] = [];
  const { fetch } = world.app;
  const page = new RivuletChatTransport({
    relay: world.url,
    user: "ada",
    token: () => createChatToken({ key: KEY, user: "ada" }),
    fetch: (input, init) => {
      order.push("asked");
      return fetch(input, init);
    },
    WebSocket: class extends WebSocket {
      constructor(...args: ConstructorParameters<typeof WebSocket>) {
        super(...args);
        this.addEventListener("message", () => order.push("heard"), {
          once: true,
        });
      }
    },
  });
  const again = page.sendMessages({
    trigger: "regenerate-message",
    chatId: "7",
    messageId: "a1",
    messages: [asked("u1")],
    abortSignal: undefined,
  }).then(readAll);
  (await world.begun(2)).finish();
  await again;
  assertEquals(order, ["heard", "asked"]);
  await page.close();
});

Deno.test("stop stops a turn for everybody, and both tabs are told", async () => {
  await using world = await World.start();
  const [own, other] = [world.tab(), world.tab()];
  const notes = new Notes();
  own.watch("7", notes);
  const reading = readAll(await send(own, [asked("u1")]));
  const answer = await world.begun(1);
  answer.say("one ");
  const followed = readAll(await other.reconnectToStream({ chatId: "7" }));
  await within(other.stop("7", "enough"), LIMIT, "the end");
  await until(() => answer.signal?.aborted || undefined, LIMIT, "the signal");
  answer.close();
  for (const chunks of [await reading, await followed]) {
    assertEquals(chunks.at(-1), { type: "abort", reason: "enough" });
  }
  assertEquals(await notes.tells(1), ["cancelled"]);
  await own.stop("7");
});

Deno.test("An answer that says itself that it was stopped, or has failed, says so once", async () => {
  await using world = await World.start();
  const tab = world.tab();
  const words = [
    { type: "abort" },
    { type: "error", errorText: "no luck" },
  ] as const;
  for (const [index, chunk] of words.entries()) {
    const reading = send(tab, [asked(`u${index}`)]).then(readAll);
    const answer = await world.begun(index + 1);
    answer.say("one ");
    answer.chunk(chunk);
    answer.close();
    const chunks = await reading;
    assertEquals(chunks.filter(({ type }) => type === chunk.type), [chunk]);
  }
});

Deno.test("stop stops a turn that was sent and has not begun", async () => {
  await using world = await World.start();
  const tab = world.tab();
  const { promise, resolve } = Promise.withResolvers<void>();
  const { fetch } = world.app;
  const slow = new RivuletChatTransport({
    relay: world.url,
    user: "ada",
    token: () => createChatToken({ key: KEY, user: "ada" }),
    fetch: async (input, init) => {
      await promise;
      return await fetch(input, init);
    },
  });
  const sent = send(slow, [asked("u1")]);
  await within(slow.stop("7"), LIMIT, "the stop");
  resolve();
  const chunks = await readAll(await sent);
  assertEquals(chunks.at(-1)?.type, "abort");
  world.app.answers.at(-1)?.close();
  await slow.close();
  await tab.close();
});

Deno.test("A lost network ends no answer: it is read on, each word once", async () => {
  await using world = await World.start();
  await using line = await CuttableLine.start(world.relay.port);
  const tab = world.tab("ada", line.url);
  const reading = readAll(await send(tab, [asked("u1")]));
  const answer = await world.begun(1);
  const words = Array.from({ length: 30 }, (_, index) => `${index} `);
  for (const [index, word] of words.entries()) {
    if (index % 10 === 3) line.cut();
    if (index % 10 === 6) line.mend();
    answer.say(word);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  answer.finish();
  assertEquals(textOf(await reading), words.join(""));
});

Deno.test("A turn whose answer to the request was lost goes on", async () => {
  await using world = await World.start();
  const { fetch } = world.app;
  const begun = Promise.withResolvers<void>();
  const lost = Promise.withResolvers<void>();
  const lossy = new RivuletChatTransport({
    relay: world.url,
    user: "ada",
    token: () => createChatToken({ key: KEY, user: "ada" }),
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      await response.body?.cancel();
      await begun.promise;
      lost.resolve();
      throw new TypeError("network error");
    },
  });
  const reading = readAll(await send(lossy, [asked("u1")]));
  begun.resolve();
  await lost.promise;
  const answer = await world.begun(1);
  answer.finish();
  assertEquals((await reading).at(-1)?.type, "finish");
  await lossy.close();
});

Deno.test("A token is renewed without a lost or doubled word", async () => {
  const clock = new FakeClock(Date.now());
  await using world = await World.start({
    clock,
    delivery: { heartbeat: 3_600_000 },
  });
  let tokens = 0;
  let changes = 0;
  const tab = new RivuletChatTransport({
    relay: world.url,
    user: "ada",
    fetch: world.app.fetch,
    token: () => {
      tokens += 1;
      return createChatToken({
        key: KEY,
        user: "ada",
        ttl: tokens === 1 ? 60_000 : 3_600_000,
      });
    },
    onStateChange: ({ state }) => {
      if (state === "open") changes += 1;
    },
    reconnect: { minTimeout: 1 },
  });
  const reading = readAll(await send(tab, [asked("u1")]));
  const answer = await world.begun(1);
  const said: string[] = [];
  await until(
    async () => {
      said.push(`${said.length} `);
      answer.say(said.at(-1)!); // it was pushed
      await clock.advance(1_000);
      return tokens > 1 || undefined;
    },
    LIMIT,
    "another token to be asked for",
  );
  answer.say("end");
  answer.finish();
  assertEquals(textOf(await reading), `${said.join("")}end`);
  assertEquals(changes, 2);
  await tab.close();
});

Deno.test("Two users cannot see each other's chats, nor stop them", async () => {
  await using world = await World.start();
  const stream = await send(world.tab(), [asked("u1")]);
  const answer = await world.begun(1);
  const stranger = world.tab("eve");
  const notes = new Notes();
  stranger.watch("7", notes);
  assertEquals(await notes.tells(1), ["refused"]);
  for (
    const attempt of [
      () => stranger.reconnectToStream({ chatId: "7" }),
      () => stranger.stop("7"),
    ]
  ) {
    const error = await assertRejects(attempt, SubscriptionError);
    assertEquals(error.relayCode, "forbidden");
  }
  assertEquals(answer.signal?.aborted, false);
  answer.finish();
  await readAll(stream);
});

Deno.test("What an endpoint refuses is an error in its words", async () => {
  await using world = await World.start();
  const tab = world.tab();
  world.app.instead = () =>
    Promise.resolve(new Response("Log in first.", { status: 401 }));
  const error = await assertRejects(
    () => send(tab, [asked("u1")]),
    ChatError,
    "Log in first.",
  );
  assertEquals([error.code, error.status], ["refused", 401]);
  world.app.instead = () => Promise.reject(new TypeError("Failed to fetch"));
  await assertRejects(() => send(tab, [asked("u1")]), TypeError, "fetch");
});

Deno.test("A failed turn is told in the words that it ended with", async () => {
  await using world = await World.start();
  const reading = readAll(await send(world.tab(), [asked("u1")]));
  const answer = await world.begun(1);
  answer.fail(new Error("the key sk-secret is wrong"));
  const chunks = await reading;
  assertEquals(chunks.at(-1), {
    type: "error",
    errorText: "An error occurred.",
  });
});

Deno.test("An abort of the page ends its reading, and not the turn", async () => {
  await using world = await World.start();
  const tab = world.tab();
  const abort = new AbortController();
  const stream = await send(tab, [asked("u1")], abort.signal);
  const answer = await world.begun(1);
  abort.abort();
  await stream.cancel();
  answer.say("all of it");
  const resumed = await tab.reconnectToStream({ chatId: "7" });
  answer.finish();
  assertEquals(textOf(await readAll(resumed)), "all of it");
});
