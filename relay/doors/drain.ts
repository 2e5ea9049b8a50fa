import type { Clock } from "../../src/fetch/clock.ts";

/** A connection that can be sent away. */
export interface Guest {
  /** Asks it to go. */
  leave(): void;
  /** Resolves when it has gone. */
  closed(): Promise<void>;
}

/** How guests are sent away. */
export interface DrainOptions {
  /** Over how long, in milliseconds. */
  readonly duration: number;
  /** Where time comes from. */
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
  guests: readonly Guest[],
  { duration, clock, signal }: DrainOptions,
): Promise<void> {
  if (signal.aborted) return;
  const over = Promise.withResolvers<void>();
  const start = clock.now();
  let gone = 0;
  let cancelNext = (): void => {};
  const leave = (count: number): void => {
    while (gone < count) guests[gone++]?.leave();
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
