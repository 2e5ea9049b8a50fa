import type { ServerSentEvent } from "../../src/sse/event.ts";
import { SseParser } from "../../src/sse/parser.ts";
import type { AnswerBody } from "../upstream/answer.ts";

/** A byte order mark, one of which may begin a stream. */
const BOM = "\ufeff";

/** Options of an {@linkcode EventBody}. */
export interface EventBodyOptions {
  /** The longest event, in UTF-16 code units. */
  readonly maxEventSize: number;
  /** Called before each wait for the provider. */
  onWait(): void;
  /** Called with the bytes that have come, before their events are returned. The bytes may be kept. */
  onBytes(bytes: Uint8Array): void;
  /** Called after that with how much is held of an event that is not whole, in UTF-16 code units. */
  onPending(size: number): void;
}

/** The bytes of a body, as far as they have come. */
export type Bytes = Pick<AnswerBody, "next" | "cancel">;

/**
 * Reads the events of a body that comes in small pieces, and their bytes.
 *
 * It parses the bytes itself, since `readEvents` would take two streams.
 */
export class EventBody implements Disposable {
  readonly #body: Bytes;
  readonly #options: EventBodyOptions;
  readonly #parser: SseParser;
  // Deno 2.9.6 also strips a mark from the middle of a stream, if a piece begins
  // with it.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #hasBegun = false;
  #events: ServerSentEvent[] = [];
  /** The error of the events after those that were returned. */
  #failure: { readonly error: unknown } | undefined;

  /**
   * Takes over a body.
   *
   * @param body The body.
   * @param options The limits and callbacks.
   */
  constructor(body: Bytes, options: EventBodyOptions) {
    this.#body = body;
    this.#options = options;
    this.#parser = new SseParser({
      maxEventSize: options.maxEventSize,
      onEvent: (event) => this.#events.push(event),
    });
  }

  /**
   * Returns the next events, at least one, or `undefined` at the end. Rejects as the
   * body does, and with the parser's errors.
   */
  async nextBatch(): Promise<ServerSentEvent[] | undefined> {
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      this.#options.onWait();
      const bytes = await this.#body.next();
      if (!bytes) return undefined; // an unfinished event is none
      this.#options.onBytes(bytes);
      // It may have been given up meanwhile.
      if (this.#failure) continue;
      this.#parse(bytes);
      this.#options.onPending(this.#parser.pendingSize);
      if (this.#events.length === 0) continue;
      const events = this.#events;
      this.#events = [];
      return events;
    }
  }

  /** Gives up the events that have not come: `nextBatch` rejects with an error. */
  giveUp(error: unknown): void {
    this.#failure ??= { error };
    this.#parser.end();
  }

  /**
   * Reads on, and looks for no events.
   *
   * @returns Whether anything has come; not at the end. Rejects as the body does.
   */
  async skip(): Promise<boolean> {
    this.#options.onWait();
    const bytes = await this.#body.next();
    if (bytes) this.#options.onBytes(bytes);
    return bytes !== undefined;
  }

  /** Stops reading. */
  [Symbol.dispose](): void {
    this.#body.cancel();
  }

  #parse(bytes: Uint8Array): void {
    try {
      const text = this.#decoder.decode(bytes, { stream: true });
      const hasMark = !this.#hasBegun && text.startsWith(BOM);
      this.#hasBegun ||= text !== "";
      this.#parser.push(hasMark ? text.slice(BOM.length) : text);
    } catch (error) {
      this.giveUp(error);
    }
  }
}
