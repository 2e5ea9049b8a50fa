/** Counts what comes of reaching for upstreams. */
export interface SourceCounts {
  /** A connection was asked for: it has answered with events, or not. */
  attempted(outcome: "opened" | "failed"): void;
  /** A request, or what it was redirected to, was not allowed. */
  refused(code: string): void;
}
