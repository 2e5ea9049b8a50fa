// A relay dies, or stalls, and another one goes on with what it has filled.
import { assert, assertEquals } from "@std/assert";
import { subscribe, SubscriptionError } from "../../../../relay/client/mod.ts";
import { sourceEvent } from "../../../crash/contents.ts";
import { Upstreams } from "../../../crash/upstreams.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { Random } from "../../../support/random.ts";
import { MortalRelay } from "../../../support/relay/mortal_relay.ts";
import { RawWebSocket } from "../../../support/subscribers/raw_websocket.ts";
import { LIMIT, until, within } from "../../../support/within.ts";

const ignore = lacksNats();

/** Two relays as processes, one NATS server, and what the relays read from. */
class World implements AsyncDisposable {
  readonly upstreams: Upstreams;
  readonly #server: NatsServer;
  readonly #user: string;
  readonly relays: MortalRelay[] = [];

  private constructor(upstreams: Upstreams, server: NatsServer, user: string) {
    this.upstreams = upstreams;
    this.#server = server;
    this.#user = user;
  }

  static async start(server?: NatsServer, user = ""): Promise<World> {
    const upstreams = await Upstreams.start(new Random(1));
    return new World(upstreams, server ?? await NatsServer.start(), user);
  }

  async relay(...args: string[]): Promise<[MortalRelay, string]> {
    const { origin } = this.upstreams;
    const relay = new MortalRelay([
      ...["--port", "0", "--store", `nats://${this.#user}${this.#server.host}`],
      ...["--allow-source", `${origin}/*`, "--allow-address", "127.0.0.1"],
      ...["--provider", `local=${origin}/v1`, "--log-level", "warning"],
      ...args,
    ]);
    this.relays.push(relay);
    const url = await within(relay.listening, LIMIT, "a relay to listen");
    assert(url, "the relay ended");
    return [relay, url];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const relay of this.relays) await relay.kill("SIGKILL");
    await this.upstreams[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}

/** A subscriber that notes when each event came, and the end. */
class Reader implements AsyncDisposable {
  readonly times: number[] = [];
  readonly data: string[] = [];
  end: string | undefined;
  readonly over: Promise<void>;
  readonly #abort = new AbortController();

  constructor(url: string, topic: string) {
    this.over = this.#read(`${url}/topics/${topic}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.over.catch(() => {});
  }

  async #read(url: string): Promise<void> {
    const { signal } = this.#abort;
    await using subscription = subscribe(url, { signal });
    try {
      for await (const message of subscription) {
        if (message.type !== "event") continue;
        assertEquals(message.offset, this.data.length + 1);
        this.data.push(message.data);
        this.times.push(performance.now());
      }
    } catch (error) {
      if (!(error instanceof SubscriptionError)) throw error;
    }
    const { status, reason } = subscription.end ?? {};
    this.end = `${status}: ${reason}`;
  }

  /** Waits for this many events. */
  reached(count: number): Promise<true> {
    return until(
      () => this.data.length >= count || undefined,
      LIMIT,
      () => `event ${count}: there are ${this.data.length}, ${this.end}`,
    );
  }
}

function assertOfSource(data: readonly string[], name: string): void {
  data.forEach((text, index) =>
    assertEquals(text, sourceEvent(name, index + 1).data)
  );
}

async function put(url: string, topic: string, source: string) {
  const response = await fetch(`${url}/topics/${topic}`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ source: { url: source } }),
  });
  await response.body?.cancel();
  assertEquals(response.status, 201);
}

Deno.test({
  name:
    "Another relay goes on with a source of one that is stopped, which does no more harm",
  ignore,
  async fn() {
    await using world = await World.start();
    const [first, url] = await world.relay();
    const [, other] = await world.relay();
    await put(url, "s", world.upstreams.source("s", 100_000));
    await using reader = new Reader(other, "s");
    await reader.reached(20);
    const stopped = performance.now();
    first.signal("SIGSTOP");
    await goesOn(world, reader, stopped);
    first.signal("SIGCONT");
    // Events that it reads until it learns of the takeover are discarded.
    await reader.reached(reader.data.length + 60);
    await using again = new Reader(url, "s");
    await again.reached(reader.data.length);
    assertOfSource(again.data, "s");
    assertOfSource(reader.data, "s");
    const cancelled = await fetch(`${url}/topics/s/cancel`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
    });
    assertEquals(cancelled.status, 200, await cancelled.text());
    await within(reader.over, LIMIT, "the end");
    assertEquals(reader.end, "cancelled: undefined");
  },
});

