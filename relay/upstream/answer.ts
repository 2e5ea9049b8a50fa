import { Buffer } from "node:buffer";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { HeaderList } from "../header_list.ts";
import { PARSERS_PUSH } from "../runtime.ts";
import { MAX_HEADERS } from "./head_limits.ts";
import { UpstreamConnectionError } from "./upstream_connection_error.ts";

/** An answer with one of these statuses has no body (Fetch, section 2.2.3). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** Whether an answer has no body. */
export function isBodiless(status: number, method: string): boolean {
  return BODILESS.has(status) || method === "HEAD";
}

/**
 * The answer of an upstream, as it comes.
 *
 * It is no `Response`, and its body no stream, since streams cost more than all else
 * that is done with a short answer, or with one event of a long one.
 */
export interface UpstreamAnswer {
  /** The status. */
  readonly status: number;
  /** The words beside the status. */
  readonly statusText: string;
  /** Whether the status says that all went well. */
  readonly ok: boolean;
  /** The headers. */
  readonly headers: HeaderList;
  /** The body; `null` if the answer has none. */
  readonly body: AnswerBody | null;
}

/** Returns an answer as one of `fetch`. */
export function toResponse(
  { status, statusText, headers, body }: UpstreamAnswer,
): Response {
  const init = { status, statusText, headers: headers.toHeaders() };
  return new Response(body?.stream() ?? null, init);
}

/** The characters of a reason phrase (RFC 9112, section 4). */
const REASON = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Makes an answer of what HTTP says of it.
 *
 * @throws {RangeError} If it has no status, or no words, that HTTP knows.
 */
export function answerOf(
  status: number,
  statusText: string,
  headers: HeaderList,
  body: AnswerBody | null,
): UpstreamAnswer {
  // As a `Response` has it: 101 is told apart elsewhere.
  const isKnown = status === 101 || status >= 200 && status <= 599;
  if (!isKnown || !REASON.test(statusText)) {
    throw new RangeError(
      `it has answered with the status '${status} ${statusText}', which HTTP does not know`,
    );
  }
  const ok = status >= 200 && status < 300;
  return { status, statusText, ok, headers, body };
}

/**
 * Returns the answer that `node:http` brings.
 *
 * @throws {Error} If it has too many headers, or one that HTTP does not allow.
 */
export function toAnswer(
  incoming: IncomingMessage,
  outgoing: ClientRequest,
  method: string,
  signal: AbortSignal,
): UpstreamAnswer {
  if (incoming.rawHeaders.length > 2 * MAX_HEADERS) {
    throw new Error(`the answer has more than ${MAX_HEADERS} headers`);
  }
  const { rawHeaders, statusCode: status = 0, statusMessage = "" } = incoming;
  const headers = HeaderList.fromRaw(rawHeaders);
  if (isBodiless(status, method)) {
    incoming.resume();
    return answerOf(status, statusMessage, headers, null);
  }
  const body = new AnswerBody(incoming, {
    isWhole: () => incoming.complete,
    cancel: () => outgoing.destroy(),
    request: outgoing,
    isParsed: PARSERS_PUSH,
    signal,
  });
  return answerOf(status, statusMessage, headers, body);
}

/** Options of a body that is read. */
export interface BodyOptions {
  /** Whether a body that has ended is whole. */
  isWhole(): boolean;
  /** Stops the body. */
  cancel(): void;
  /** The request, if it hears of errors before the answer does. */
  readonly request?: ClientRequest;
  /**
   * Whether the parts are taken where the parser of `node:http` gives them to the
   * stream. Default: `false`, they are those of the stream.
   */
  readonly isParsed?: boolean;
  /** Stops the request, and the body of its answer. */
  readonly signal: AbortSignal;
}

/** The most bytes of an answer that wait to be read. */
const MAX_UNREAD = 64 * 1024;

/**
 * The most bytes that are read at once: with more, the events of one read are as many
 * as a small topic retains, and its subscribers have no turn before some are gone.
 */
const MAX_READ = 64 * 1024;

/** A part of at most this many bytes is copied if it is a piece of a large buffer. */
const SHORT = 4 * 1024;

/** A buffer of more bytes is large: those from which `Buffer` cuts short ones have 8 KiB. */
const LARGE = 8 * 1024;

/**
 * The body of an answer, which is read as fast as it is asked for.
 *
 * A stream of Node drops what it holds when it breaks off. What came before is kept
 * here, and read first.
 */
export class AnswerBody {
  readonly #incoming: Readable;
  readonly #options: BodyOptions;
  #parts: Uint8Array[] = [];
  #unread = 0;
  /** Whether the stream waits for room. */
  #isFull = false;
  #end: { readonly error?: unknown } | undefined;
  #wake = (): void => {};

