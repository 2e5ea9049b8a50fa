import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** The most requests that may wait for the answers before them. */
const MAX_WAITING = 32;

/** Answers one request. */
export type AnswerRequest = (
  incoming: IncomingMessage,
  outgoing: ServerResponse,
) => void;

/**
 * The requests of one connection, which are answered one after the other.
 *
 * A peer may send the next before it has its answer (RFC 9112, section 9.3.2).
 * If all were answered at once, one connection could have the relay do any number
 * of things at a time; and an answer that has to wait for others is never told
 * that its connection has gone.
 */
export class RequestQueue {
  readonly #answer: AnswerRequest;
  readonly #goOn: (begin: () => void) => void;
  #current: ServerResponse | undefined;
  #waiting: [IncomingMessage, ServerResponse][] | undefined;

  /**
   * Makes a queue in which nothing waits.
   *
   * @param answer Answers a request.
   * @param goOn Calls back when it is the turn of a request that has waited for the
   * answer before it. Pipelined requests of eight connections, each of them begun as
   * soon as the one before was answered, took 190 ms in which nobody else was served.
   */
  constructor(answer: AnswerRequest, goOn: (begin: () => void) => void) {
    this.#answer = answer;
    this.#goOn = goOn;
  }

  /** Whether a request is being answered. */
  get isBusy(): boolean {
    return this.#current !== undefined;
  }

  /**
   * Whether nothing else can be said now: an answer has begun and not ended, or is
   * owed to a request that is whole, and would be taken for it.
   */
  get isAnswering(): boolean {
    const outgoing = this.#current;
    return outgoing !== undefined &&
      (outgoing.headersSent || outgoing.req.complete);
  }

  /** Whether a request is being answered that is whole, and said that none will follow. */
  get isLast(): boolean {
    const outgoing = this.#current;
    return outgoing !== undefined && !outgoing.shouldKeepAlive &&
      outgoing.req.complete;
  }

  /**
   * Makes the answer that is owed to a whole request the last one of the connection,
   * unless it has begun.
   *
   * @returns Whether there is such an answer.
   */
  endWithCurrent(): boolean {
    const outgoing = this.#current;
    if (!outgoing?.req.complete || outgoing.headersSent) return false;
    outgoing.shouldKeepAlive = false;
    this.drop();
    return true;
  }

  /**
   * Answers a request when its turn comes.
   *
   * @returns Whether there was room for it.
   */
  add(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
    if (!this.#current) {
      this.#begin(incoming, outgoing);
      return true;
    }
    this.#waiting ??= [];
    if (this.#waiting.length >= MAX_WAITING) return false;
    this.#waiting.push([incoming, outgoing]);
    return true;
  }

  /**
   * Drops the requests that wait, as their connection is about to be destroyed.
   *
   * Otherwise the runtime makes an error with a stack trace for each, which takes
   * 0.3 ms: pipelined requests kept everybody else waiting for half a second.
   */
  drop(): void {
    for (const [incoming] of this.#waiting ?? []) incoming.destroy();
    this.#waiting = undefined;
  }

  #begin(incoming: IncomingMessage, outgoing: ServerResponse): void {
    this.#current = outgoing;
    outgoing.on("close", () => this.#next(incoming.socket));
    this.#answer(incoming, outgoing);
  }

  #next(socket: Socket): void {
    this.#current = undefined;
    // On a connection that has gone, or is to go, there will be no more answers.
    if (!socket.writable) this.#waiting = undefined;
    const next = this.#waiting?.shift();
    if (!next) return;
    this.#current = next[1]; // what comes meanwhile is behind it
    this.#goOn(() => {
      if (socket.writable) this.#begin(...next);
      else this.#next(socket);
    });
  }
}
