import type { Load } from "../load.ts";

/** What the generator is told to do. */
export interface Plan {
  /** Where the relay or the proxy listens; the provider's own port for direct calls. */
  readonly port: number;
  readonly load: Load;
  /** Events of each topic that come before those that are measured. */
  readonly warmUp: number;
  /** Events of each topic that are measured. */
  readonly events: number;
  /** How long it is waited for what is late, in milliseconds. */
  readonly patience: number;
}

/** What some clients have got of what is measured; latencies in milliseconds. */
export interface Side {
  readonly due: number;
  readonly arrived: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** What the generator says at the end. */
export interface Counts {
  readonly callers: Side;
  readonly followers: Side;
  /** Events that were missing, repeated or foreign, and runs that did not end well. */
  readonly errors: number;
  /** How long it took to send what is measured, in seconds. */
  readonly sending: number;
}
