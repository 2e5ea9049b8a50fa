// This module is browser compatible.
import { described } from "./described.ts";

import { CallQueue } from "./call_queue.ts";
import type { SseDiagnostic } from "./diagnostic.ts";
import type { ServerSentEvent } from "./event.ts";
import type { EventReader } from "./event_reader.ts";
import { SseParser, type SseParserOptions } from "./parser.ts";

/** Options for {@linkcode readEvents}. */
export interface ReadEventsOptions extends Omit<SseParserOptions, "onEvent"> {
  /**
   * Called for every chunk that is read, before its events are parsed, with its
   * length in bytes: a sign of life, even if the chunk completes no event.
   */
  onChunk?: ((bytes: number) => void) | undefined;
  /**
   * Called before a chunk is waited for, with how much is held of an event that is
   * not whole yet, in UTF-16 code units: before the first chunk, and then where that
   * has changed. Not called when the reading is over: nothing is held then.
   */
  onPending?: ((size: number) => void) | undefined;
  /**
   * Stops reading: the call that is waiting, or else the next one, rejects with
   * the signal's reason at once, and the body is cancelled with it. If the request has
   * a signal, pass it here too: in Deno 2.9.6, a signal that is passed to `fetch` alone
   * no longer ends the body once the garbage collector has run.
   */
  signal?: AbortSignal | undefined;
}

/**
 * Reads the events of a body of type `text/event-stream`.
 *
 * The body is decoded as UTF-8, as the standard has it: one leading BOM is
 * stripped, and U+FFFD replaces invalid bytes. An unfinished event at the end
 * is dropped. The next chunk is read only when every event of the last one was
 * taken.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream | HTML Standard, section 9.2.5}
 *
 * @param body The bytes. It is locked, and released at the end or when reading
 * is stopped.
 * @param options Limits, callbacks, the id to begin with, a signal.
 * @returns The events, to be iterated.
 * @throws {TypeError} If the body is no stream, or is locked.
 * @throws {TypeError} If `onTooLarge` is neither `"throw"` nor `"skip"`.
 * @throws {RangeError} If `maxEventSize` is not a positive integer.
 *
 * @example Iterate over the events of a response
 * ```ts
 * import { readEvents } from "@rivulet/rivulet/sse";
 * import { assertEquals } from "@std/assert";
 *
 * const response = new Response("data: a\n\nevent: end\ndata: b\n\n");
 * const events = [];
 * for await (const event of readEvents(response.body!)) events.push(event);
 *
 * assertEquals(events, [
 *   { event: "message", data: "a", id: "" },
 *   { event: "end", data: "b", id: "" },
 * ]);
 * ```
 */
export function readEvents(
  body: ReadableStream<Uint8Array>,
  options: ReadEventsOptions = {},
): EventReader {
  // The type says that it is there; callers in JavaScript pass other things.
  const given: unknown = body;
  if (!isStream(given)) {
    const hint = given instanceof Response ? "; pass its 'body'" : "";
    throw new TypeError(
      `Cannot read events as 'body' must be a ReadableStream of bytes: current value is ${
        described(given)
      }${hint}`,
    );
  }
  if (body.locked) {
    throw new TypeError(
      "Cannot read events as 'body' must not be locked: somebody reads it, or has read it",
    );
  }
  return new BodyEventReader(() => body.getReader(), options);
}

/** Options of a reader that finds events where the standard has none. */
export interface RecoveringOptions extends ReadEventsOptions {
  /**
   * Called for what the standard tells a parser to pass over. The event that it
   * returns takes its place among the events.
   */
  recover?:
    | ((diagnostic: SseDiagnostic) => ServerSentEvent | undefined)
    | undefined;
}

/** Reads chunks: the reader of a stream, or what reads bytes without one. */
export interface ChunkReader {
  /** Returns the next chunk, or the end. */
  read(): Promise<
    | { readonly done: false; readonly value: Uint8Array }
    | { readonly done: true; readonly value?: Uint8Array | undefined }
  >;
  /** Stops: a read that is waiting is answered. */
  cancel(reason?: unknown): Promise<void>;
  /** Lets go of a stream. Default: there is none. */
  releaseLock?(): void;
}

/**
 * Reads events as {@linkcode readEvents} does, of bytes that come by no stream: each
 * stream on their way costs more than an event that comes by itself.
 *
 * @param reader The bytes. It is cancelled when reading is stopped.
 * @param options As of `readEvents`.
 */
export function readEventsFrom(
  reader: ChunkReader,
  options: RecoveringOptions = {},
): EventReader {
  return new BodyEventReader(() => reader, options);
}

function isStream(value: unknown): boolean {
  return typeof value === "object" && value !== null && "getReader" in value;
}

/**
 * About how much of a chunk is decoded at once, in bytes: of ASCII, and, once
 * there was anything else, of text that may take two bytes for a code unit.
 */
const ASCII_PIECE = 4096;
const PIECE = 2048;

const LF = 10;
const EMPTY = new Uint8Array(0);

