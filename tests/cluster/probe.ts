/**
 * A publisher and a subscriber who note how long they wait.
 *
 * @module
 */
import { subscribe, SubscriptionError } from "../../relay/client/mod.ts";
import { LIMIT } from "../support/within.ts";
import type { GivenTime } from "./given_time.ts";

/** The time between two publications, in milliseconds. */
const INTERVAL = 100;

/** The time after which an answer is not waited for any more, in milliseconds. */
const PATIENCE = 20_000;

/** Counts from 1 in a topic of its own, ten times a second, and reads that. */
export class Probe implements AsyncDisposable {
  readonly #url: string;
  readonly #time: GivenTime;
  readonly #over = new AbortController();
  readonly #work: Promise<unknown>;
  #next = 1;
  #seen = 0;
  #refused = 0;
  #acknowledgedAt = performance.now();
  #seenAt = performance.now();
  #publishing = 0;
  #delivery = 0;
  #failure: unknown;

  constructor(url: string, time: GivenTime) {
    this.#time = time;
    this.#url = `${url}/topics/probe`;
    this.#work = Promise.all([this.#publish(), this.#read()]);
  }

  /** The longest waits since {@linkcode reset}. */
  get gaps(): { publishing: number; delivery: number; refused: number } {
    return {
      publishing: Math.round(this.#publishing),
      delivery: Math.round(this.#delivery),
      refused: this.#refused,
    };
  }

  /** Begins to note anew. */
  reset(): void {
    this.#publishing = this.#delivery = this.#refused = 0;
  }

  /** Waits until what is published now has come. */
  async goesOn(): Promise<void> {
    const { length } = { length: this.#next + 2 };
    await this.#time.until(
      () => {
        if (this.#failure) throw this.#failure;
        return this.#seen >= length || undefined;
      },
      LIMIT,
      () => `the probe to see ${length}: it has seen ${this.#seen}`,
    );
  }

  /** Publishes no more, and checks that all has come. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#time.until(
      () => {
        if (this.#failure) throw this.#failure;
        return this.#seen === this.#next - 1 || undefined;
      },
      LIMIT,
      () => `the probe to see ${this.#next - 1}: it has seen ${this.#seen}`,
    );
  }

  #isEnding = false;

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#work;
  }

  async #publish(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      if (!this.#isEnding && await this.#add(this.#next)) {
        const now = performance.now();
        const gap = now - this.#acknowledgedAt;
        this.#publishing = Math.max(this.#publishing, gap);
        this.#acknowledgedAt = now;
        this.#next++;
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    }
  }

  async #add(n: number): Promise<boolean> {
    try {
      const response = await fetch(this.#url, {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          "Idempotency-Key": `probe-${n}`,
          Connection: "close",
        },
        body: JSON.stringify({ data: String(n) }),
        signal: AbortSignal.any([
          this.#over.signal,
          AbortSignal.timeout(PATIENCE),
        ]),
      });
      await response.body?.cancel();
      if (response.ok) return true;
    } catch {
      // It is made again, under the same key.
    }
    this.#refused++;
    return false;
  }

  async #read(): Promise<void> {
    const { signal } = this.#over;
    await using subscription = subscribe(this.#url.replace("http", "ws"), {
      signal,
      reconnect: { minTimeout: 20, maxTimeout: 200 },
    });
    try {
      for await (const message of subscription) {
        if (message.type !== "event") continue;
        const now = performance.now();
        this.#delivery = Math.max(this.#delivery, now - this.#seenAt);
        this.#seenAt = now;
        if (message.data !== String(++this.#seen)) {
          throw new Error(`Expected ${this.#seen}, got ${message.data}`);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#failure ??= error instanceof SubscriptionError
        ? new Error(`The probe was refused: ${error.message}`)
        : error;
    }
  }
}
