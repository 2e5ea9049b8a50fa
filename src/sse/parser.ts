// This module is browser compatible.

import { flatPiece } from "./_flat_piece.ts";
import { Fragments } from "./_fragments.ts";
import type { SseDiagnostic } from "./diagnostic.ts";
import { EventTooLargeError } from "./errors.ts";
import type { ServerSentEvent } from "./event.ts";

const NUL = "\0";
const LF = 10;
const SPACE = 32;
const COLON = 58;
const A = 97;
const D = 100;
const E = 101;
const N = 110;
const T = 116;
const V = 118;
const DIGIT_0 = 48;
const DIGIT_9 = 57;

/** The longest delay that a timer can take; a `retry` above it counts as it. */
const MAX_RECONNECTION_TIME = 2 ** 31 - 1;

const DEFAULT_MAX_EVENT_SIZE = 64 * 1024 * 1024;

/**
 * The longest text that is parsed in place, in UTF-16 code units; a longer one is
 * copied piece by piece, so that what is kept of it does not keep all of it.
 *
 * Copying costs about as much as parsing (27 to 45 ns for a token event of 210
 * characters, against 36), as it doubles what goes through memory, and chunks
 * from the network are rarely longer than this.
 */
const MAX_IN_PLACE = 64 * 1024;

/** The fields that the standard knows; a comment has an empty one. */
const FIELDS = ["data", "event", "id", "retry"];

/** The number of parts of a line in a rope; further parts begin another rope. */
const ROPE = 64;

/** Options for {@linkcode SseParser}. */
export interface SseParserOptions {
  /** Called for every event, at its blank line. */
  onEvent: (event: ServerSentEvent) => void;
  /**
   * Called for every comment, at the end of its line, with what follows the
   * colon, less one leading space.
   */
  onComment?: ((comment: string) => void) | undefined;
  /**
   * Called for every valid `retry`, at the end of its line, with the new
   * reconnection time in milliseconds.
   */
  onRetry?: ((reconnectionTime: number) => void) | undefined;
  /** Called for what the standard tells a parser to pass over in silence. */
  onDiagnostic?: ((diagnostic: SseDiagnostic) => void) | undefined;
  /**
   * The most that one event may accumulate, in UTF-16 code units. At every line
   * this is the length of the event's data so far (with the LFs between its
   * lines), of its type and of its id, and of the whole line being read; so a
   * line of any kind, a comment too, can never be longer either.
   *
   * @default {67_108_864}
   */
  maxEventSize?: number | undefined;
  /**
   * The action when an event is larger than `maxEventSize`: throw an
   * {@linkcode EventTooLargeError}, or report a `too-large` diagnostic, skip to
   * the blank line that ends the event, and go on. A skipped event leaves no trace: its
   * id is not committed, and the fields and comments in the rest of it are not
   * seen.
   *
   * @default {"throw"}
   */
  onTooLarge?: "throw" | "skip" | undefined;
  /**
   * The last event id to begin with: that of the stream that this one resumes.
   *
   * @default {""}
   */
  lastEventId?: string | undefined;
}

/**
 * Parses the text of an event stream, in chunks of any size, as the standard has
 * it.
 *
 * Lines end in CR, LF or CRLF, wherever the chunks are cut; an event is
 * dispatched as soon as its blank line is complete, a final CR included. The time
 * taken is linear in the length of the text, whatever is in it. A string that is
 * kept from an event keeps the chunk alive that it came in if that was of 65,536
 * code units or fewer, and otherwise a piece of 2,048.
 *
 * The parser takes text, so the decoder has to strip a byte order mark:
 * `TextDecoder` and `TextDecoderStream` do. The parser does not strip a second
 * one.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream | HTML Standard, section 9.2.5}
 *
 * @example Parse a stream that comes in chunks
 * ```ts
 * import { type ServerSentEvent, SseParser } from "@rivulet/rivulet/sse";
 * import { assertEquals } from "@std/assert";
 *
 * const events: ServerSentEvent[] = [];
 * const parser = new SseParser({ onEvent: (event) => events.push(event) });
 * parser.push("id: 7\nda");
 * parser.push("ta: hello\n\nevent: bye\ndata\n\n");
 *
 * assertEquals(events, [
 *   { event: "message", data: "hello", id: "7" },
 *   { event: "bye", data: "", id: "7" },
 * ]);
 * ```
 */