// A decoder that is not told to stream keeps nothing from one call to the next,
// so that these two serve every reader. The first strips a BOM, the second keeps
// it.
const FIRST_DECODER = new TextDecoder();
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Reads a chunk, then decodes and parses it piece by piece as its events are
 * taken.
 *
 * V8 does not copy what is cut from a string, but points into it: a word kept
 * from a decoded chunk would keep the chunk. A piece is decoded on its own, so
 * that nothing keeps more than that. (Decoding all of a chunk and copying the
 * pieces out of it goes through memory twice: 30 ns more for an event of 210
 * bytes.)
 */
class BodyEventReader implements EventReader {
  readonly #reader: ChunkReader;
  readonly #parser: SseParser;
  readonly #onChunk: ((bytes: number) => void) | undefined;
  readonly #onPending: ((size: number) => void) | undefined;
  /** The size that `#onPending` was told last; none is -1. */
  #pending = -1;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#abort();

  /** The chunk that is being decoded; the bytes before `#at` are. */
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  /** An LF of the chunk, or its length if there is none from there on. */
  #nextLf = -1;
  /** The start of a character whose end is still to come. */
  #tail: Uint8Array = EMPTY;
  #decoder = FIRST_DECODER;
  #piece = ASCII_PIECE;

  /** The events that were parsed; those before `#taken` were taken. */
  #queue: ServerSentEvent[] = [];
  #taken = 0;
  /** The id as of the last event that was taken. */
  #lastEventId: string;

  /** Nothing more is to be read. */
  #finished = false;
  /** The events that were not taken are not wanted. */
  #stopped = false;
  /** The error with which the next call rejects, once the queue is empty. */
  #failure: { error: unknown } | undefined;
  readonly #calls = new CallQueue();

