import type { CountChanges } from "./messages.ts";
import { Counts, isRated } from "./shared_counts.ts";

/** A worker that counts. */
export interface Counter {
  /** Tells it of changes elsewhere. */
  tell(changes: CountChanges): void;
}

/** The counts of each worker: it passes changes on to the others. */
export class CountLedger {
  readonly #counts = new Map<Counter, Counts>();

  /** Adds a worker that has counted nothing yet, and tells it what others have. */
  join(worker: Counter): void {
    const known = [...this.#counts.values()].flatMap((counts) => [...counts]);
    this.#counts.set(worker, new Counts());
    if (known.length > 0) worker.tell(known);
  }

  /** Takes note of changes at a worker. */
  changed(worker: Counter, changes: CountChanges): void {
    const counts = this.#counts.get(worker);
    if (!counts) return;
    for (const [thing, of, more] of changes) {
      if (!isRated(thing)) counts.add(thing, of, more);
    }
    this.#tellOthers(worker, changes);
  }

  /** Takes away all that a worker has counted: it has ended. */
  leave(worker: Counter): void {
    const counts = this.#counts.get(worker);
    if (!counts) return;
    this.#counts.delete(worker);
    const changes = Array.from(
      counts,
      ([thing, of, count]): CountChanges[number] => [thing, of, -count],
    );
    if (changes.length > 0) this.#tellOthers(worker, changes);
  }

  #tellOthers(worker: Counter, changes: CountChanges): void {
    for (const other of this.#counts.keys()) {
      if (other !== worker) other.tell(changes);
    }
  }
}
