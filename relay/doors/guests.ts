import type { Clock } from "../../src/fetch/clock.ts";
import { draining, type Problem } from "../problem.ts";

/** A subscriber's connection, whichever door it came through. */
export interface Guest {
  /**
   * Says when to come back, and closes: the relay is drained.
   *
   * @param left How long that takes from now, in milliseconds.
   * @param duration How long it takes in all, in milliseconds.
   */
  leave(left: number, duration: number): void;
  /** Closes: the relay stops. */
  stop(): void;
  /** Resolves when the connection is closed. */
  closed(): Promise<void>;
}

/**
 * Returns how long ago something was, for logs: in seconds, to the millisecond.
 *
 * @param start When it was, in milliseconds since the epoch.
 * @param clock The source of time.
 */
export function secondsSince(start: number, clock: Clock): number {
  return Math.round(clock.now() - start) / 1_000;
}

/** Whether the relay is drained: then it takes no new subscribers. */
export class Draining {
  readonly #clock: Clock;
  /** When it will be over, in milliseconds since the epoch. */
  #end: number | undefined;

  /** Makes it for a relay that is not drained. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins, for this many milliseconds. */
  begin(duration: number): void {
    this.#end = this.#clock.now() + duration;
  }

  /**
   * Refuses new subscribers, once it has begun.
   *
   * @throws {Problem} 503 `draining`.
   */
  assertOpen(): void {
    const problem = this.refusal();
    if (problem) throw problem;
  }

  /** Returns why new subscribers are refused: 503 `draining`; `undefined` if they are not. */
  refusal(): Problem | undefined {
    return this.#end === undefined
      ? undefined
      : draining(this.#end - this.#clock.now());
  }
}

/** Options of {@linkcode drain}. */
export interface DrainOptions {
  /** Over how long, in milliseconds. */
  readonly duration: number;
  /** The source of time. */
  readonly clock: Clock;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

/**
 * Sends guests away one after the other, spread evenly: who comes back at another
 * relay does not come with everybody else.
 *
 * @returns Resolves when all have gone, or the time is over.
 */
export async function drain(
  guests: readonly Omit<Guest, "stop">[],
  { duration, clock, signal }: DrainOptions,
): Promise<void> {
  if (signal.aborted) return;
  const over = Promise.withResolvers<void>();
  const start = clock.now();
  let gone = 0;
  let cancelNext = (): void => {};
  const leave = (count: number): void => {
    const left = Math.max(0, Math.ceil(start + duration - clock.now()));
    while (gone < count) guests[gone++]?.leave(left, duration);
  };
  const next = (): void => {
    const elapsed = clock.now() - start;
    const due = Math.floor(elapsed / duration * guests.length) + 1;
    leave(Math.min(guests.length, due));
    if (gone === guests.length) return;
    const wait = gone * duration / guests.length - elapsed;
    cancelNext = clock.setTimeout(next, Math.max(1, Math.ceil(wait)));
  };
  if (duration > 0) next();
  const cancelEnd = clock.setTimeout(() => {
    leave(guests.length);
    over.resolve();
  }, duration);
  const onAbort = (): void => over.resolve();
  signal.addEventListener("abort", onAbort);
  void Promise.all(guests.map((guest) => guest.closed())).then(onAbort);
  await over.promise;
  signal.removeEventListener("abort", onAbort);
  cancelEnd();
  cancelNext();
}
