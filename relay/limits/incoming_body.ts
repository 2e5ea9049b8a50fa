import type { IncomingMessage } from "node:http";
import type { Clock } from "../../src/fetch/clock.ts";
import type { Problem } from "../problem.ts";
import type { Part, PartReader } from "./incoming_reader.ts";
import { chunksOf } from "./body_chunks.ts";
import { ClientRates } from "./client_rates.ts";
import { type Elsewhere, NOWHERE } from "./elsewhere.ts";
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
  /** The bodies that clients send to other workers, which count too. Default: none. */
  readonly elsewhere?: Elsewhere | undefined;
}

/** Counts the bodies of requests: what is held of them, and how fast they come. */
export class BodyIntake {
  readonly #received: ReceiveBudget;
  readonly #bytes: ClientRates;
  readonly #chunks: ClientRates;

  /** Counts nothing yet. */
  constructor(
    {
      maxBodyRate,
      maxBodyChunkRate,
      received,
      clock,
      elsewhere = NOWHERE,
    }: BodyIntakeOptions,
  ) {
    this.#received = received;
    this.#bytes = new ClientRates(maxBodyRate, clock, {
      thing: "body_bytes",
      elsewhere,
    });
    this.#chunks = new ClientRates(maxBodyChunkRate, clock, {
      thing: "body_chunks",
      elsewhere,
    });
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
 * Reads a body no faster than its client may send, and fails when it is refused.
 */
export class CountedReader implements PartReader {
  readonly #reader: PartReader;
  readonly #incoming: IncomingBody;
  readonly #clock: Clock;
  /** The read that waits. */
  #waiting: Pick<PromiseWithResolvers<Part>, "resolve" | "reject"> | undefined;
  /** Resolves when the next part may be read. */
  #due: Promise<void> | undefined;
  #cancelTimer = (): void => {};
  #problem: Problem | undefined;
  #isOver = false;

  /**
   * Takes over a body.
   *
   * @param reader Reads the body.
   * @param incoming Counts it.
   * @param clock The source of time.
   */
  constructor(reader: PartReader, incoming: IncomingBody, clock: Clock) {
    this.#reader = reader;
    this.#incoming = incoming;
    this.#clock = clock;
    incoming.onRefused = (problem) => {
      this.#problem = problem;
      this.#waiting?.reject(problem);
      // An error in discarding the rest does not matter.
      void this.#stop().catch(() => {});
    };
  }

  /** Returns the next part, as a reader of a stream does; one at a time. */
  read(): Promise<Part> {
    return this.#due || this.#problem || this.#isOver
      ? this.#readLater()
      : this.#readNow();
  }

  async #readLater(): Promise<Part> {
    if (this.#due) await this.#due;
    this.#due = undefined;
    if (this.#problem) throw this.#problem;
    return this.#isOver ? { done: true } : await this.#readNow();
  }

  #readNow(): Promise<Part> {
    // Not an async function: a body has a read for each event.
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#reader.read().then(this.#onPart, reject);
    });
  }

  readonly #onPart = (part: Part): void => {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    // Nobody waits for it if it was refused, or nothing is read any more.
    if (!waiting || this.#problem || this.#isOver) return;
    if (part.done) {
      this.#isOver = true;
      this.#incoming.onRefused = undefined;
      return waiting.resolve(part);
    }
    try {
      this.#pause(this.#incoming.took(part.value.byteLength));
    } catch (error) {
      return waiting.reject(error);
    }
    waiting.resolve(part);
  };

  /** Has the next read wait. */
  #pause(delay: number): void {
    if (delay <= 0) return;
    this.#due = new Promise((resolve) => {
      const cancel = this.#clock.setTimeout(resolve, delay);
      this.#cancelTimer = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Takes no more parts; a read that waits is at the end. */
  async cancel(): Promise<void> {
    this.#waiting?.resolve({ done: true });
    await this.#stop();
  }

  async #stop(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#incoming.onRefused = undefined;
    this.#cancelTimer();
    await this.#reader.cancel();
  }
}
