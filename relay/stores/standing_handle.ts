import type { StoredEnd } from "../topics/end.ts";
import type { Log, TopicFacts } from "../topics/log.ts";

/** The fields of a log that every handle of it shows alike. */
export type Standing = Pick<
  Log,
  | "epoch"
  | "createdAt"
  | "first"
  | "next"
  | "bytes"
  | "firstAt"
  | "lastAt"
  | "facts"
  | "ended"
  | "lastId"
>;

/** A handle of a log, as far as it shows where the log stands. */
export abstract class StandingHandle implements Standing {
  readonly #log: Standing;

  constructor(log: Standing) {
    this.#log = log;
  }

  get epoch(): string {
    return this.#log.epoch;
  }

  get createdAt(): number {
    return this.#log.createdAt;
  }

  get first(): number {
    return this.#log.first;
  }

  get next(): number {
    return this.#log.next;
  }

  get bytes(): number {
    return this.#log.bytes;
  }

  get firstAt(): number | undefined {
    return this.#log.firstAt;
  }

  get lastAt(): number | undefined {
    return this.#log.lastAt;
  }

  get facts(): TopicFacts {
    return this.#log.facts;
  }

  get ended(): StoredEnd | undefined {
    return this.#log.ended;
  }

  get lastId(): string {
    return this.#log.lastId;
  }
}
