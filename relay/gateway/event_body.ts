import { isError, Leftovers } from "../../src/model/leftovers.ts";
import type { SseDiagnostic } from "../../src/sse/diagnostic.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { SseParser } from "../../src/sse/parser.ts";
import type { AnswerBody } from "../upstream/answer.ts";

/** A byte order mark, one of which may begin a stream. */
const BOM = "\ufeff";

/** The most that is kept of lines that are no fields, in UTF-16 code units. */
const MOST_LEFT = 64 * 1024;

/** Options of an {@linkcode EventBody}. */
export interface EventBodyOptions {
  /** The longest event, in UTF-16 code units. */
  readonly maxEventSize: number;
  /** Called before each wait for the provider. */
  onWait(): void;
  /** Called with the bytes that have come, before their events are returned. The bytes may be kept. */
  onBytes(bytes: Uint8Array): void;
  /**
   * Called after that with how much is held of an event that is not whole, and of
   * lines that are no fields, in UTF-16 code units.
   */
  onPending(size: number, left: number): void;
}

/** The bytes of a body, as far as they have come. */
export type Bytes = Pick<AnswerBody, "next" | "cancel">;

/** Events in their order. */
interface Batch {
  readonly events: ServerSentEvent[];
  /** Whether it is an error that came in no event. */
  readonly isStray: boolean;
}

/**
 * Reads the events of a body that comes in small pieces, and their bytes. It finds
 * the errors, too, that the standard tells a parser to pass over.
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
  readonly #leftovers = new Leftovers(MOST_LEFT);
  /** The batches before those events, if there is an error among them. */
  #batches: Batch[] = [];
  #isStray = false;
  #isOver = false;
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
      onEvent: (event) => {
        // As in `AnswerBody`: most pieces have one event.
        if (this.#events.length === 0) this.#events = [event];
        else this.#events.push(event);
      },
      onDiagnostic: (diagnostic) => {
        // Of an event that is given up, nothing is kept. One that is not whole at the
        // end of the body is none, unless it is an error.
        if (this.#failure || sizeOf(diagnostic) > MOST_LEFT) return;
        this.#stray(this.#leftovers.take(diagnostic));
      },
    });
  }

  /** Whether the last batch is an error that came in no event. */
  get isStray(): boolean {
    return this.#isStray;
  }

  /**
   * Returns the next events, at least one, or `undefined` at the end. Rejects as the
   * body does, and with the parser's errors. An error that came in no event is a batch
   * of its own, in its place.
   */
  async nextBatch(): Promise<ServerSentEvent[] | undefined> {
    for (;;) {
      this.#isStray = false;
      if (this.#batches.length > 0) return this.#nextOfBatches();
      if (this.#events.length > 0) {
        const events = this.#events;
        this.#events = [];
        return events;
      }
      if (this.#failure) throw this.#failure.error;
      if (this.#isOver) return undefined;
      this.#options.onWait();
      let bytes: Uint8Array | undefined;
      try {
        bytes = await this.#body.next();
      } catch (error) {
        this.#failure ??= { error };
      }
      if (!bytes) {
        this.#endBody();
        continue;
      }
      this.#options.onBytes(bytes);
      // It may have been given up meanwhile.
      if (this.#failure) continue;
      this.#parse(bytes);
      const { pendingSize } = this.#parser;
      this.#options.onPending(pendingSize, this.#leftovers.size);
    }
  }

  /** Gives up the events that have not come: `nextBatch` rejects with an error. */
  giveUp(error: unknown): void {
    this.#failure ??= { error };
    this.#leftovers.rest();
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

  #nextOfBatches(): ServerSentEvent[] | undefined {
    const batch = this.#batches.shift();
    this.#isStray = batch?.isStray === true;
    return batch?.events;
  }

  /** Looks for errors in what only the end of the body tells, if it broke off too. */
  #endBody(): void {
    this.#isOver = true;
    if (!this.#failure) this.#parser.end();
    this.#leftovers.rest().forEach((event) => this.#stray(event));
  }

  /** Keeps an event that is an error: no other is made of what is no event. */
  #stray(event: ServerSentEvent | undefined): void {
    if (!event || !isError(event)) return;
    const before = this.#events;
    this.#events = [];
    if (before.length > 0) {
      this.#batches.push({ events: before, isStray: false });
    }
    this.#batches.push({ events: [event], isStray: true });
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

/** The text of something that a parser passes over, in UTF-16 code units. */
function sizeOf(diagnostic: SseDiagnostic): number {
  return diagnostic.type === "unfinished" ? diagnostic.data.length : 0;
}
