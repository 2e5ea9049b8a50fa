/**
 * A `fetch` of the relay that is closed with its test.
 *
 * @module
 */
import { type Clock, systemClock } from "../../../src/fetch/clock.ts";
import {
  createSourceFetch,
  type SourceFetch,
} from "../../../relay/sources/source_fetch.ts";
import { Upstreams } from "../../../relay/upstream/upstreams.ts";

/**
 * A `fetch` that closes its connections when it is disposed of. A test has to close them:
 * the read pacer's timer may fire a millisecond after the end of the test.
 */
export type ClosingFetch = SourceFetch & Disposable;

/**
 * Makes a `fetch` that is closed with its test.
 *
 * @param make Makes a `fetch` over these upstreams. Default: that of the operator's sources.
 * @param clock The clock of the upstreams. Default: the system's.
 */
export function closingFetch(
  make: (upstreams: Upstreams) => SourceFetch = createSourceFetch,
  clock: Clock = systemClock,
): ClosingFetch {
  const upstreams = new Upstreams(clock);
  return Object.assign(make(upstreams), {
    [Symbol.dispose]: () => upstreams[Symbol.dispose](),
  });
}