  /** Begins to read a body. */
  constructor(incoming: Readable, options: BodyOptions) {
    this.#incoming = incoming;
    this.#options = options;
    const { isWhole, isParsed, request } = options;
    const fail = (cause: unknown): void => this.#fail(cause);
    if (isParsed) this.#takePushed();
    else {
      incoming.on("data", (part: Uint8Array) => {
        if (!this.#add(part)) incoming.pause();
      });
    }
    // The connection tells the request first: an answer without a length would seem
    // whole.
    request?.on("error", fail);
    incoming.on("error", fail);
    incoming.on("end", () => isWhole() ? this.#finish({}) : this.#break());
    incoming.on("close", () => this.#break());
  }

  /** Whether the body has ended, is whole, and has been read. */
  get isOver(): boolean {
    return this.#end !== undefined && !("error" in this.#end) &&
      this.#parts.length === 0;
  }

  /**
   * Returns the bytes that have come, 64 KiB at most, once there are any; `undefined`
   * at the end. The bytes may be kept. To be called again when it has resolved.
   *
   * Rejects with an {@linkcode UpstreamConnectionError} if the body has broken off,
   * and as its signal does if it was stopped.
   */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#isEmpty) await this.#news();
    const parts = this.#take();
    const [first] = parts;
    if (parts.length > 1) return Buffer.concat(parts);
    return first && first.length <= SHORT && first.buffer.byteLength > LARGE
      ? Buffer.from(first)
      : first;
  }

  /** Stops the body, unless it is over. */
  cancel(): void {
    if (this.#end) return;
    this.#options.cancel();
    this.#finish({});
  }

  /** Returns the body as a stream, which is read in place of this. */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      type: "bytes",
      pull: async (controller) => {
        while (this.#isEmpty) await this.#news();
        const parts = this.#take();
        if (parts.length > 0) {
          // A copy: the stream takes over the buffer, which may hold other parts.
          controller.enqueue(new Uint8Array(Buffer.concat(parts)));
          return;
        }
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel: () => this.cancel(),
    });
  }

  /** Whether there is nothing to read yet. */
  get #isEmpty(): boolean {
    return this.#parts.length === 0 && !this.#end;
  }

  /** Resolves at the next part, or the end. */
  #news(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }

  /**
   * Returns the parts that have come, as many as are read at once; none at
   * the end.
   */
  #take(): Uint8Array[] {
    let parts = this.#parts;
    if (parts.length === 0 && this.#end && "error" in this.#end) {
      throw this.#end.error;
    }
    if (this.#unread <= MAX_READ) {
      this.#parts = [];
      this.#unread = 0;
    } else {
      parts = this.#takeFirst(MAX_READ);
      this.#unread -= MAX_READ;
    }
    if (this.#isFull && this.#unread < MAX_UNREAD) {
      this.#isFull = false;
      this.#goOn();
    }
    return parts;
  }

  /** Takes as many bytes as are wanted from the front of more. */
  #takeFirst(wanted: number): Uint8Array[] {
    let count = 0;
    let left = wanted;
    for (const { length } of this.#parts) {
      if (length > left) break;
      left -= length;
      count++;
    }
    const parts = this.#parts.splice(0, count);
    const [next] = this.#parts;
    if (next && left > 0) {
      parts.push(next.subarray(0, left));
      this.#parts[0] = next.subarray(left);
    }
    return parts;
  }

  /** Takes a part; returns whether there is room for more. */
  #add(part: Uint8Array): boolean {
    // An array that grows has room for 17, and most reads find one.
    if (this.#parts.length === 0) this.#parts = [part];
    else this.#parts.push(part);
    this.#unread += part.length;
    this.#wake();
    this.#isFull = this.#unread >= MAX_UNREAD;
    return !this.#isFull;
  }

  /**
   * Takes the parts before they are in the stream, which costs more than all that is
   * done with a part of an event stream. The stream has the end alone.
   */
  #takePushed(): void {
    const incoming = this.#incoming;
    const push = incoming.push.bind(incoming);
    incoming.push = (part: Uint8Array | null) =>
      part ? this.#add(part) : push(part);
    incoming.resume();
  }

  /** Has more read after there was no room. */
  #goOn(): void {
    // An answer that is over has no connection any more: `_read` would throw.
    if (this.#end) return;
    // So a stream has its connection read.
    if (this.#options.isParsed) this.#incoming._read(0);
    else this.#incoming.resume();
  }

  #break(): void {
    // Of a body that is over, nobody would read the error.
    if (!this.#end) this.#fail(new Error("the answer has broken off"));
  }

  #fail(cause: unknown): void {
    if (this.#end) return;
    const { signal } = this.#options;
    this.#finish({
      error: signal.aborted
        ? signal.reason
        : new UpstreamConnectionError(cause),
    });
  }

  #finish(end: { readonly error?: unknown }): void {
    this.#end ??= end;
    this.#wake();
  }
}
