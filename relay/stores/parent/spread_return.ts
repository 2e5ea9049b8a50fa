import type { Clock } from "../../../src/fetch/clock.ts";
import { wait } from "../../../src/fetch/retry.ts";

/**
 * The topics that come back at a time when the parent is there again, and the time between
 * them, in milliseconds: 10,000 topics take 2 to 3 s.
 */
const RETURN = { topics: 100, interval: 25 };

/** A name that comes back. */
interface Returning {
  /** Whether something is to be done with it. */
  readonly isBusy: boolean;
}

/**
 * Has names come back to a parent some at a time, so that ten thousand do not fall on it
 * at once: first those with which something is to be done.
 *
 * @param comeBack Asks the parent for a name.
 * @param signal Ends it.
 */
export async function spreadReturn<Name extends Returning>(
  names: Iterable<Name>,
  comeBack: (name: Name) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const all = [...names];
  const ordered = [
    ...all.filter(({ isBusy }) => isBusy),
    ...all.filter(({ isBusy }) => !isBusy),
  ];
  for (let at = 0; at < ordered.length; at += RETURN.topics) {
    if (at > 0) await wait(RETURN.interval, clock, signal);
    for (const name of ordered.slice(at, at + RETURN.topics)) comeBack(name);
  }
}
