import type { Appended } from "../../topics/log.ts";
import type { Batch, Work } from "./log_work.ts";

/** A part of a message, and what its writer is told once it is kept. */
interface Part {
  readonly key: object;
  readonly offset: number;
  readonly count: number;
  readonly bytes: number;
}

/** The most messages that are in doubt. */
const MAX_MESSAGES = 1_000;

/**
 * The messages that NATS has not answered, or not found, and may still keep
 * later: neither the same work nor another append of the same array of events
 * is written twice.
 */
export class Doubts {
  /** The parts of each message that is in doubt, by its id: the oldest first. */
  readonly #messages = new Map<string, readonly Part[]>();
  /** The appends that turned out to be kept. */
  readonly #kept = new WeakMap<object, Appended>();

  /** Takes note of a message that may be kept. */
  note(id: string, { works }: Batch): void {
    const parts = works.flatMap(({ work, offset, bytes }) => {
      const key = keyOf(work);
      const count = work.kind === "append" ? work.events.length : 0;
      return key ? [{ key, offset, count, bytes }] : [];
    });
    if (parts.length > 0) this.#messages.set(id, parts);
    for (const oldest of this.#messages.keys()) {
      if (this.#messages.size <= MAX_MESSAGES) break;
      this.#messages.delete(oldest);
    }
  }

  /** Takes note of a message that is kept, and of the offset at which it begins. */
  kept(id: string, first: number): void {
    const parts = this.#messages.get(id);
    if (!parts) return;
    this.#messages.delete(id);
    for (const { key, offset, count, bytes } of parts) {
      this.#kept.set(key, { first: first + offset, count, bytes });
    }
  }

  /** Returns what has become of a work that was kept by another attempt, once. */
  take(work: Work): Appended | undefined {
    const key = keyOf(work);
    const kept = key && this.#kept.get(key);
    if (kept) this.#kept.delete(key);
    return kept;
  }
}

/** Facts, ends and the like may be written twice. */
function keyOf(work: Work): object | undefined {
  switch (work.kind) {
    case "append":
      return work.events;
    case "skip":
      return work;
    default:
      return undefined;
  }
}
