import type { Duplex } from "node:stream";
import { STATUS_TEXT } from "@std/http/status";
import type { Clock } from "../../../src/fetch/clock.ts";
import type { Problem } from "../../problem.ts";

/** The time that a peer has to read its answer, in milliseconds. */
const LINGER = 1_000;

const encoder = new TextEncoder();

/** One for all sockets. */
function ignore(): void {}

function answerOf({ status, body, headers }: Problem): string {
  return [
    `HTTP/1.1 ${status} ${STATUS_TEXT[status]}`,
    "Content-Type: application/problem+json",
    `Content-Length: ${encoder.encode(body).byteLength}`,
    "Connection: close",
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "",
    body,
  ].join("\r\n");
}

/**
 * Connections that were told a refusal, and are to go.
 *
 * To close one at once on which more is coming would take the answer from the
 * peer (RFC 9112, section 9.6): it is half closed, and cut a little later.
 */
export class RefusedSockets implements Disposable {
  readonly #clock: Clock;
  readonly #maxLingering: number;
  readonly #cancels = new Map<Duplex, () => void>();

  /**
   * Makes it for no sockets yet.
   *
   * @param clock The source of time.
   * @param maxLingering The most peers that are given time at once; more are cut.
   */
  constructor(clock: Clock, maxLingering: number) {
    this.#clock = clock;
    this.#maxLingering = maxLingering;
  }

  /** Whether a socket is one of them. */
  has(socket: Duplex): boolean {
    return this.#cancels.has(socket);
  }

  /** Answers whatever came on a socket with a problem, and closes it. */
  refuse(socket: Duplex, problem: Problem): void {
    if (this.#cancels.has(socket)) return;
    // Without a listener it would be fatal that a peer is gone.
    socket.on("error", ignore);
    if (!socket.writable || this.#cancels.size >= this.#maxLingering) {
      return void socket.destroy();
    }
    const cancel = this.#clock.setTimeout(() => socket.destroy(), LINGER);
    this.#cancels.set(socket, cancel);
    socket.on("close", () => {
      cancel();
      this.#cancels.delete(socket);
    });
    socket.end(answerOf(problem));
    // The rest of the input is read only to see the end of it.
    socket.removeAllListeners("data");
    socket.resume();
  }

  /** Cuts all of them. */
  [Symbol.dispose](): void {
    for (const socket of this.#cancels.keys()) socket.destroy();
  }
}
