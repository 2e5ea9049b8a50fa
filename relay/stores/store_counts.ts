/** The figures of a store that is in a file, or in NATS: 0 is what it does not have. */
export interface StoreCounts {
  /** The operations that wait to be kept. */
  readonly backlog: number;
  /** The transactions or messages that failed, and the attempts to write again that failed. */
  readonly failures: number;
  /** The ended topics that were deleted before their time, as there was no room. */
  readonly evicted: number;
  /** The bytes of the file. */
  readonly fileBytes: number;
  /** The bytes of the file that are free. */
  readonly freeBytes: number;
  /** The figures of a store in NATS. */
  readonly nats?: NatsCounts;
}

/** The figures of a store in NATS. */
export interface NatsCounts {
  /** Whether NATS is connected. */
  readonly isConnected: boolean;
  /** The requests that NATS was asked again for. */
  readonly retries: number;
  /** The times that messages of a log were missed, and read. */
  readonly missed: number;
  /** The logs that are followed. */
  readonly followed: number;
  /** The bytes of events in memory. */
  readonly windowBytes: number;
  /** The time from this relay to NATS and back, in milliseconds. */
  readonly lag: number;
}