export class SseParser {
  readonly #onEvent: (event: ServerSentEvent) => void;
  readonly #onComment: ((comment: string) => void) | undefined;
  readonly #onRetry: ((reconnectionTime: number) => void) | undefined;
  readonly #onDiagnostic: ((diagnostic: SseDiagnostic) => void) | undefined;
  readonly #maxEventSize: number;
  readonly #skipTooLarge: boolean;

  #lastEventId: string;
  #reconnectionTime: number | undefined;

  // The event in the making. `#newId` is undefined unless it has given an id.
  #event = "";
  #newId: string | undefined;
  #data = "";
  #dataLines = 0;
  #dataLength = 0;
  readonly #moreData = new Fragments("\n");

  // The line in the making, which began at `#lineOffset`: `#ropes`, and then
  // `#partial`, a rope of `#parts` parts. A rope is the cheapest way to put the few
  // parts together that most lines come in (1.4 times faster than joining an
  // array at chunks of 64 to 1,024 characters), but it takes 32 bytes of heap for
  // each part until it is flattened: too much for a long line that comes
  // character by character, so a new one is begun now and then.
  #partial = "";
  #parts = 0;
  readonly #ropes = new Fragments("");
  #partialLength = 0;
  #lineOffset = 0;

  // The line being read (from 1), and where the text being read starts.
  #line = 1;
  #base = 0;

  /** The last chunk ended in a CR: an LF at the start of the next belongs to it. */
  #skipLf = false;
  /** The event is too large: everything before its blank line is passed over. */
  #skipping = false;
  #state: "ready" | "parsing" | "stopped" = "ready";
  #error: unknown;

  /**
   * Creates a parser at the start of a stream.
   *
   * @param options The callbacks, the limit, and the id to begin with.
   * @throws {TypeError} If `onEvent` is no function, or `onTooLarge` is neither
   * `"throw"` nor `"skip"`.
   * @throws {RangeError} If `maxEventSize` is not a positive integer.
   */
  constructor(options: SseParserOptions) {
    const {
      onEvent,
      onComment,
      onRetry,
      onDiagnostic,
      maxEventSize = DEFAULT_MAX_EVENT_SIZE,
      onTooLarge = "throw",
      lastEventId = "",
    } = options;
    if (typeof onEvent !== "function") {
      throw new TypeError(
        `Cannot parse as 'onEvent' must be a function: current value is ${onEvent}`,
      );
    }
    if (!Number.isSafeInteger(maxEventSize) || maxEventSize < 1) {
      throw new RangeError(
        `Cannot parse as 'maxEventSize' must be a positive integer: current value is ${maxEventSize}`,
      );
    }
    if (onTooLarge !== "throw" && onTooLarge !== "skip") {
      throw new TypeError(
        `Cannot parse as 'onTooLarge' must be "throw" or "skip": current value is ${onTooLarge}`,
      );
    }
    this.#onEvent = onEvent;
    this.#onComment = onComment;
    this.#onRetry = onRetry;
    this.#onDiagnostic = onDiagnostic;
    this.#maxEventSize = maxEventSize;
    this.#skipTooLarge = onTooLarge === "skip";
    this.#lastEventId = lastEventId;
  }

  /**
   * The last event id: what a request that resumes the stream sends as
   * `Last-Event-ID`, `""` for none.
   *
   * An id is committed at the blank line that ends its event, whether or not
   * the event has data, and outlives the stream.
   *
   * @returns The id.
   */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /**
   * The reconnection time that the stream has asked for last, in milliseconds
   * from 0 to 2^31-1; `undefined` if it never has.
   *
   * @returns The time in milliseconds.
   */
  get reconnectionTime(): number | undefined {
    return this.#reconnectionTime;
  }

  /**
   * The size of the unfinished event and the unfinished line, which
   * `maxEventSize` limits.
   *
   * @returns The number of UTF-16 code units.
   */
  get pendingSize(): number {
    return this.#skipping ? 0 : this.#eventSize() + this.#partialLength;
  }