  constructor(
    open: () => ChunkReader,
    { onChunk, onPending, signal, recover, ...options }: RecoveringOptions,
  ) {
    this.#parser = new SseParser({
      ...options,
      onEvent: (event) => this.#queue.push(event),
      ...(recover && {
        onDiagnostic: (diagnostic) => {
          options.onDiagnostic?.(diagnostic);
          const event = recover(diagnostic);
          if (!event) return;
          // It has no id of its own.
          this.#queue.push({ ...event, id: this.#parser.lastEventId });
        },
      }),
    });
    this.#lastEventId = this.#parser.lastEventId;
    this.#onChunk = onChunk;
    this.#onPending = onPending;
    this.#signal = signal;
    // The stream is not locked if the options are wrong.
    this.#reader = open();
    if (signal === undefined) return;
    if (signal.aborted) this.#abort();
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  get lastEventId(): string {
    // The parser is ahead of the events that are still to be taken.
    return this.#stopped || this.#taken < this.#queue.length
      ? this.#lastEventId
      : this.#parser.lastEventId;
  }

  get reconnectionTime(): number | undefined {
    return this.#parser.reconnectionTime;
  }

  next(): Promise<IteratorResult<ServerSentEvent, undefined>> {
    // No async function is entered here: this is the way of nearly all events.
    if (this.#calls.isIdle && this.#fill()) {
      return Promise.resolve({ done: false, value: this.#take() });
    }
    return this.#calls.run(() => this.#next());
  }

  nextBatch(): Promise<ServerSentEvent[] | undefined> {
    return this.#calls.run(() => this.#nextBatch());
  }

  reset(): void {
    while (this.#at < this.#chunk.length) this.#parsePiece();
    this.#tail = EMPTY;
    this.#decoder = FIRST_DECODER;
    this.#parser.end();
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.#stop(undefined);
    return DONE;
  }

  async throw(
    error?: unknown,
  ): Promise<IteratorResult<ServerSentEvent, undefined>> {
    await this.#stop(error);
    throw error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop(undefined);
  }

  [Symbol.asyncIterator](): EventReader {
    return this;
  }

  async #next(): Promise<IteratorResult<ServerSentEvent, undefined>> {
    while (!this.#fill()) {
      if (this.#finished) return this.#end(DONE);
      await this.#read();
    }
    return { done: false, value: this.#take() };
  }

  async #nextBatch(): Promise<ServerSentEvent[] | undefined> {
    while (!this.#fill()) {
      if (this.#finished) return this.#end(undefined);
      await this.#read();
    }
    while (this.#at < this.#chunk.length) this.#parsePiece();
    if (this.#stopped) return this.#end(undefined);
    const events = this.#taken === 0
      ? this.#queue
      : this.#queue.slice(this.#taken);
    this.#queue = [];
    this.#taken = 0;
    this.#lastEventId = this.#parser.lastEventId;
    return events;
  }

  /** Parses on as far as the next event, in the chunk that was read. */
  #fill(): boolean {
    if (this.#taken < this.#queue.length) return true;
    // A new array: setting `length` to 0 costs 10 ns more for each event.
    if (this.#taken > 0) this.#queue = [];
    this.#taken = 0;
    while (this.#at < this.#chunk.length) {
      this.#parsePiece();
      if (this.#queue.length > 0) return true;
    }
    return false;
  }

  /** Reads a chunk, or finds out that there is none. */
  async #read(): Promise<void> {
    try {
      this.#tellPending();
      const { done, value } = await this.#reader.read();
      // Stopped while it waited: what has come, if anything, is not wanted.
      if (this.#finished) return;
      if (done) {
        this.#parser.push(this.#decoder.decode(this.#tail));
        this.#parser.end();
        this.#finish();
        this.#reader.releaseLock?.();
        return;
      }
      if (!ArrayBuffer.isView(value)) {
        throw new TypeError(
          `Cannot read events as the body's chunks must be Uint8Arrays: current chunk is a ${typeof value} (text goes through SseParserStream)`,
        );
      }
      this.#onChunk?.(value.byteLength);
      this.#addChunk(value);
    } catch (error) {
      this.#fail(error);
    }
  }

  #tellPending(): void {
    if (!this.#onPending) return;
    const size = this.#parser.pendingSize;
    if (size === this.#pending) return;
    this.#pending = size;
    this.#onPending(size);
  }

  /** Takes a chunk in, except for the character that it may end in the middle of. */
  #addChunk(chunk: Uint8Array): void {
    if (this.#tail.length > 0) {
      const joined = new Uint8Array(this.#tail.length + chunk.length);
      joined.set(this.#tail);
      joined.set(chunk, this.#tail.length);
      chunk = joined;
      this.#tail = EMPTY;
    }
    const cut = unfinishedFrom(chunk);
    if (cut < chunk.length) {
      this.#tail = chunk.slice(cut);
      chunk = chunk.subarray(0, cut);
    }
    this.#chunk = chunk;
    this.#at = 0;
    this.#nextLf = -1;
  }

  #parsePiece(): void {
    const chunk = this.#chunk;
    const start = this.#at;
    const end = this.#pieceEnd(chunk, start);
    const piece = start === 0 && end === chunk.length
      ? chunk
      : chunk.subarray(start, end);
    this.#at = end;
    const text = this.#decoder.decode(piece);
    this.#decoder = DECODER;
    if (text.length !== piece.length) this.#piece = PIECE;
    try {
      this.#parser.push(text);
    } catch (error) {
      this.#fail(error);
    }
    // A callback has stopped the reading; the push went on to its end.
    if (this.#stopped) this.#queue = [];
  }

  /**
   * Returns the place to cut at: about `#piece` bytes on, after a line's end if
   * one is near.
   */
  #pieceEnd(chunk: Uint8Array, start: number): number {
    const full = start + this.#piece;
    if (full >= chunk.length) return chunk.length;
    // A found LF is used until it is passed, because a search reads the whole
    // chunk if LFs are rare.
    if (this.#nextLf < full) {
      const lf = chunk.indexOf(LF, full);
      this.#nextLf = lf === -1 ? chunk.length : lf;
    }
    const end = this.#nextLf + 1;
    if (end <= full + this.#piece && end <= chunk.length) return end;
    // In the middle of a long line: the parser puts it together.
    return start + unfinishedFrom(chunk.subarray(start, full));
  }

  #take(): ServerSentEvent {
    // The index is below the length: every caller has looked.
    const event = this.#queue[this.#taken++] as ServerSentEvent;
    this.#lastEventId = event.id;
    return event;
  }

  /** Ends the iteration: with the error, if there is one to be told. */
  #end<T>(value: T): T {
    const failure = this.#failure;
    if (failure === undefined) return value;
    this.#failure = undefined;
    throw failure.error;
  }

  /** Stops, but for the events that came before the error. */
  #fail(error: unknown): void {
    if (this.#finished) return;
    this.#failure = { error };
    this.#cancel(error);
  }

  #abort(): void {
    if (this.#finished) return;
    const reason = this.#signal?.reason;
    this.#failure = { error: reason };
    this.#drop();
    this.#cancel(reason);
  }

  async #stop(reason: unknown): Promise<void> {
    this.#drop();
    this.#failure = undefined;
    await this.#cancel(reason);
  }

  #drop(): void {
    this.#lastEventId = this.lastEventId;
    this.#stopped = true;
    this.#queue = [];
    this.#taken = 0;
  }

  /** Cancels the body, which also answers a read that is waiting. */
  async #cancel(reason: unknown): Promise<void> {
    this.#chunk = EMPTY;
    this.#at = 0;
    if (this.#finished) return;
    this.#finish();
    try {
      const cancelled = this.#reader.cancel(reason);
      this.#reader.releaseLock?.();
      await cancelled;
    } catch {
      // Nobody is interested in the body any more.
    }
  }

  #finish(): void {
    this.#finished = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/**
 * Returns the start of the unfinished character at the end of `bytes`; their
 * length if there is none.
 *
 * UTF-8 can be cut before any byte that does not continue a character and still
 * decode to the same text, malformed or not: such a byte ends what came before.
 */
function unfinishedFrom(bytes: Uint8Array): number {
  const end = bytes.length;
  for (let i = end - 1; i >= 0 && i >= end - 3; i--) {
    // The index is within the bytes.
    const byte = bytes[i] as number;
    if (byte < 0x80) return end;
    if (byte < 0xc0) continue;
    const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return i + length > end ? i : end;
  }
  return end;
}