/** Waits until another relay has gone on with a source, and for events of it. */
async function goesOn(
  { upstreams }: World,
  reader: Reader,
  since: number,
): Promise<void> {
  // A source breaks off now and then by itself.
  const { resumed } = upstreams;
  await until(
    () => upstreams.resumed > resumed || undefined,
    LIMIT,
    "another relay to ask for the source",
  );
  await reader.reached(reader.data.length + 20);
  const gap =
    reader.times.findLast((_, index) =>
      index > 0 && reader.times[index - 1]! <= since + 500
    )! - since;
  console.log(`went on after ${Math.round(gap)} ms`);
}

Deno.test({
  name: "A run whose relay dies is truncated, once, for subscribers of another",
  ignore,
  async fn() {
    await using world = await World.start();
    const [first, url] = await world.relay();
    const [, other] = await world.relay();
    // However late the relay is killed, its run goes on.
    world.upstreams.runsMayEnd = new Promise(() => {});
    const asked = fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Rivulet-Topic": "run" },
      body: JSON.stringify({
        model: "m",
        stream: true,
        messages: [{ role: "user", content: "run" }],
      }),
    });
    await using reader = new Reader(other, "run");
    await reader.reached(2);
    // The caller may hear of it later than the reader.
    const answer = await within(asked, LIMIT, "the answer to the caller");
    const killed = performance.now();
    await first.kill("SIGKILL");
    await answer.body?.cancel().catch(() => {});
    await within(reader.over, LIMIT, "the end");
    assertEquals(reader.end, "truncated: The relay was restarted");
    const took = performance.now() - killed;
    console.log(`truncated after ${Math.round(took)} ms`);
  },
});

Deno.test({
  name:
    "Of two relays with the same source, one reads it, and the other takes over",
  ignore,
  async fn() {
    await using world = await World.start();
    const source = `s=${world.upstreams.source("s", 100_000)}`;
    const [first] = await world.relay("--source", source);
    const [, other] = await world.relay("--source", source);
    await using reader = new Reader(other, "s");
    await reader.reached(20);
    const killed = performance.now();
    await first.kill("SIGKILL");
    await goesOn(world, reader, killed);
    assertOfSource(reader.data, "s");
  },
});

Deno.test({
  name:
    "A relay that may not take over a source lives on, and takes over when it may",
  ignore,
  async fn() {
    const rights = (deny: string): string =>
      `authorization { users: [ { user: u, password: p, permissions: { publish: { deny: ["${deny}"] } } } ] }`;
    const server = await NatsServer.start({ config: rights("none") });
    await using world = await World.start(server, "u:p@");
    const [first, url] = await world.relay();
    const [second, other] = await world.relay();
    await put(url, "s", world.upstreams.source("s", 100_000));
    await using reader = new Reader(other, "s");
    await reader.reached(20);
    await server.reload(rights("$KV.rivulet_leases.>"));
    await first.kill("SIGKILL");
    await until(
      () => second.said.includes("Cannot continue topic s") || undefined,
      LIMIT,
      "the relay to say that it cannot go on",
    );
    await server.reload(rights("none"));
    await reader.reached(reader.data.length + 20);
    assertOfSource(reader.data, "s");
  },
});

Deno.test({
  name: "Another relay goes on with a source of one that is told to stop",
  ignore,
  async fn() {
    await using world = await World.start();
    const [first, url] = await world.relay("--drain", "0s");
    const [, other] = await world.relay();
    await put(url, "s", world.upstreams.source("s", 100_000));
    await using reader = new Reader(other, "s");
    await reader.reached(20);
    // A client that does not close its connection holds the relay up.
    await using _mute = await RawWebSocket.open(url, "/ws");
    const stopped = performance.now();
    await first.kill("SIGTERM");
    await goesOn(world, reader, stopped);
    assertOfSource(reader.data, "s");
  },
});

Deno.test({
  name: "A topic whose publisher is lost with its relay ends for all others",
  ignore,
  async fn() {
    await using world = await World.start();
    const [first, url] = await world.relay();
    const [, other] = await world.relay();
    const published = await fetch(`${url}/topics/p?within=1000`, {
      method: "POST",
      headers: { "Content-Type": "text/event-stream" },
      body: "data: a\n\n",
    });
    await published.body?.cancel();
    assertEquals(published.status, 200);
    await using reader = new Reader(other, "p");
    await reader.reached(1);
    await first.kill("SIGKILL");
    await within(reader.over, LIMIT, "the end");
    assertEquals(
      reader.end,
      "truncated: Its publisher has not gone on within 1000 ms",
    );
  },
});
