import type { Clock } from "../../src/fetch/clock.ts";
import { draining, type Problem } from "../problem.ts";

/** A subscriber's connection, whichever door it came through. */
export interface Guest {
  /**
   * Says when to come back, and closes, once all events that there are now have
   * been written: the relay is drained.
   *
   * @param left The time from now, in milliseconds.
   * @param duration The whole duration, in milliseconds.
   */
  leave(left: number, duration: number): void;
  /** Closes once all events that there are now have been written: the relay stops. */
  finish(): void;
  /** Closes: the relay has stopped. */
  stop(): void;
  /** Resolves when the connection is closed. */
  closed(): Promise<void>;
}

/**
 * Returns how long ago something was, for logs: in seconds, to the millisecond.
 *
 * @param start The time of the start, in milliseconds since the epoch.
 * @param clock The source of time.
 */
export function secondsSince(start: number, clock: Clock): number {
  return Math.round(clock.now() - start) / 1_000;
}

/**
 * The time over which guests come back to other relays that have the same topics, in
 * milliseconds: they are sent away one by one already.
 */
const ELSEWHERE = 1_000;

/** The shortest time after which a reader that was turned away comes back, in milliseconds. */
const SOON = 100;

/** Whether the relay is drained or stops: then it takes nothing new. */
export class Draining {
  /** Whether other relays have the same topics, so that nobody has to wait for the next one. */
  readonly hasOthers: boolean;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  /** The time at which it will be over, in milliseconds since the epoch. */
  #end: number | undefined;
  /** The beginning of the second in which readers are counted, by the clock. */
  #second = -Infinity;
  /** The number of readers that were turned away within it. */
  #turnedAway = 0;

  /** Makes it for a relay that is not drained. */
  constructor(clock: Clock, hasOthers = false) {
    this.#clock = clock;
    this.hasOthers = hasOthers;
  }

  /** Begins, for this many milliseconds; changes nothing if it has begun. */
  begin(duration: number): void {
    this.#end ??= this.#clock.now() + duration;
    this.#controller.abort();
  }

  /** Aborted when it begins. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The time after which somebody else takes what is refused, in milliseconds. */
  get left(): number {
    if (this.hasOthers) return 0;
    return Math.max(0, (this.#end ?? Infinity) - this.#clock.now());
  }

  /**
   * Returns when a reader that is turned away comes back, in milliseconds. If other
   * relays have the same topics, a proxy sends it to one of them sooner or later: it
   * soon tries again, and later where many do.
   */
  comeBackIn(): number {
    if (!this.hasOthers) return Math.max(1_000, this.left);
    const now = this.#clock.now();
    if (now - this.#second >= 1_000) {
      this.#second = now;
      this.#turnedAway = 0;
    }
    this.#turnedAway++;
    return Math.min(Math.max(SOON, this.#turnedAway), ELSEWHERE);
  }

  /**
   * Refuses new subscribers, events and runs, once it has begun.
   *
   * @param facts Further members of the problem.
   * @throws {Problem} 503 `draining`.
   */
  assertOpen(facts?: Readonly<Record<string, unknown>>): void {
    const problem = this.refusal(facts);
    if (problem) throw problem;
  }

  /** Returns why they are refused: 503 `draining`; `undefined` if they are not. */
  refusal(facts?: Readonly<Record<string, unknown>>): Problem | undefined {
    return this.#end === undefined ? undefined : draining(this.left, facts);
  }
}

/** Options of {@linkcode drain}. */
export interface DrainOptions {
  /** Over how long, in milliseconds. */
  readonly duration: number;
  /** Whether guests come back to other relays at once, and not to the next one here. */
  readonly hasOthers?: boolean;
  /** The source of time. */
  readonly clock: Clock;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Guests that follow runs: they leave when the runs are over. */
  readonly busy?: {
    /** The guests. */
    readonly guests: readonly Omit<Guest, "stop" | "finish">[];
    /** Resolves when the runs are over. */
    readonly over: Promise<unknown>;
  };
}

/**
 * Sends guests away one after the other, spread evenly: who comes back at another
 * relay does not come with everybody else.
 *
 * @returns Resolves when all have gone, or the time is over.
 */
export async function drain(
  guests: readonly Omit<Guest, "stop" | "finish">[],
  { duration, hasOthers = false, clock, signal, busy }: DrainOptions,
): Promise<void> {
  if (signal.aborted) return;
  const over = Promise.withResolvers<void>();
  const start = clock.now();
  const sendAway = (guest: Pick<Guest, "leave"> | undefined): void => {
    if (hasOthers) return guest?.leave(0, ELSEWHERE);
    const left = Math.max(0, Math.ceil(start + duration - clock.now()));
    guest?.leave(left, duration);
  };
  let gone = 0;
  let cancelNext = (): void => {};
  const leave = (count: number): void => {
    while (gone < count) sendAway(guests[gone++]);
  };
  const next = (): void => {
    const elapsed = clock.now() - start;
    const due = Math.floor(elapsed / duration * guests.length) + 1;
    leave(Math.min(guests.length, due));
    if (gone === guests.length) return;
    const wait = gone * duration / guests.length - elapsed;
    cancelNext = clock.setTimeout(next, Math.max(1, Math.ceil(wait)));
  };
  let stayed = busy?.guests ?? [];
  const leaveBusy = (): void => {
    for (const guest of stayed) sendAway(guest);
    stayed = [];
  };
  void busy?.over.then(leaveBusy);
  if (duration > 0) next();
  const cancelEnd = clock.setTimeout(() => {
    leave(guests.length);
    leaveBusy();
    over.resolve();
  }, duration);
  const onAbort = (): void => over.resolve();
  signal.addEventListener("abort", onAbort);
  const all = [...guests, ...stayed].map((guest) => guest.closed());
  void Promise.all([busy?.over, ...all]).then(onAbort);
  await over.promise;
  signal.removeEventListener("abort", onAbort);
  cancelEnd();
  cancelNext();
}
