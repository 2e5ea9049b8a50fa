import type { Clock } from "../../src/fetch/clock.ts";
import type {
  CountedThing,
  Elsewhere,
  RatedThing,
  SpentListener,
} from "../limits/elsewhere.ts";
import type { CountChanges, Usage } from "./messages.ts";

/**
 * The time for which changes gather, in milliseconds. With 5, what a worker tells and
 * hears cost the process with the store as much as the links did.
 */
const GATHER = 25;

/** Joins what is counted, and of whom; no name has a line end. */
function keyOf(thing: string, of: string): string {
  return `${thing}\n${of}`;
}

/** Changes that gather until they are told. */
class GatheredChanges {
  readonly #changes = new Map<string, number>();

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#changes.size === 0;
  }

  /** Adds a change to what was changed before. */
  add(thing: string, of: string, more: number): void {
    const key = keyOf(thing, of);
    const sum = (this.#changes.get(key) ?? 0) + more;
    // One that was opened and closed again meanwhile is nobody's business.
    if (sum === 0) this.#changes.delete(key);
    else this.#changes.set(key, sum);
  }

  /** Takes all changes out. */
  take(): CountChanges {
    const changes = Array.from(
      this.#changes,
      ([key, more]): CountChanges[number] => {
        const end = key.indexOf("\n");
        return [key.slice(0, end), key.slice(end + 1), more];
      },
    );
    this.#changes.clear();
    return changes;
  }
}

/** Numbers by what is counted, and of whom; those that are 0 take no room. */
export class Counts {
  readonly #counts = new Map<string, number>();

  /** Returns a number. */
  get(thing: string, of: string): number {
    return this.#counts.get(keyOf(thing, of)) ?? 0;
  }

  /** Changes a number. */
  add(thing: string, of: string, more: number): void {
    const key = keyOf(thing, of);
    const sum = (this.#counts.get(key) ?? 0) + more;
    if (sum === 0) this.#counts.delete(key);
    else this.#counts.set(key, sum);
  }

  /** Lists what is not 0. */
  *[Symbol.iterator](): Iterator<CountChanges[number]> {
    for (const [key, count] of this.#counts) {
      const end = key.indexOf("\n");
      yield [key.slice(0, end), key.slice(end + 1), count];
    }
  }
}

/** Things that are taken, and not held: a rate forgets them by itself. */
const RATED: ReadonlySet<string> = new Set<RatedThing>([
  "published",
  "body_bytes",
  "body_chunks",
  "cancelled_session",
]);

/** Whether something is taken, and not held. */
export function isRated(thing: string): thing is RatedThing {
  return RATED.has(thing);
}

/** The counts of the other workers, as one of them knows them. */
export class SharedCounts implements Elsewhere, Disposable {
  /** The memory of all other workers and of the process with the store. */
  others: Usage = { resident: 0, heap: 0 };
  readonly #clock: Clock;
  readonly #tell: (changes: CountChanges) => void;
  readonly #elsewhere = new Counts();
  readonly #changes = new GatheredChanges();
  readonly #listeners = new Map<RatedThing, SpentListener[]>();
  #cancel: (() => void) | undefined;

  /**
   * Knows of no counts yet.
   *
   * @param clock The source of time.
   * @param tell Tells the other workers of changes.
   */
  constructor(clock: Clock, tell: (changes: CountChanges) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** As {@linkcode Elsewhere.count}. */
  count(thing: CountedThing, of: string): number {
    return this.#elsewhere.get(thing, of);
  }

  /** As {@linkcode Elsewhere.add}. */
  add(thing: CountedThing, of: string, more: number): void {
    this.#change(thing, of, more);
  }

  /** As {@linkcode Elsewhere.spent}. */
  spent(thing: RatedThing, client: string, count: number): void {
    this.#change(thing, client, count);
  }

  /** As {@linkcode Elsewhere.onSpent}. */
  onSpent(thing: RatedThing, listener: SpentListener): void {
    const listeners = this.#listeners.get(thing) ?? [];
    this.#listeners.set(thing, [...listeners, listener]);
  }

  /** Takes note of changes elsewhere. */
  heard(changes: CountChanges): void {
    for (const [thing, of, more] of changes) {
      if (!isRated(thing)) this.#elsewhere.add(thing, of, more);
      else {for (const listen of this.#listeners.get(thing) ?? []) {
          listen(of, more);
        }}
    }
  }

  /** Tells nothing more. */
  [Symbol.dispose](): void {
    this.#cancel?.();
  }

  #change(thing: string, of: string, more: number): void {
    this.#changes.add(thing, of, more);
    this.#cancel ??= this.#clock.setTimeout(() => {
      this.#cancel = undefined;
      if (!this.#changes.isEmpty) this.#tell(this.#changes.take());
    }, GATHER);
  }
}
