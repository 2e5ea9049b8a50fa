/** Something that fills a topic until it ends. */
export interface Source {
  /**
   * Resolves when the source is there: its upstream has answered, its file has
   * been read. Rejects with why it is not; the topic has then ended as `failed`.
   */
  readonly opened: Promise<void>;
  /** Resolves when the source fills the topic no more, for whatever reason. */
  readonly finished: Promise<void>;
  /** Stops filling the topic, and leaves it as it is. */
  stop(): void;
}

/** Counts what comes of reaching for upstreams. */
export interface SourceCounts {
  /** A connection was asked for: it has answered with events, or not. */
  attempted(outcome: "opened" | "failed"): void;
  /**
   * A request, or what it was redirected to, was not allowed; or there was no room for
   * an event.
   */
  refused(code: string): void;
}
