import type { IncomingMessage } from "node:http";
import type { Clock } from "../../src/fetch/clock.ts";
import type { Problem } from "../problem.ts";
import { chunksOf } from "./body_chunks.ts";
import { ClientRates } from "./client_rates.ts";
import type { ReceiveAccount, ReceiveBudget } from "./memory/receive_budget.ts";

/** The limits on bodies that count for all bodies of a client together. */
export interface BodyIntakeOptions {
  /** The most bytes of bodies that are read of one client in a second, on average. */
  readonly maxBodyRate: number;
  /** The most chunks of these. */
  readonly maxBodyChunkRate: number;
  /** Counts the bytes that are held. */
  readonly received: ReceiveBudget;
  /** The source of time. */
  readonly clock: Clock;
}

/** Counts the bodies of requests: what is held of them, and how fast they come. */
export class BodyIntake {
  readonly #received: ReceiveBudget;
  readonly #bytes: ClientRates;
  readonly #chunks: ClientRates;

  /** Counts nothing yet. */
  constructor(
    { maxBodyRate, maxBodyChunkRate, received, clock }: BodyIntakeOptions,
  ) {
    this.#received = received;
    this.#bytes = new ClientRates(maxBodyRate, clock);
    this.#chunks = new ClientRates(maxBodyChunkRate, clock);
  }

  /**
   * Counts the body of a request until it is disposed of.
   *
   * @param incoming The request.
   * @param client The name under which limits count the caller.
   */
  open(incoming: IncomingMessage, client: string): IncomingBody {
    return new IncomingBody(
      incoming,
      this.#received.open(client),
      (bytes, chunks) =>
        Math.max(
          this.#bytes.spend(client, bytes),
          this.#chunks.spend(client, chunks),
        ),
    );
  }
}

/** The body of one request, as limits count it. */
export class IncomingBody implements Disposable {
  readonly #incoming: IncomingMessage;
  readonly #account: ReceiveAccount;
  readonly #spend: (bytes: number, chunks: number) => number;
  #chunks = 0;
  /** The bytes of the last part. */
  #last = 0;

  /**
   * Makes a body of which nothing has come.
   *
   * @param incoming The request.
   * @param account The account of the bytes that are held.
   * @param spend Counts bytes and chunks against the rates of the client; returns the
   * time until the next may be read, in milliseconds.
   */
  constructor(
    incoming: IncomingMessage,
    account: ReceiveAccount,
    spend: (bytes: number, chunks: number) => number,
  ) {
    this.#incoming = incoming;
    this.#account = account;
    this.#spend = spend;
  }

  /**
   * Counts a part that has come.
   *
   * @returns The time until the next part may be read, in milliseconds.
   * @throws {Problem} If the body is refused, as too much is held.
   */
  took(bytes: number): number {
    this.#last = bytes;
    this.#account.add(bytes);
    const before = this.#chunks;
    this.#chunks = chunksOf(this.#incoming);
    return this.#spend(bytes, this.#chunks - before);
  }

  /** Counts bytes that have been made of the body, and are held beside it. */
  add(bytes: number): void {
    this.#account.add(bytes);
  }

  /** Takes note that nothing is held any more of what came before the last part. */
  passedOn(): void {
    this.#account.set(Math.min(this.#account.bytes, this.#last));
  }

  /** Takes note that all has come: what is kept of it counts, and is not refused. */
  whole(): void {
    this.#account.whole();
  }

  /** Called when the body is refused while the next part is waited for. */
  set onRefused(listener: ((problem: Problem) => void) | undefined) {
    this.#account.onRefused = listener;
  }

  /** Counts nothing any more. */
  [Symbol.dispose](): void {
    this.#account[Symbol.dispose]();
  }
}

/**
 * Returns a body that is read no faster than its client may send, and that errors
 * when it is refused.
 *
 * @param body The body.
 * @param incoming Counts it.
 * @param clock The source of time.
 */
export function countedStream(
  body: ReadableStream<Uint8Array>,
  incoming: IncomingBody,
  clock: Clock,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let isOver = false;
  let cancelWait = (): void => {};
  const stop = (): void => {
    isOver = true;
    incoming.onRefused = undefined;
    cancelWait();
  };
  return new ReadableStream({
    start(controller): void {
      incoming.onRefused = (problem) => {
        stop();
        controller.error(problem);
        // Why the rest cannot be discarded is of no interest.
        void reader.cancel(problem).catch(() => {});
      };
    },
    async pull(controller): Promise<void> {
      const { done, value } = await reader.read();
      if (isOver) return;
      if (done) {
        stop();
        return controller.close();
      }
      // The listener has ended it already if this throws.
      const delay = incoming.took(value.byteLength);
      controller.enqueue(value);
      if (delay === 0) return;
      // The stream asks for the next part when this resolves.
      await new Promise<void>((resolve) => {
        const cancel = clock.setTimeout(resolve, delay);
        cancelWait = () => {
          cancel();
          resolve();
        };
      });
    },
    cancel(reason): Promise<void> {
      stop();
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
