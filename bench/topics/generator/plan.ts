import type { Load } from "../load.ts";

/** The plan for the generator. */
export interface Plan {
  /**
   * The port of the relay or the proxy; the provider's own port for direct
   * calls.
   */
  readonly port: number;
  readonly load: Load;
  /** Events of each topic that come before those that are measured. */
  readonly warmUp: number;
  /** Events of each topic that are measured. */
  readonly events: number;
  /** The time to wait for late events, in milliseconds. */
  readonly patience: number;
}

/**
 * The events that some clients have received of those measured; latencies in
 * milliseconds.
 */
export interface Side {
  readonly due: number;
  readonly arrived: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** The generator's counts at the end. */
export interface Counts {
  readonly callers: Side;
  readonly followers: Side;
  /** Events that were missing, repeated or foreign, and runs that did not end well. */
  readonly errors: number;
  /** The time that it took to send the measured events, in seconds. */
  readonly sending: number;
}
