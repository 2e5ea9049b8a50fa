/**
 * Those who behave, beside those who do not.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { readEvents } from "../../../src/sse/read_events.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { LIMIT, within } from "../within.ts";

const TOPIC = "bystanders";

/**
 * A subscriber by each door, whom nothing may pass by, and who asks by a connection
 * of its own each time: a relay that serves them, serves.
 */
export class Bystanders implements AsyncDisposable {
  readonly #url: string;
  readonly #socket: WebSocket;
  readonly #messages: ReadableStreamDefaultReader<Message>;
  readonly #events: AsyncIterator<ServerSentEvent>;
  #count = 0;

  private constructor(
    url: string,
    socket: WebSocket,
    messages: ReadableStreamDefaultReader<Message>,
    events: AsyncIterator<ServerSentEvent>,
  ) {
    this.#url = url;
    this.#socket = socket;
    this.#messages = messages;
    this.#events = events;
  }

  /** Subscribes by both doors. */
  static async open(url: string): Promise<Bystanders> {
    // It answers pings while nobody reads: some things take minutes on a busy machine.
    const socket = new WebSocket(
      `${url.replace(/^http/, "ws")}/topics/${TOPIC}`,
    );
    const messages = messagesOf(socket).getReader();
    await nextOf(messages, "subscribed");
    const { body } = await fetch(`${url}/topics/${TOPIC}`, {
      headers: { Accept: "text/event-stream" },
    });
    if (!body) throw new Error("Expected an event stream");
    const events = readEvents(body)[Symbol.asyncIterator]();
    return new Bystanders(url, socket, messages, events);
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
    const { offset, events } = await within(
      nextOf(this.#messages, "events"),
      LIMIT,
      () => `a message after ${what}`,
    );
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
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    this.#socket.close();
    await closed;
  }
}

/** A message of the relay, which nothing has checked yet. */
interface Message {
  readonly type: string;
  readonly offset?: number;
  readonly events?: unknown;
}

function messagesOf(socket: WebSocket): ReadableStream<Message> {
  return new ReadableStream({
    start(controller) {
      socket.onmessage = ({ data }) => controller.enqueue(JSON.parse(data));
      socket.onclose = ({ code, reason }) =>
        controller.error(
          new Error(`The connection was closed with ${code} ${reason}`),
        );
    },
  });
}

/** Reads on to the next message of this type. */
async function nextOf(
  messages: ReadableStreamDefaultReader<Message>,
  type: string,
): Promise<Message> {
  for (;;) {
    const { value } = await messages.read();
    if (value?.type === type) return value;
  }
}
