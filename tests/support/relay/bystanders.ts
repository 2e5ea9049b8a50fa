/**
 * Those who behave, beside those who do not.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { readEvents } from "../../../src/sse/read_events.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { RawWebSocket } from "../subscribers/raw_websocket.ts";
import { within } from "../within.ts";

const LIMIT = 10_000;

const TOPIC = "bystanders";

/**
 * A subscriber by each door, whom nothing may pass by, and who asks by a connection
 * of its own each time: a relay that serves them, serves.
 */
export class Bystanders implements AsyncDisposable {
  readonly #url: string;
  readonly #socket: RawWebSocket;
  readonly #events: AsyncIterator<ServerSentEvent>;
  #count = 0;

  private constructor(
    url: string,
    socket: RawWebSocket,
    events: AsyncIterator<ServerSentEvent>,
  ) {
    this.#url = url;
    this.#socket = socket;
    this.#events = events;
  }

  /** Subscribes by both doors. */
  static async open(url: string): Promise<Bystanders> {
    const socket = await RawWebSocket.open(url, `/topics/${TOPIC}`);
    await socket.message("subscribed");
    const { body } = await fetch(`${url}/topics/${TOPIC}`, {
      headers: { Accept: "text/event-stream" },
    });
    if (!body) throw new Error("Expected an event stream");
    const events = readEvents(body)[Symbol.asyncIterator]();
    return new Bystanders(url, socket, events);
  }

  /**
   * Publishes an event, and sees that it, and nothing else, is what both get next.
   *
   * @param what After what, in words.
   */
  async check(what: string): Promise<void> {
    const data = `${++this.#count}: ${what}`;
    const response = await within(
      fetch(`${this.#url}/topics/${TOPIC}`, {
        method: "POST",
        // A connection that is kept could be closed just as it is used.
        headers: { "Content-Type": "application/json", Connection: "close" },
        body: JSON.stringify({ data }),
      }),
      LIMIT,
      () => `an answer after ${what}`,
    );
    const { epoch, first } = await response.json();
    assertEquals([response.status, first], [200, this.#count], what);
    const { offset, events } = await this.#socket.message("events");
    assertEquals([offset, events], [this.#count, [{ data }]], what);
    const event = await within(
      this.#nextEvent(),
      LIMIT,
      () => `an event after ${what}`,
    );
    const id = `${epoch}:${this.#count}`;
    assertEquals(event, { event: "message", data, id }, what);
  }

  async #nextEvent(): Promise<ServerSentEvent | undefined> {
    for (;;) {
      const { done, value } = await this.#events.next();
      if (done) return undefined;
      if (value.event !== "rivulet.live") return value;
    }
  }

  /** They leave. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#events.return?.();
    await this.#socket[Symbol.asyncDispose]();
  }
}
