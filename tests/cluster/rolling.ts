/**
 * Two relays of a cluster behind nginx, which are replaced one after the other while
 * somebody publishes and others follow.
 *
 * @module
 */
import { subscribe } from "../../relay/client/mod.ts";
import { FetchEventSource, type ReconnectPolicy } from "../../src/fetch/mod.ts";
import { freePort } from "../support/http/free_port.ts";
import { NatsServer } from "../support/nats/nats_server.ts";
import { MortalRelay } from "../support/relay/mortal_relay.ts";
import { LIMIT, until, within } from "../support/within.ts";
import { Nginx } from "./nginx.ts";

/** The pause between two publications, in milliseconds. */
const PACE = 20;

/** The relay to replace, and the number of relays. */
export interface RollingOptions {
  /** The checkout of the relays before. Default: this one. */
  readonly before?: string | undefined;
  /** The number of subscribers of each kind. */
  readonly subscribers: number;
  /** The time that a relay may take to send its subscribers away, in milliseconds. */
  readonly drain: number;
}

/** The result of a replacement. */
export interface RollingResult {
  /** The number of events that were acknowledged. */
  readonly published: number;
  /** The number of attempts to publish that were not acknowledged. */
  readonly repeated: number;
  /** The longest time without an event of each subscriber of a kind, in milliseconds: ascending. */
  readonly away: ReadonlyMap<string, readonly number[]>;
  /** The faults found. */
  readonly faults: readonly string[];
}

/** Replaces one relay after the other. */
export async function rollOut(options: RollingOptions): Promise<RollingResult> {
  await using nats = await NatsServer.start();
  const ports = [freePort(), freePort()];
  const start = async (port: number, checkout?: string) => {
    const relay = new MortalRelay(
      [
        ...["--port", String(port), "--store", `nats://${nats.host}`],
        ...["--trusted-proxy", "127.0.0.1", "--drain", `${options.drain}ms`],
        ...["--log-level", "error"],
      ],
      {},
      undefined,
      checkout,
    );
    if (!await within(relay.listening, LIMIT, "a relay to listen")) {
      throw new Error(await relay.ended());
    }
    await until(() => isReady(port), LIMIT, "a relay to be ready");
    return relay;
  };
  const relays = [];
  for (const port of ports) relays.push(await start(port, options.before));
  try {
    await using proxy = await Nginx.start(ports);
    await using publisher = new RollingPublisher(proxy.url);
    await publisher.reached(10);
    const kinds = [
      () => new WebSocketFollower(proxy.url),
      () => new SseFollower(proxy.url, "EventSource", AS_BROWSERS),
      () => new SseFollower(proxy.url, "FetchEventSource", {}),
    ];
    const followers = Array.from(
      { length: options.subscribers },
      () => kinds.map((follow) => follow()),
    ).flat();
    for (const follower of followers) await follower.reached(10);
    for (const [index, port] of ports.entries()) {
      await relays[index]!.kill("SIGTERM"); // there are as many
      relays[index] = await start(port);
      await publisher.reached(publisher.count + 20);
    }
    await publisher.finish();
    const faults: string[] = [];
    for (const follower of followers) {
      const end = await within(follower.over, LIMIT, "the end");
      const { numbers } = follower;
      const isExact = numbers.every((number, index) => number === index);
      if (
        end !== "complete" || !isExact || numbers.length !== publisher.count
      ) {
        faults.push(`${follower.kind}: ${end}, ${numbers.length}`);
      }
    }
    const away = new Map<string, number[]>();
    for (const { kind, away: time } of followers) {
      away.set(kind, [...away.get(kind) ?? [], time].sort((a, b) => a - b));
    }
    const { count, repeated } = publisher;
    return { published: count, repeated, away, faults };
  } finally {
    for (const relay of relays) await relay.kill("SIGKILL");
  }
}

async function isReady(port: number): Promise<true | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    await response.body?.cancel();
    return response.ok || undefined;
  } catch {
    return undefined;
  }
}

