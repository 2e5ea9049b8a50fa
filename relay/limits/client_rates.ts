import type { Clock } from "../../src/fetch/clock.ts";
import { type Elsewhere, NOWHERE, type RatedThing } from "./elsewhere.ts";
import { RateLimit } from "./rate_limit.ts";

/** The interval at which clients with a full bucket are forgotten, in milliseconds. */
const SWEEP_INTERVAL = 1_000;

/** Other workers, where a client's rate counts as well. */
export interface SharedRates {
  /** The thing that is taken. */
  readonly thing: RatedThing;
  /** The other workers. */
  readonly elsewhere: Elsewhere;
}

/** A {@linkcode RateLimit} for each client that has taken something lately. */
export class ClientRates {
  readonly #rate: number;
  readonly #clock: Clock;
  readonly #tell: (client: string, count: number) => void;
  readonly #limits = new Map<string, RateLimit>();
  #sweptAt: number;

  /**
   * Makes them, for no client yet.
   *
   * @param rate The amount that each may take in a second, on average.
   * @param clock The clock to use.
   * @param shared Where what is taken counts, too. Default: nowhere.
   */
  constructor(
    rate: number,
    clock: Clock,
    { thing, elsewhere }: SharedRates = {
      thing: "published",
      elsewhere: NOWHERE,
    },
  ) {
    this.#rate = rate;
    this.#clock = clock;
    this.#sweptAt = clock.now();
    this.#tell = (client, count) => elsewhere.spent(thing, client, count);
    elsewhere.onSpent(thing, (client, count) => {
      this.#of(client).spend(count);
    });
  }

  /** The number of clients that are remembered. */
  get size(): number {
    return this.#limits.size;
  }

  /** As {@linkcode RateLimit.wait}. */
  wait(client: string, count: number): number {
    return this.#limits.get(client)?.wait(count) ?? 0;
  }

  /** As {@linkcode RateLimit.take}. */
  take(client: string, count: number): number {
    const wait = this.#of(client).take(count);
    if (wait === 0) this.#tell(client, count);
    return wait;
  }

  /** As {@linkcode RateLimit.spend}. */
  spend(client: string, count: number): number {
    this.#tell(client, count);
    return this.#of(client).spend(count);
  }

  #of(client: string): RateLimit {
    this.#sweep();
    let limit = this.#limits.get(client);
    if (!limit) {
      limit = new RateLimit(this.#rate, this.#clock);
      this.#limits.set(client, limit);
    }
    return limit;
  }

  /** Forgets clients whose bucket is full again. */
  #sweep(): void {
    const now = this.#clock.now();
    if (now - this.#sweptAt < SWEEP_INTERVAL) return;
    this.#sweptAt = now;
    for (const [client, limit] of this.#limits) {
      if (limit.isFull) this.#limits.delete(client);
    }
  }
}
