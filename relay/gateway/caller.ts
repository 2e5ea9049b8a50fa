import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { STATUS_TEXT } from "@std/http/status";
import type { Problem } from "../problem.ts";

/**
 * A caller that reads slower than its provider writes is let go from this many
 * bytes on: the run goes on, and it may come back for the rest.
 */
const MAX_BEHIND = 16 * 1024 * 1024;

/** Who has asked for something, and waits for the provider's answer. */
export class Caller {
  readonly #response: ServerResponse;
  readonly #onRefusal: (problem: Problem) => void;
  #isDone = false;

  /**
   * Takes over a response that is not begun.
   *
   * @param response The response.
   * @param onLeave Called if it goes before its answer is whole.
   * @param onRefusal Called if it is told a problem. Default: nobody is told.
   */
  constructor(
    response: ServerResponse,
    onLeave: () => void,
    onRefusal: (problem: Problem) => void = () => {},
  ) {
    this.#onRefusal = onRefusal;
    this.#response = response;
    response.on("error", () => {}); // `close` follows
    const onClose = (): void => {
      if (this.#isDone) return;
      this.#isDone = true;
      onLeave();
    };
    // It may have gone while its request was being read.
    if (response.destroyed) queueMicrotask(onClose);
    else response.on("close", onClose);
  }

  /** Whether it is not there any more, or has all it will get. */
  get isGone(): boolean {
    return this.#isDone;
  }

  /** Whether the answer has begun: it can be no other any more. */
  get isAnswered(): boolean {
    return this.#response.headersSent;
  }

  /** Begins the answer. */
  head(
    status: number,
    statusText: string,
    headers: Headers,
  ): void {
    if (this.#isDone || this.isAnswered) return;
    // What the relay's own part of the answer depends on: it would be replaced.
    const vary = this.#response.getHeader("vary");
    if (vary !== undefined) headers.append("vary", String(vary));
    this.#response.writeHead(status, statusText, Object.fromEntries(headers));
    this.#response.flushHeaders();
  }

  /** Sends bytes on; cuts a caller that does not take them. */
  write(bytes: Uint8Array): void {
    if (this.#isDone || bytes.length === 0) return;
    this.#response.write(bytes);
    if (this.#response.writableLength > MAX_BEHIND) this.#response.destroy();
  }

  /** Resolves when there is room for more, or nobody to have it. */
  drained(): Promise<void> {
    const response = this.#response;
    if (this.#isDone || !response.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        response.off("drain", done);
        response.off("close", done);
        resolve();
      };
      response.on("drain", done);
      response.on("close", done);
    });
  }

  /** Ends the answer: it is whole. */
  end(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#response.end();
  }

  /** Says why there is no answer; cuts the connection where one was begun. */
  refuse(problem: Problem): void {
    if (this.isAnswered) return this.cut();
    if (!this.#isDone) this.#onRefusal(problem);
    const body = Buffer.from(problem.body);
    const headers = new Headers(problem.headers);
    headers.set("content-type", "application/problem+json");
    headers.set("content-length", String(body.length));
    this.head(problem.status, STATUS_TEXT[problem.status], headers);
    this.write(body);
    this.end();
  }

  /**
   * Cuts the connection, once what was written is sent: the answer is not whole,
   * and must not look so.
   */
  cut(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    const { socket } = this.#response;
    if (socket) socket.destroySoon();
    else this.#response.destroy();
  }
}