/** Publishes 0, 1, 2, ..., each until it is acknowledged. */
class RollingPublisher implements AsyncDisposable {
  /** The number of events that were acknowledged. */
  count = 0;
  /** The number of attempts that were not. */
  repeated = 0;
  readonly #url: string;
  readonly #running: Promise<void>;
  #isOver = false;
  #error: unknown;

  constructor(url: string) {
    this.#url = url;
    this.#running = this.#run().catch((error) => void (this.#error = error));
  }

  async reached(count: number): Promise<void> {
    await until(
      () => {
        if (this.#error) throw this.#error;
        return this.count >= count || undefined;
      },
      LIMIT,
      `${count} events to be acknowledged`,
    );
  }

  /** Publishes no more, and ends the topic. */
  async finish(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    if (this.#error) throw this.#error;
    await this.#post(
      "/topics/t/end",
      "application/json",
      '{"status":"complete"}',
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      await this.#post("/topics/t", "text/plain", `${this.count}`);
      this.count++;
      await pause(PACE);
    }
  }

  async #post(path: string, type: string, body: string): Promise<void> {
    const key = crypto.randomUUID();
    for (let attempt = 0; attempt < 200; attempt++) {
      const status = await this.#ask(path, type, body, key);
      if (status === 200) return;
      this.repeated++;
      await pause(50);
    }
    throw new Error(`POST ${path} was refused 200 times`);
  }

  /** Returns the status of an answer; `undefined` without one. */
  async #ask(
    path: string,
    type: string,
    body: string,
    key: string,
  ): Promise<number | undefined> {
    try {
      const response = await fetch(this.#url + path, {
        method: "POST",
        headers: { "Content-Type": type, "Idempotency-Key": key },
        body,
      });
      await response.body?.cancel();
      return response.status;
    } catch {
      return undefined;
    }
  }
}

/** The policy of an `EventSource` in a browser: it waits as long as it is told. */
const AS_BROWSERS: ReconnectPolicy = { minTimeout: 0, multiplier: 1 };

/** One who follows the topic. */
abstract class Follower {
  /** The name of what it follows with. */
  readonly kind: string;
  readonly numbers: number[] = [];
  /** The longest time without an event, in milliseconds. */
  away = 0;
  /** Resolves with the end. */
  abstract readonly over: Promise<string>;
  #last: number | undefined;

  constructor(kind: string) {
    this.kind = kind;
  }

  /** Waits for this many events. */
  async reached(count: number): Promise<void> {
    await until(
      () => this.numbers.length >= count || undefined,
      LIMIT,
      `${count} events: there are ${this.numbers.length}`,
    );
  }

  protected saw(data: string): void {
    const now = performance.now();
    this.away = Math.max(this.away, now - (this.#last ?? now));
    this.#last = now;
    this.numbers.push(Number(data));
  }
}

class WebSocketFollower extends Follower {
  readonly over: Promise<string>;

  constructor(url: string) {
    super("subscribe()");
    this.over = this.#read(url);
  }

  async #read(url: string): Promise<string> {
    await using subscription = subscribe(`${url}/topics/t`);
    for await (const message of subscription) {
      if (message.type === "event") this.saw(message.data);
      else if (message.type === "gap") return `a gap: ${message.reason}`;
    }
    return subscription.end?.status ?? "none";
  }
}

class SseFollower extends Follower {
  readonly over: Promise<string>;

  constructor(url: string, kind: string, reconnect: ReconnectPolicy) {
    super(kind);
    const source = new FetchEventSource(`${url}/topics/t`, { reconnect });
    source.onmessage = ({ data }) => this.saw(data);
    this.over = new Promise((resolve) => {
      const listen = (type: string, end: (data: string) => string): void =>
        source.addEventListener(type, (event) => {
          source.close();
          resolve(end((event as MessageEvent<string>).data)); // it is of a stream
        });
      listen("rivulet.gap", (data) => `a gap: ${data}`);
      listen("rivulet.end", (data) => JSON.parse(data).status);
    });
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
