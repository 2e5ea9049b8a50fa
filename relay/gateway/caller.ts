import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { setImmediate } from "node:timers";
import { STATUS_TEXT } from "@std/http/status";
import { cutAnswer, dropAnswer } from "../cut_answer.ts";
import type { Problem } from "../problem.ts";
import type { SendAccount } from "../limits/memory/send_budget.ts";
import { ByteQueue } from "./byte_queue.ts";
import { HeaderList } from "../header_list.ts";
import { writeChunk } from "../write_chunk.ts";
import { sdkProblem } from "./sdk_problem.ts";

/**
 * The most bytes that wait for a caller which reads slower than its provider
 * writes. Beyond that its connection is closed; the run goes on, and the caller may
 * come back for the rest.
 */
const MAX_BEHIND = 16 * 1024 * 1024;

/**
 * The bytes that are given to the response before it has sent them. A socket tells
 * nothing of a write before all of it is taken: of 16 MiB at once, a caller that
 * reads slowly could not be told from one that reads nothing.
 */
const AHEAD = 64 * 1024;

/** The statuses of answers without a body (RFC 9110, section 15). */
const NO_CONTENT = 204;
const RESET_CONTENT = 205;
const NOT_MODIFIED = 304;

/** The members of a caller that a run uses. */
export type CallerOfRun = Pick<
  Caller,
  "isGone" | "head" | "write" | "drained" | "end" | "refuse" | "cut"
>;

/** The caller of a run whose caller went with the relay before this one. */
export const NO_CALLER: CallerOfRun = {
  isGone: true,
  head: () => {},
  write: () => {},
  drained: () => Promise.resolve(),
  end: () => {},
  refuse: () => {},
  cut: () => {},
};

const NOTHING = new Uint8Array();

/** A caller, which waits for the provider's answer. */
export class Caller {
  readonly #response: ServerResponse;
  readonly #onRefusal: (problem: Problem) => void;
  /** The bytes that the response has no room for yet. */
  readonly #queue = new ByteQueue();
  readonly #account: SendAccount | undefined;
  /** The action that is due when the queue is empty. */
  #last: (() => void) | undefined;
  #isDone = false;
  /** Whether the head waits for what follows it. */
  #isHeadDue = false;
  /** Whether the head has been written. */
  #isHeadSent = false;
  /** The number of bytes that are left of the length that the head says. */
  #left = Infinity;

