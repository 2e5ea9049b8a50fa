import type { ServerSentEvent } from "../../src/sse/event.ts";
import { RecentEvents } from "./recent_events.ts";
import { Replay, saysTheSame, startOfLastRun } from "./replay.ts";

/**
 * The treatment of events whose upstream id has occurred before, beyond those
 * that are sent again on a resumption.
 */
export type RepeatsPolicy = "keep" | "drop";

/** The number of ids that `"drop"` remembers: the last ones. */
const MAX_IDS = 10_000;

/**
 * Passes every event of an upstream on once, over all its connections.
 *
 * Events that a server sends again when it resumes ({@linkcode Replay}) are
 * always dropped. With `"drop"`, so is every other event whose id has occurred
 * before, whatever it contains: those come from a server that starts over.
 * Consecutive events under one id are one run, as an event without an id of its
 * own has that of the one before. A run is dropped or passed on as a whole, but
 *
 * - of the run that the last connection broke off in, only what was taken is
 *   dropped: the rest of it is new;
 * - what a connection begins with under the id that it was made with may be the
 *   rest of a run too, and is dropped only if it is sent again.
 *
 * Events without any id are never dropped.
 */
export class Repeats {
  readonly #policy: RepeatsPolicy;
  readonly #recent = new RecentEvents();
  /** The ids of {@linkcode RecentEvents} and more, the oldest first; with `"drop"`. */
  readonly #ids = new Set<string>();
  #firstId: string | undefined;
  #replay: Replay | undefined;
  /** The id of the last event, taken or dropped. */
  #runId = "";
  /** The treatment of the events that follow under that id. */
  #followers: "pass" | "drop" | "compare" = "pass";
  /** The id that the last connection broke off under. */
  #cutId = "";
  /** The place of the event to compare the next one with. */
  #cutNext = 0;

  /** Begins with an upstream that has sent nothing yet. */
  constructor(policy: RepeatsPolicy) {
    this.#policy = policy;
  }

  /**
   * Expects the events of another connection.
   *
   * @param given The `Last-Event-ID` that it was made with; `""` for none.
   */
  reconnected(given: string): void {
    this.#replay = new Replay(this.#recent, given, this.#firstId);
    this.#runId = given;
    this.#followers = "pass";
    this.#cutId = this.#recent.last?.id ?? "";
  }

  /** Returns those of the next events that are to be taken. */
  fresh(events: readonly ServerSentEvent[]): ServerSentEvent[] {
    return events.filter((event) => {
      if (event.id === "") {
        this.#runId = "";
        return true;
      }
      const isSentAgain = this.#replay?.isSentAgain(event) ?? false;
      const isRepeat = this.#policy === "drop"
        ? this.#isRepeat(event, isSentAgain)
        : isSentAgain;
      if (!isRepeat) this.#take(event);
      return !isRepeat;
    });
  }

  #isRepeat(event: ServerSentEvent, isSentAgain: boolean): boolean {
    const { id } = event;
    const isFirst = id !== this.#runId;
    if (isFirst) this.#beginRun(id);
    if (isSentAgain) {
      // The replay has an eye on the rest of the run: what it lets through is new.
      if (id === this.#cutId) this.#followers = "pass";
      return true;
    }
    if (isFirst) return this.#followers !== "pass";
    if (this.#followers !== "compare") return this.#followers === "drop";
    if (saysTheSame(event, this.#recent.get(this.#cutNext))) {
      this.#cutNext++;
      return true;
    }
    this.#followers = "pass";
    return false;
  }

  #beginRun(id: string): void {
    this.#runId = id;
    this.#followers = this.#ids.has(id) ? "drop" : "pass";
    if (this.#followers === "drop" && id === this.#cutId) {
      this.#followers = "compare";
      const places = this.#recent.placesById().get(id) ?? [];
      this.#cutNext = (startOfLastRun(places) ?? this.#recent.next) + 1;
    }
  }

  #take(event: ServerSentEvent): void {
    this.#firstId ??= event.id;
    this.#recent.push(event);
    if (this.#policy === "keep") return;
    this.#ids.add(event.id);
    for (const oldest of this.#ids) {
      if (this.#ids.size <= MAX_IDS) break;
      this.#ids.delete(oldest);
    }
  }
}
