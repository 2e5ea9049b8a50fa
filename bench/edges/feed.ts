import { sleep } from "../sleep.ts";

/** The time of the machine, in milliseconds, to the microsecond. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Publishes to one topic over a WebSocket, at a rate. */
export class Feed implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #topic: string;
  readonly #closed: Promise<unknown>;
  #isStopped = false;

  private constructor(socket: WebSocket, topic: string) {
    this.#socket = socket;
    this.#topic = topic;
    this.#closed = new Promise((resolve) => socket.onclose = resolve);
  }

  /** Connects. */
  static async open(url: string, topic = "t"): Promise<Feed> {
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
    const feed = new Feed(socket, topic);
    await new Promise((resolve) => socket.onopen = resolve);
    return feed;
  }

  /** Publishes until it is stopped. */
  async run(rate: number): Promise<void> {
    const start = performance.now();
    for (let sent = 0; !this.#isStopped;) {
      const due = (performance.now() - start) * rate / 1_000;
      for (; sent < due; sent++) this.#publish(`${now()} ${"x".repeat(100)}`);
      await sleep(1);
    }
  }

  /** Publishes a text, which is no time. */
  async say(text: string): Promise<void> {
    this.#publish(text);
    await sleep(1);
  }

  /** Publishes no more. */
  stop(): void {
    this.#isStopped = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    this.#socket.close();
    await this.#closed;
  }

  #publish(data: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(
      JSON.stringify({
        type: "publish",
        topic: this.#topic,
        events: [{ data }],
      }),
    );
  }
}

/** The measurements. */
interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Subscribers that measure how long events take. */
export class Latencies implements Disposable {
  /** Resolves once all are connected. */
  readonly ready: Promise<unknown>;
  readonly #sockets: WebSocket[] = [];
  #taken: number[] | undefined;

  /** Connects subscribers of the topic that a {@linkcode Feed} fills. */
  constructor(url: string, count: number, topic = "t") {
    this.ready = Promise.all(Array.from({ length: count }, () => {
      const socket = new WebSocket(
        `${url.replace("http", "ws")}/topics/${topic}`,
      );
      this.#sockets.push(socket);
      socket.onmessage = ({ data }) => this.#read(data);
      return new Promise((resolve) => socket.onopen = resolve);
    }));
  }

  /** Begins to measure. */
  begin(): void {
    this.#taken = [];
  }

  /** Sums up. */
  summary(): Summary {
    const taken = [...this.#taken ?? []].sort((a, b) => a - b);
    const at = (part: number): number =>
      taken[Math.min(taken.length - 1, Math.floor(part * taken.length))] ?? 0;
    return { count: taken.length, p50: at(0.5), p99: at(0.99), max: at(1) };
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.close();
  }

  #read(text: string): void {
    const arrived = now();
    const { type, events } = JSON.parse(text);
    if (type !== "events" || !this.#taken) return;
    for (const { data } of events) {
      const sent = Number.parseFloat(data);
      if (sent > 0) this.#taken.push(arrived - sent);
    }
  }
}
