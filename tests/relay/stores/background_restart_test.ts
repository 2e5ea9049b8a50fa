// A background response that a relay was filling its topic with when it was killed.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readEvents } from "../../../src/sse/read_events.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { HostileProvider } from "../../../src/testing/hostile_provider.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { MortalRelay } from "../../support/relay/mortal_relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { LIMIT, until, within } from "../../support/within.ts";

/** As many words as the response has deltas. */
const WORDS = Array.from({ length: 60 }, (_, n) => `word${n}`).join(" ");

const KEY = "sk-of-the-operator-0123456789abcdef";

interface Described {
  readonly epoch: string;
  readonly next: number;
  readonly state: string;
  readonly end?: { readonly status: string; readonly reason?: string };
}

/** The plan of an answer that has what there is at once. */
const AT_ONCE = "run";

/** A provider on a port of its own, whose responses go on as its clock does. */
class Provider implements AsyncDisposable {
  readonly hostile: HostileProvider;
  /** The key that it wants. */
  readonly key: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #leave = new AbortController();
  readonly #clock = new FakeClock();

  constructor(key: string) {
    this.key = key;
    this.hostile = new HostileProvider({
      apiKey: key,
      plan: { pace: 1 },
      clock: this.#clock,
    });
    this.#server = Deno.serve(
      {
        hostname: "127.0.0.1",
        port: 0,
        onListen: () => {},
        signal: this.#leave.signal,
        // The client has left.
        onError: () => new Response(null, { status: 500 }),
      },
      this.hostile.fetch,
    );
  }

  /** The URL that takes the place of `/v1`. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/v1`;
  }

  /** Lets every response go on by a number of events. */
  async goOn(count: number): Promise<void> {
    await this.#clock.advance(count);
  }

  /** All events of a response, once it has ended. */
  async whole(id: string): Promise<ServerSentEvent[]> {
    const response = await fetch(`${this.url}/responses/${id}?stream=true`, {
      headers: { Authorization: `Bearer ${this.key}`, Hostile: AT_ONCE },
    });
    assert(response.body);
    return await Array.fromAsync(readEvents(response.body));
  }

  /** The requests for the rest of a response: their paths, with their queries. */
  get rests(): string[] {
    return this.hostile.requests
      .filter(({ query }) => query.has("starting_after"))
      .map(({ path, query }) => `${path}?${query}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave.abort();
    // The server waits for those who wait for the clock.
    await this.goOn(10_000);
    await this.#server.finished;
  }
}

/** A file, and one relay after the other. */
class World implements AsyncDisposable {
  url = "";
  readonly #folder = new TemporaryFolder();
  #relay: MortalRelay | undefined;

  /**
   * Starts a relay.
   *
   * @param providers The providers, by their names.
   * @param keys The names of those that it has a key for. Default: all.
   */
  async start(
    providers: ReadonlyMap<string, Provider>,
    keys: ReadonlySet<string> = new Set(providers.keys()),
  ): Promise<void> {
    this.#relay = new MortalRelay(
      [
        ...["--port", "0", "--log-level", "warning", "--drain", "100ms"],
        ...["--store", `sqlite:${this.#folder.path}/topics.db`],
        ...[...providers].flatMap((
          [name, { url }],
        ) => ["--provider", `${name}=${url}`]),
      ],
      Object.fromEntries(
        [...keys].map((name) => [`${name.toUpperCase()}_API_KEY`, KEY]),
      ),
    );
    const url = await within(this.#relay.listening, LIMIT, "a relay to listen");
    if (url === undefined) throw new Error(await this.#relay.ended());
    this.url = url;
  }

  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    await this.#relay?.kill(signal);
    this.#relay = undefined;
  }

  /** Asks a provider for a response in the background. */
  async ask(
    provider: string,
    topic: string,
    headers: Readonly<Record<string, string>> = {},
    body: Readonly<Record<string, unknown>> = {},
  ): Promise<Response> {
    return await within(
      fetch(`${this.url}/${provider}/v1/responses`, {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          "Rivulet-Topic": topic,
          "Idempotency-Key": topic,
          ...headers,
        },
        body: JSON.stringify({
          model: "m",
          input: WORDS,
          stream: true,
          background: true,
          ...body,
        }),
      }),
      LIMIT,
      "an answer",
    );
  }

  async describe(topic: string): Promise<Described> {
    const response = await fetch(`${this.url}/topics/${topic}`, {
      headers: { Accept: "application/json" },
    });
    return await response.json();
  }

  /** Waits until the topic has an event after an offset; returns what it is then. */
  has(topic: string, offset: number): Promise<Described> {
    return this.#until(topic, ({ next }) => next > offset);
  }

  ended(topic: string): Promise<Described> {
    return this.#until(topic, ({ state }) => state === "ended");
  }

  async #until(
    topic: string,
    is: (described: Described) => boolean,
  ): Promise<Described> {
    return await until(
      async () => {
        const described = await this.describe(topic);
        return is(described) ? described : undefined;
      },
      LIMIT,
      topic,
    );
  }

  /** The events of a topic, without the end. */
  async events(topic: string): Promise<ServerSentEvent[]> {
    const response = await fetch(`${this.url}/topics/${topic}`, {
      headers: { Accept: "application/json" },
    });
    const { events } = await response.json();
    return events.map((
      { event, data }: { event: string; data: string },
    ) => ({ event, data, id: "" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#folder[Symbol.asyncDispose]();
  }
}

function responseId([first]: readonly ServerSentEvent[]): string {
  return JSON.parse(first?.data ?? "{}").response.id;
}

/** Reads what comes until the connection is gone. */
async function drain(response: Response): Promise<void> {
  try {
    await response.text();
  } catch {
    // The relay was killed.
  }
}

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  Deno.test(`A background response goes on where its relay has ended by ${signal}, again and again`, async () => {
    await using provider = new Provider(KEY);
    const providers = new Map([["local", provider]]);
    await using world = new World();
    await world.start(providers);
    const caller = await world.ask("local", "t");
    const read = drain(caller);
    await provider.goOn(10);
    const before = await world.has("t", 3);
    let seen = before.next;
    await world.kill(signal);
    await read;
    provider.hostile.enqueue(AT_ONCE, AT_ONCE, AT_ONCE);
    for (let times = 0; times < 2; times++) {
      await world.start(providers);
      const described = await world.describe("t");
      assertEquals(described.epoch, before.epoch);
      assert(described.next >= seen, "events are gone");
      await provider.goOn(10);
      const { next } = await world.has("t", described.next + 3);
      seen = next;
      await world.kill(signal);
    }
    await world.start(providers);
    // A follower who has had two events comes back.
    const follower = await fetch(`${world.url}/topics/t`, {
      headers: {
        Accept: "text/event-stream",
        "Last-Event-ID": `${before.epoch}:2`,
      },
    });
    assert(follower.body);
    const followed = Array.fromAsync(readEvents(follower.body));
    // Whoever has lost the answer asks for the same again.
    const again = await world.ask("local", "t");
    assertEquals(again.headers.get("idempotent-replayed"), "true");
    assert(again.body);
    const heard = Array.fromAsync(readEvents(again.body));
    await provider.goOn(1_000);
    const { epoch, end } = await world.ended("t");
    assertEquals([epoch, end?.status], [before.epoch, "complete"]);
    const events = await world.events("t");
    const id = responseId(events);
    assertEquals(events, await provider.whole(id));
    assertEquals(
      (await heard).map(({ event, data }) => ({ event, data, id: "" })),
      events,
    );
    const told = (await followed).filter(({ event }) =>
      !event.startsWith("rivulet.")
    );
    assertEquals(
      told.map(({ id, data }) => ({ id, data })),
      events.slice(2).map(({ data }, index) => ({
        id: `${before.epoch}:${index + 3}`,
        data,
      })),
    );
    assertEquals(
      provider.hostile.requests.filter(({ method }) => method === "POST")
        .length,
      1,
    );
  });
}

interface Case {
  readonly what: string;
  /** Whether the caller has the key, and the relay none. */
  readonly isCallers?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Readonly<Record<string, unknown>>;
  /** Whether the second relay has no such provider. */
  readonly isGone?: boolean;
  /** The plans for the requests for the rest, one after the other. */
  readonly plans?: readonly string[];
  /** Whether the response ends before the second relay starts. */
  readonly isLate?: boolean;
  readonly status: string;
  readonly reason?: RegExp;
  /** The number of requests for the rest. */
  readonly rests: number;
}

/** Shorter than what is taken for a secret in events. */
const CALLERS_KEY = "callers-key";

const SECRET = "sk-proj-0123456789abcdefghijklmnop";

const CASES: readonly Case[] = [
  {
    what: "whose rest breaks off too is whole",
    plans: ["reset; after=2", "cut; within=1"],
    status: "complete",
    rests: 3,
  },
  {
    what: "whose provider is away for a moment is whole",
    plans: ["status=503", "reset"],
    status: "complete",
    rests: 3,
  },
  {
    what: "that has ended meanwhile is whole",
    isLate: true,
    status: "complete",
    rests: 1,
  },
  {
    what: "that its provider has forgotten is truncated",
    plans: ["status=404", "status=404", "status=404"],
    status: "truncated",
    reason: /^The relay was restarted: The provider has answered 404/,
    rests: 3,
  },
  {
    what: "whose rest comes with other numbers is truncated",
    plans: ["missing=1", "missing=1", "missing=1"],
    status: "truncated",
    reason: /^The relay was restarted: The provider did not go on where/,
    rests: 3,
  },
  {
    what: "that fails meanwhile has failed",
    plans: ["error; after=2"],
    status: "failed",
    reason: /server_error/,
    rests: 1,
  },
  {
    what: "that was asked for with the caller's key is truncated",
    isCallers: true,
    headers: { Authorization: `Bearer ${CALLERS_KEY}` },
    status: "truncated",
    reason: /^The relay was restarted$/,
    rests: 0,
  },
  {
    what: "whose request has a key in it is truncated",
    body: { metadata: { api_key: SECRET } },
    status: "truncated",
    reason: /^The relay was restarted$/,
    rests: 0,
  },
  {
    what: "that ends with its caller is truncated",
    headers: { "Rivulet-On-Disconnect": "cancel" },
    status: "truncated",
    reason: /^The relay was restarted$/,
    rests: 0,
  },
  {
    what: "that is none in the background is truncated",
    body: { background: false },
    status: "truncated",
    reason: /^The relay was restarted$/,
    rests: 0,
  },
  {
    what: "whose provider the relay no longer has is truncated",
    isGone: true,
    status: "truncated",
    reason: /^The relay was restarted: there is no provider 'p10' any more$/,
    rests: 0,
  },
];

/** A case, with the provider and the topic that it has alone. */
interface Trial extends Case {
  readonly name: string;
  readonly provider: Provider;
}

Deno.test("A response that a killed relay leaves goes on, or ends with the truth", async (t) => {
  await using stack = new AsyncDisposableStack();
  const trials: Trial[] = CASES.map((one, index) => ({
    ...one,
    name: `p${index}`,
    provider: stack.use(new Provider(one.isCallers ? CALLERS_KEY : KEY)),
  }));
  const providers = new Map(
    trials.map(({ name, provider }) => [name, provider]),
  );
  const keys = new Set(
    trials.flatMap(({ name, isCallers }) => isCallers ? [] : [name]),
  );
  const world = stack.use(new World());
  await world.start(providers, keys);
  const begun = await Promise.all(trials.map(async (trial) => {
    const { name, provider, headers, body } = trial;
    // In the foreground, the provider would say all at once.
    if (body?.["background"] === false) {
      provider.hostile.enqueue("stall; after=5");
    }
    const read = drain(await world.ask(name, name, headers, body));
    await provider.goOn(10);
    const before = await world.has(name, 3);
    const id = responseId(await world.events(name));
    return { trial, read, before, id };
  }));
  await world.kill();
  await Promise.all(begun.map(async ({ trial, read }) => {
    await read;
    const { provider, isLate, plans = [] } = trial;
    if (isLate) await provider.goOn(1_000);
    provider.hostile.enqueue(...plans, AT_ONCE);
  }));
  for (const { name, isGone } of trials) if (isGone) providers.delete(name);
  await world.start(providers, keys);
  for (const { trial, before, id } of begun) {
    await t.step(trial.what, async () => {
      const { name, provider, body } = trial;
      await provider.goOn(1_000);
      const { epoch, end, next } = await world.ended(name);
      assertEquals([epoch, end?.status], [before.epoch, trial.status]);
      assertMatch(end?.reason ?? "", trial.reason ?? /^$/);
      const { rests } = provider;
      assertEquals(rests.length, trial.rests, rests.join(" "));
      for (const rest of rests) {
        assertMatch(
          rest,
          /^\/v1\/responses\/resp_\w+\?stream=true&starting_after=\d+$/,
        );
      }
      const events = await world.events(name);
      assertEquals(events.length, next - 1);
      if (body?.["background"] === false) return;
      const whole = (await provider.whole(id)).map((event) => ({
        ...event,
        data: event.data.replaceAll(SECRET, "[redacted]"),
      }));
      // The provider's failure is not a part of the response.
      const count = trial.status === "failed" ? before.next : events.length;
      assertEquals(events.slice(0, count), whole.slice(0, count));
      if (trial.status === "complete") assertEquals(events, whole);
    });
  }
});
