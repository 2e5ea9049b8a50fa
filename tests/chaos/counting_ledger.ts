/**
 * Accounts for the events of one subscription by their offsets.
 *
 * @module
 */
import { z } from "zod";
import type { LedgerAfter } from "../support/subscribers/delivery_ledger.ts";

const offset = z.int().nonnegative();

const counted = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("subscribed"),
    epoch: z.string(),
    first: offset,
    next: offset,
    after: offset,
    recovered: z.boolean(),
    state: z.enum(["pending", "open", "ended"]),
  }),
  z.object({
    type: z.literal("events"),
    offset,
    events: z.array(z.unknown()).min(1),
  }),
  z.object({
    type: z.literal("gap"),
    from: offset,
    to: offset,
    reason: z.enum(["evicted", "epoch", "slow"]),
  }),
  z.object({ type: z.literal("live"), next: offset }),
  z.object({ type: z.literal("upstream") }),
  z.object({ type: z.literal("end"), offset, status: z.string() }),
]);

/** The members that every ledger of a subscription has, exact or not. */
export interface Ledger {
  /** The last offset that was accounted for. */
  readonly seen: number;
  /** The position to continue from, if it is known. */
  readonly position:
    | { readonly epoch: string; readonly offset: number }
    | undefined;
  /** Takes a message; throws where it is wrong. */
  take(message: unknown): void;
}

/**
 * A ledger of mode `all` that knows offsets only: who counts frames by their
 * beginnings calls {@linkcode CountingLedger.takeEvents} instead of parsing them.
 */
export class CountingLedger implements Ledger {
  readonly #who: string;
  readonly #after: LedgerAfter;
  #epoch: string | undefined;
  #seen = 0;
  #dueGap: "evicted" | "epoch" | undefined;
  #hasEnded = false;

  /** Makes the ledger of a subscription that was asked for like this. */
  constructor(who: string, after: LedgerAfter) {
    this.#who = who;
    this.#after = after;
  }

  get seen(): number {
    return this.#seen;
  }

  get position(): { epoch: string; offset: number } | undefined {
    return this.#epoch === undefined || this.#seen === 0
      ? undefined
      : { epoch: this.#epoch, offset: this.#seen };
  }

  /** Takes so many events, the first of which is at `offset`. */
  takeEvents(offset: number, count: number): void {
    if (
      offset !== this.#seen + 1 || count < 1 || !Number.isInteger(count) ||
      this.#epoch === undefined || this.#dueGap || this.#hasEnded
    ) {
      this.#fail(`${count} events at ${offset} came`);
    }
    this.#seen += count;
  }

  take(message: unknown): void {
    const parsed = counted.safeParse(message);
    if (!parsed.success) return this.#fail(JSON.stringify(message));
    const { data } = parsed;
    const isOk = ((): boolean => {
      if (data.type === "subscribed") {
        if (this.#epoch !== undefined) return false;
        const { epoch, first, next, after, recovered, state } = data;
        this.#epoch = epoch;
        this.#seen = after;
        const asked = this.#after;
        if (asked === "start") return recovered && after === first - 1;
        if (asked === "now") return recovered && after === next - 1;
        // Behind the end of a log there is nothing but that end.
        const isBeyond = asked.offset > next - 1 && state !== "ended";
        if (asked.epoch !== epoch || isBeyond) {
          this.#dueGap = "epoch";
          return !recovered && after === first - 1;
        }
        if (!recovered) this.#dueGap = "evicted";
        return after === Math.min(asked.offset, next - 1) &&
          recovered === (after + 1 >= first);
      }
      if (this.#epoch === undefined || this.#hasEnded) return false;
      const due = this.#dueGap;
      if (due && data.type !== "gap") return false;
      const next = this.#seen + 1;
      switch (data.type) {
        case "events":
          this.takeEvents(data.offset, data.events.length);
          return true;
        case "gap":
          this.#dueGap = undefined;
          this.#seen = data.to;
          if (data.reason === "epoch") {
            return due === "epoch" && data.from === 1 && data.to >= next - 1;
          }
          return (!due || data.reason === due) && data.from === next &&
            data.to >= next;
        case "live":
          return data.next === next;
        case "end":
          this.#hasEnded = true;
          return data.offset === next;
        case "upstream":
          return true;
      }
    })();
    if (!isOk) this.#fail(JSON.stringify(message));
  }

  #fail(what: string): never {
    throw new Error(
      `${this.#who} (${
        JSON.stringify(this.#after)
      }), at ${this.#epoch}:${this.#seen}: did not expect ${what}`,
    );
  }
}