  /**
   * Parses the next chunk of the stream's text, calling back for what it
   * completes.
   *
   * Once this has thrown, the parser is stopped: the rest of the chunk is lost,
   * and every call throws the same error, until {@linkcode end} makes the
   * parser ready for another stream.
   *
   * @param text The chunk; may be empty, and be cut anywhere.
   * @throws {EventTooLargeError} If an event is over `maxEventSize`, and
   * `onTooLarge` is `"throw"`.
   * @throws {Error} If called from a callback of this parser. Whatever a
   * callback throws passes through.
   */
  push(text: string): void {
    if (this.#state !== "ready") {
      if (this.#state === "stopped") throw this.#error;
      throw new Error(
        "Cannot push to a parser from its own callback: keep the text until the first push returns",
      );
    }
    this.#state = "parsing";
    try {
      if (text.length <= MAX_IN_PLACE) {
        this.#parse(text);
      } else {
        for (let i = 0; i < text.length;) {
          const piece = flatPiece(text, i);
          this.#parse(piece);
          i += piece.length;
        }
      }
      this.#state = "ready";
    } catch (error) {
      this.#state = "stopped";
      this.#error = error;
      throw error;
    }
  }

  /**
   * Ends the stream: an event without its blank line is dropped, with its id, as
   * the standard has it, and reported to `onDiagnostic` as `unfinished`.
   *
   * The parser is then ready for another stream, which starts with this one's
   * {@linkcode lastEventId} and {@linkcode reconnectionTime}.
   *
   * @throws {Error} If called from a callback of this parser.
   */
  end(): void {
    if (this.#state === "parsing") {
      throw new Error(
        "Cannot end a parser from its own callback: call end() once push() has returned",
      );
    }
    const line = this.#line;
    const offset = this.#partialLength > 0 ? this.#lineOffset : this.#base;
    const { cut, event, data } = this.#takeUnfinished();
    this.#dropEvent();
    this.#dropPartial();
    this.#partialLength = 0;
    this.#line = 1;
    this.#base = 0;
    this.#skipLf = false;
    this.#skipping = false;
    this.#state = "ready";
    this.#error = undefined;
    if (cut !== undefined) {
      this.#onDiagnostic?.({ type: "unknown-field", line, offset, ...cut });
    }
    if (data !== undefined) {
      this.#onDiagnostic?.({ type: "unfinished", line, offset, event, data });
    }
  }

  /** Takes the event that the end of the stream leaves without its blank line. */
  #takeUnfinished(): {
    cut?: { field: string; value: string } | undefined;
    event: string;
    data?: string;
  } {
    const event = "message";
    if (
      this.#onDiagnostic === undefined || this.#skipping ||
      this.#state !== "ready"
    ) return { event };
    const isLong = this.#partialLength > this.#partial.length;
    const line = isLong ? this.#ropes.take() + this.#partial : this.#partial;
    const { field, value } = fieldOf(line);
    // Nothing but these two: a comment, an id or a time that is cut off is none.
    if (field === "data" && field.length < line.length) this.#addData(value);
    else if (field === "event") this.#event = value;
    const cut = FIELDS.some((known) => known.startsWith(field))
      ? undefined
      : { field, value };
    if (this.#dataLines === 0) return { cut, event };
    const data = this.#dataLines === 1 ? this.#data : this.#moreData.take();
    return { cut, event: this.#event || event, data };
  }

  /** Parses text that is short, or may be kept alive whole. */
  #parse(text: string): void {
    const end = text.length;
    if (end === 0) return;
    let i = 0;
    if (this.#skipLf) {
      this.#skipLf = false;
      if (text.charCodeAt(0) === LF) i = 1;
    }
    let lf = indexOrEnd(text, "\n", i);
    let cr = indexOrEnd(text, "\r", i);
    if (this.#partialLength > 0) {
      const stop = cr < lf ? cr : lf;
      if (stop === end) {
        if (i < end) this.#addPartial(text, i);
        this.#base += end;
        return;
      }
      this.#endPartial(text.slice(i, stop));
      i = stop + 1;
      if (stop === cr) {
        if (i === end) this.#skipLf = true;
        else if (i === lf) i++;
        cr = indexOrEnd(text, "\r", i);
      }
      if (lf < i) lf = indexOrEnd(text, "\n", i);
    }
    const checked = this.#skipping ||
      this.#eventSize() + end - i > this.#maxEventSize;
    if (checked || cr < end) i = this.#parseLines(text, i, lf, cr, checked);
    else if (lf < end) i = this.#parseLfLines(text, i, lf);
    if (i < end) this.#addPartial(text, i);
    this.#base += end;
  }

  /**
   * Parses the lines of `text` that are whole, from `i`, when it has no CR and
   * cannot exceed the limit. `lf` is the first LF.
   *
   * This is where nearly all streams spend their time. Measured on token events
   * of 210 characters (`bench/parse.ts`), each step of it in nanoseconds for an
   * event: finding the line ends 20, telling the fields 7, all the rest 9.
   *
   * @returns The start of the unfinished line, if there is one.
   */
  #parseLfLines(text: string, i: number, lf: number): number {
    const last = text.length - 1;
    // Below `last`, `text.charCodeAt(lf + 1)` stays inside the text: one read beyond
    // the end, and V8 throws the compiled loop away (`--trace-deopt`).
    while (lf < last) {
      const code = text.charCodeAt(i);
      if (code === D && isData(text, i)) {
        const data = text.slice(
          text.charCodeAt(i + 5) === SPACE ? i + 6 : i + 5,
          lf,
        );
        if (this.#dataLines === 0 && text.charCodeAt(lf + 1) === LF) {
          // One data line and the blank line: what most events end with. This
          // saves the way through the data buffer and a search for the LF.
          i = lf + 2;
          this.#line += 2;
          this.#emit(data);
          lf = text.indexOf("\n", i);
          if (lf === -1) return i;
          continue;
        }
        this.#addData(data);
        this.#line++;
      } else if (code === E && isEvent(text, i)) {
        this.#event = text.slice(
          text.charCodeAt(i + 6) === SPACE ? i + 7 : i + 6,
          lf,
        );
        this.#line++;
      } else {
        this.#parseLine(text, i, lf, this.#base + i);
      }
      i = lf + 1;
      lf = text.indexOf("\n", i);
      if (lf === -1) return i;
    }
    this.#parseLine(text, i, lf, this.#base + i);
    return lf + 1;
  }

  /**
   * Parses the lines of `text` that are whole, from `i`, whatever they end in.
   * `lf` and `cr` are the first of each, or the length of the text.
   *
   * Both are kept until they are passed: searching for both at every line would
   * go through the rest of the text each time, where one of the two is rare.
   *
   * @returns The start of the unfinished line, if there is one.
   */
  #parseLines(
    text: string,
    i: number,
    lf: number,
    cr: number,
    checked: boolean,
  ): number {
    const end = text.length;
    const last = end - 1;
    for (;;) {
      const stop = cr < lf ? cr : lf;
      if (stop === end) return i;
      let next = stop + 1;
      if (stop === cr) {
        if (next === end) this.#skipLf = true;
        else if (next === lf) next++;
        cr = indexOrEnd(text, "\r", next);
        if (
          cr === next && cr < last && !checked && this.#dataLines === 0 &&
          isData(text, i)
        ) {
          // As above, for CR and CRLF.
          next = cr + 1;
          if (text.charCodeAt(next) === LF) next++;
          cr = indexOrEnd(text, "\r", next);
          this.#line += 2;
          this.#emit(text.slice(
            text.charCodeAt(i + 5) === SPACE ? i + 6 : i + 5,
            stop,
          ));
          i = next;
          if (lf < i) lf = indexOrEnd(text, "\n", i);
          continue;
        }
      } else if (cr === end && !checked) {
        // The last CR is behind us.
        return this.#parseLfLines(text, i, lf);
      }
      this.#parseLine(text, i, stop, this.#base + i);
      i = next;
      if (lf < i) lf = indexOrEnd(text, "\n", i);
    }
  }

  /** Ends the line that earlier chunks began. */
  #endPartial(rest: string): void {
    if (this.#skipping) {
      this.#partialLength = 0;
      this.#line++;
      return;
    }
    let line = this.#partial + rest;
    if (this.#partialLength > this.#partial.length) {
      line = this.#ropes.take() + line;
    }
    this.#partial = "";
    this.#partialLength = 0;
    this.#parts = 0;
    this.#parseLine(line, 0, line.length, this.#lineOffset);
  }

  /** Keeps the start of a line whose end has not come yet. */
  #addPartial(text: string, i: number): void {
    const part = i === 0 ? text : text.slice(i);
    if (this.#partialLength === 0) this.#lineOffset = this.#base + i;
    this.#partialLength += part.length;
    if (this.#skipping) return;
    if (++this.#parts > ROPE) {
      this.#ropes.add(this.#partial);
      this.#partial = part;
      this.#parts = 1;
    } else {
      this.#partial += part;
    }
    if (this.#eventSize() + this.#partialLength > this.#maxEventSize) {
      this.#tooLarge(this.#line, this.#lineOffset);
    }
  }

  #dropPartial(): void {
    this.#partial = "";
    this.#parts = 0;
    this.#ropes.clear();
  }

  /** Parses one whole line, `text` from `start` to `end`, without its end. */
  #parseLine(text: string, start: number, end: number, offset: number): void {
    const line = this.#line++;
    if (start === end) {
      this.#endEvent();
      return;
    }
    if (this.#skipping) return;
    if (this.#eventSize() + end - start > this.#maxEventSize) {
      this.#tooLarge(line, offset);
      return;
    }
    const code = text.charCodeAt(start);
    if (code === D && isData(text, start)) {
      this.#addData(text.slice(
        text.charCodeAt(start + 5) === SPACE ? start + 6 : start + 5,
        end,
      ));
      return;
    }
    if (code === E && isEvent(text, start)) {
      this.#event = text.slice(
        text.charCodeAt(start + 6) === SPACE ? start + 7 : start + 6,
        end,
      );
      return;
    }
    this.#parseRareLine(text.slice(start, end), line, offset);
  }

  #parseRareLine(text: string, line: number, offset: number): void {
    const { field, value } = fieldOf(text);
    switch (field) {
      case "data":
        this.#addData(value);
        break;
      case "event":
        this.#event = value;
        break;
      case "id":
        if (!value.includes(NUL)) this.#newId = value;
        break;
      case "retry":
        if (isDigits(value)) {
          const time = Math.min(Number(value), MAX_RECONNECTION_TIME);
          this.#reconnectionTime = time;
          this.#onRetry?.(time);
        } else {
          this.#onDiagnostic?.({ type: "invalid-retry", line, offset, value });
        }
        break;
      case "":
        this.#onComment?.(value);
        break;
      default:
        this.#onDiagnostic?.({
          type: "unknown-field",
          line,
          offset,
          field,
          value,
        });
    }
  }

  #addData(value: string): void {
    if (this.#dataLines === 0) {
      this.#data = value;
      this.#dataLength = value.length;
    } else {
      if (this.#dataLines === 1) this.#moreData.add(this.#data);
      this.#moreData.add(value);
      this.#dataLength += 1 + value.length;
    }
    this.#dataLines++;
  }

  /** Does what the standard says of a blank line. */
  #endEvent(): void {
    this.#skipping = false;
    const lines = this.#dataLines;
    if (lines === 0) {
      this.#commitId();
      this.#event = "";
      return;
    }
    const data = lines === 1 ? this.#data : this.#moreData.take();
    this.#data = "";
    this.#dataLines = 0;
    this.#dataLength = 0;
    this.#emit(data);
  }

  #commitId(): void {
    const id = this.#newId;
    if (id === undefined) return;
    this.#lastEventId = id;
    this.#newId = undefined;
  }

  #emit(data: string): void {
    this.#commitId();
    const id = this.#lastEventId;
    const event = this.#event;
    // Called as a function, so that it is not given the parser as `this`.
    const onEvent = this.#onEvent;
    if (event === "") {
      onEvent({ event: "message", data, id });
    } else {
      this.#event = "";
      onEvent({ event, data, id });
    }
  }

  /** The fields of the event so far. */
  #eventSize(): number {
    const id = this.#newId;
    return this.#dataLength + this.#event.length +
      (id === undefined ? 0 : id.length);
  }

  #tooLarge(line: number, offset: number): void {
    const maxEventSize = this.#maxEventSize;
    if (!this.#skipTooLarge) {
      throw new EventTooLargeError(line, offset, maxEventSize);
    }
    this.#dropEvent();
    this.#dropPartial();
    this.#skipping = true;
    this.#onDiagnostic?.({ type: "too-large", line, offset, maxEventSize });
  }

  #dropEvent(): void {
    this.#event = "";
    this.#newId = undefined;
    this.#data = "";
    this.#dataLines = 0;
    this.#dataLength = 0;
    this.#moreData.clear();
  }
}

/** Takes a line apart, as the standard has it. */
function fieldOf(line: string): { field: string; value: string } {
  let colon = line.indexOf(":");
  if (colon === -1) colon = line.length;
  const value = line.slice(
    line.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1,
  );
  return { field: line.slice(0, colon), value };
}

function isData(text: string, i: number): boolean {
  return text.charCodeAt(i) === D && text.charCodeAt(i + 1) === A &&
    text.charCodeAt(i + 2) === T && text.charCodeAt(i + 3) === A &&
    text.charCodeAt(i + 4) === COLON;
}

function isEvent(text: string, i: number): boolean {
  return text.charCodeAt(i + 1) === V && text.charCodeAt(i + 2) === E &&
    text.charCodeAt(i + 3) === N && text.charCodeAt(i + 4) === T &&
    text.charCodeAt(i + 5) === COLON;
}

function indexOrEnd(text: string, find: string, from: number): number {
  const index = text.indexOf(find, from);
  return index === -1 ? text.length : index;
}

function isDigits(value: string): boolean {
  if (value === "") return false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < DIGIT_0 || code > DIGIT_9) return false;
  }
  return true;
}
