/** The plan for the generator of short requests. */
export interface Plan {
  /**
   * The port of the relay or the proxy; the provider's own port for direct
   * calls.
   */
  readonly port: number;
  /** A name of `SHORT_REQUESTS`. */
  readonly kind: string;
  /** The number of requests at a time. */
  readonly callers: number;
  /** In seconds. */
  readonly warmUp: number;
  readonly seconds: number;
}

/** The generator's counts at the end; latencies in milliseconds. */
export interface Counts {
  readonly requests: number;
  /** Answers of another length than the provider's. */
  readonly errors: number;
  readonly seconds: number;
  readonly p50: number | null;
  readonly p99: number | null;
}
