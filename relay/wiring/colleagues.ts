import type { Elsewhere } from "../limits/elsewhere.ts";
import type { Problem } from "../problem.ts";
import type { RelayStatus } from "../status/relay_status.ts";

/** The other workers of a relay, as one of them sees them. */
export interface Colleagues {
  /** The number of workers. */
  readonly count: number;
  /** Whether this worker takes the place of one that has ended. */
  readonly isAgain: boolean;
  /** Whether relays that are not drained with this one have the topics too. */
  readonly hasOthers: boolean;
  /** Whether this worker is the one to start a source or a fixture of the operator's, by its place. */
  starts(index: number): boolean;
  /** Their counts, for limits in all. */
  readonly elsewhere: Elsewhere;
  /** Returns for how long nobody has followed a topic at any of them, in milliseconds. */
  idleFor(topic: string): Promise<number>;
  /** Returns how the workers are, as one relay. */
  status(): Promise<RelayStatus>;
  /** Writes the figures of all workers, as Prometheus reads them. */
  metricsText(): Promise<string>;
  /** Returns why one of the workers is not ready, if one is not. */
  readiness(query: URLSearchParams): Promise<Problem | undefined>;
  /** Returns why the workers do not work, if they do not. */
  health(): Promise<Problem | undefined>;
}
