import { wallClock } from "../../fanout/event.ts";
import type { Tally } from "../../fanout/generator/tally.ts";
import { PATH, readContent } from "../event.ts";
import { ResponseReader } from "./response_reader.ts";

/** The requests of a caller, one run after the other. */
export interface CallOptions {
  /** The prefix of its topics. */
  readonly name: string;
  /** The events of a run, but for the first one and those it ends with. */
  readonly events: number;
  /** The events of the first run, so that not all callers begin a new one at once. */
  readonly firstEvents: number;
  /** In events a second. */
  readonly rate: number;
}

/** The tallies that count it. */
export interface CallTallies {
  /** The events. */
  readonly events: Tally;
  /** The times from a request to the head of its answer. */
  readonly heads: Tally;
}

const encoder = new TextEncoder();

/** One who asks for a run as soon as the one before is over. */
export class Call {
  readonly #options: CallOptions;
  readonly #tallies: CallTallies;
  readonly #send: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly #onTopic: (topic: string) => void;
  readonly #reader: ResponseReader;
  #runs = 0;
  #events = 0;
  #asked = 0;
  #next = 1;
  /** The time at which the bytes came that are being read. */
  #now = 0;

  /**
   * Makes one that asks for nothing yet.
   *
   * @param options What it asks for.
   * @param tallies Where it counts what comes.
   * @param send Sends to the server.
   * @param onTopic Called with the name of a run's topic, well before the run.
   */
  constructor(
    options: CallOptions,
    tallies: CallTallies,
    send: (bytes: Uint8Array<ArrayBuffer>) => void,
    onTopic: (topic: string) => void,
  ) {
    this.#options = options;
    this.#tallies = tallies;
    this.#send = send;
    this.#onTopic = onTopic;
    this.#reader = new ResponseReader({
      onHead: () => this.#onHead(),
      onEvent: (data) => this.#onEvent(data),
      onEnd: () => this.#onEnd(),
    });
  }

  /** Asks for the first run. */
  start(): void {
    const { firstEvents } = this.#options;
    this.#onTopic(this.#topic);
    this.#ask(firstEvents);
  }

  /** Takes what has come, by the wall clock, in milliseconds. */
  push(text: string, now: number): void {
    this.#now = now;
    this.#reader.push(text);
  }

  get #topic(): string {
    return `${this.#options.name}-${this.#runs}`;
  }

  #ask(events: number): void {
    const { rate } = this.#options;
    const body = JSON.stringify({
      model: "bench",
      stream: true,
      events,
      rate,
      messages: [{ role: "user", content: "Why is the sky blue?" }],
    });
    const request = encoder.encode(
      `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\n` +
        "Content-Type: application/json\r\nAuthorization: Bearer bench\r\n" +
        `Rivulet-Topic: ${this.#topic}\r\nRivulet-On-Disconnect: cancel\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    this.#events = events;
    this.#next = 1;
    this.#asked = wallClock();
    this.#send(request);
  }

  #onHead(): void {
    this.#tallies.heads.latencies.add(this.#now - this.#asked);
    this.#runs++;
    this.#onTopic(this.#topic);
  }

  #onEvent(data: string): void {
    const tally = this.#tallies.events;
    tally.delivered++;
    const content = readContent(data);
    if (!content) return;
    tally.latencies.add(this.#now - content.sent);
    if (content.sequence !== this.#next++) tally.errors++;
  }

  #onEnd(): void {
    if (this.#next !== this.#events + 1) this.#tallies.events.errors++;
    this.#ask(this.#options.events);
  }
}