  /**
   * Takes over a response that has not begun.
   *
   * @param response The response.
   * @param onLeave Called if the caller leaves before it has its whole answer.
   * @param onRefusal Called if the caller is answered with a problem. Default: does
   * nothing.
   * @param account Opens an account of the bytes that wait for the caller; it is
   * given what cuts the connection. Default: they are not counted.
   */
  constructor(
    response: ServerResponse,
    onLeave: () => void,
    onRefusal: (problem: Problem) => void = () => {},
    account?: (drop: () => void) => SendAccount,
  ) {
    this.#account = account?.(() => this.#drop());
    this.#onRefusal = onRefusal;
    this.#response = response;
    response.on("error", () => {}); // `close` follows
    const onClose = (): void => {
      this.#account?.close();
      this.#queue.clear();
      if (this.#isDone) return;
      this.#isDone = true;
      onLeave();
    };
    response.on("drain", () => this.#drain());
    // The caller may have left while its request was being read.
    if (response.destroyed) queueMicrotask(onClose);
    else response.on("close", onClose);
  }

  /** Whether the caller has left, or has all that it will get. */
  get isGone(): boolean {
    return this.#isDone;
  }

  /** Whether the answer has begun: then it cannot become another. */
  get isAnswered(): boolean {
    return this.#response.headersSent;
  }

  /**
   * Begins the answer.
   *
   * @param status The status.
   * @param statusText The words beside it.
   * @param headers The headers; they are the caller's from then on.
   * @param isFollowed Whether what follows is expected at once: then the head waits
   * for it until the end of this turn of the event loop, and a short answer is one write
   * instead of three. Default: `false`.
   */
  head(
    status: number,
    statusText: string,
    headers: HeaderList,
    isFollowed = false,
  ): void {
    if (this.#isDone || this.isAnswered) return;
    // `writeHead` would replace what the relay itself has set.
    const vary = this.#response.getHeader("vary");
    if (vary !== undefined) headers.append("vary", String(vary));
    this.#frame(status, headers);
    this.#response.writeHead(
      status,
      statusText,
      headers.toRaw(),
    );
    this.#isHeadDue = true;
    if (isFollowed) setImmediate(this.#sendHead);
    else this.#sendHead();
  }

  readonly #sendHead = (): void => {
    if (!this.#isHeadDue || this.#response.destroyed) return;
    this.#isHeadDue = false;
    this.#isHeadSent = true;
    // Not by `flushHeaders`, which encodes the bytes of headers once more.
    this.#response.write(NOTHING);
  };

  /**
   * Makes the head say what the body's length is (RFC 9112, section 6.3): whatever it
   * says else, the next answer of the connection would begin at another place.
   */
  #frame(status: number, headers: HeaderList): void {
    if (status === NO_CONTENT) headers.delete("content-length");
    if (status === RESET_CONTENT) headers.set("content-length", "0");
    const length = headers.get("content-length");
    const hasBody = this.#response.req.method !== "HEAD" &&
      status !== NOT_MODIFIED;
    if (hasBody && length !== null) this.#left = Number(length);
  }

  /**
   * Sends bytes; closes the connection of a caller that does not read them. Cuts the
   * connection if there are more than the head says.
   */
  write(bytes: Uint8Array): void {
    if (this.#isDone || bytes.length === 0) return;
    if (bytes.length > this.#left) return this.cut();
    this.#left -= bytes.length;
    const response = this.#response;
    const isFree = this.#queue.length === 0 && bytes.length <= AHEAD &&
      response.writableLength < AHEAD;
    if (isFree) {
      // Not by the queue, which takes 16 KiB for a first short piece.
      if (this.#isHeadSent) writeChunk(response, bytes);
      else response.write(bytes);
      this.#isHeadDue = false;
      this.#isHeadSent = true;
      this.#account?.set(response.writableLength);
      return;
    }
    this.#queue.push(bytes);
    this.#drain();
    if (this.behind > MAX_BEHIND) this.#drop();
  }

  /** The number of bytes that the caller has not taken. */
  get behind(): number {
    return this.#queue.length + this.#response.writableLength;
  }

  /** Resolves when there is room for more, or the caller has left. */
  drained(): Promise<void> {
    const response = this.#response;
    if (this.#isDone || !response.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        // The queue has taken the room.
        if (response.writableNeedDrain && !response.closed) return;
        response.off("drain", done);
        response.off("close", done);
        resolve();
      };
      response.on("drain", done);
      response.on("close", done);
    });
  }

  /**
   * Ends the answer, which is whole; cuts the connection if the head says that there is
   * more.
   *
   * @param last The last bytes: of a short answer they leave with the head and the end.
   * Default: none.
   */
  end(last: Uint8Array = NOTHING): void {
    const isAll = this.#left === last.length || this.#left === Infinity;
    if (!isAll || this.behind > 0 || last.length > AHEAD) {
      this.write(last);
      if (this.#left > 0 && this.#left < Infinity) return this.cut();
      last = NOTHING;
    }
    if (this.#isDone) return;
    this.#isDone = true;
    this.#isHeadDue = false;
    this.#finish(() => {
      this.#response.end(last);
      this.#account?.set(this.behind);
    });
  }

  /** Answers with a problem; cuts the connection if an answer has begun. */
  refuse(problem: Problem): void {
    if (this.isAnswered) return this.cut();
    if (!this.#isDone) this.#onRefusal(problem);
    const told = sdkProblem(problem);
    const body = Buffer.from(told.body);
    const headers = new HeaderList(Object.entries(told.headers));
    headers.set("content-type", "application/problem+json");
    headers.set("content-length", String(body.length));
    this.head(problem.status, STATUS_TEXT[problem.status], headers, true);
    this.end(body);
  }

  /**
   * Cuts the connection once what was written is sent: the answer is not whole,
   * and must not look whole.
   */
  cut(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#sendHead();
    this.#finish(() => cutAnswer(this.#response));
  }

  #finish(last: () => void): void {
    this.#last = last;
    this.#drain();
  }

  #drop(): void {
    this.#queue.clear();
    dropAnswer(this.#response);
  }

  /** Gives the response as much of the queue as it has room for. */
  #drain(): void {
    const response = this.#response;
    while (response.writableLength < AHEAD) {
      const bytes = this.#queue.take(AHEAD);
      if (!bytes) break;
      response.write(bytes);
    }
    this.#account?.set(this.behind);
    if (this.#queue.length > 0) return;
    const last = this.#last;
    this.#last = undefined;
    last?.();
  }
}
