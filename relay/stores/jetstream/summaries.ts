import type { Clock } from "../../../src/fetch/clock.ts";
import type { KnownName } from "./known_name.ts";
import { withSummary } from "./record.ts";
import type { SharedLog } from "./shared_log.ts";

/**
 * The time for which a record may lack the end that its log has before another
 * relay writes it, in milliseconds.
 */
const PATIENCE = 5_000;

/** Sees to it that the record of a name says what has become of its logs that have ended. */
export class Summaries {
  readonly #clock: Clock;
  /** Logs whose ends the records of their names may lack, and since when. */
  readonly #missing = new Map<SharedLog, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes note of the end of a log. */
  ended(known: KnownName, log: SharedLog): void {
    this.#missing.set(log, this.#clock.now());
    // The relay that has ended it is the first to say so.
    if (log.hasEndedHere) this.#summarize(known, log);
  }

  /** Looks after ends that the relays that have written them have not said. */
  look(now: number, find: (log: SharedLog) => KnownName | undefined): void {
    for (const [log, since] of this.#missing) {
      const known = find(log);
      if (!known || known.isBusy) continue;
      if (now - since >= PATIENCE) this.#summarize(known, log);
    }
  }

  /** Writes what has become of a log, unless that is said already. */
  async keep(known: KnownName, log: SharedLog): Promise<void> {
    const { ended } = log.copy;
    if (!ended) return;
    const { epoch } = log;
    await known.change((record) => {
      const recorded = record.logs.find((one) => one.epoch === epoch);
      return !recorded || recorded.summary
        ? record
        : withSummary(record, epoch, log.summarize(ended));
    });
    this.#missing.delete(log);
  }

  #summarize(known: KnownName, log: SharedLog): void {
    this.#missing.delete(log);
    this.keep(known, log).catch(() => {
      this.#missing.set(log, this.#clock.now());
    });
  }
}
