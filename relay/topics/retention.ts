/**
 * How much of a topic is kept for readers that come late.
 *
 * @example Half an hour
 * ```ts
 * import { DEFAULT_RETENTION, type Retention } from "@rivulet/rivulet/relay";
 *
 * const retention: Retention = { ...DEFAULT_RETENTION, maxAge: 1_800_000 };
 * ```
 */
export interface Retention {
  /** The most events. Default: 10,000. */
  readonly maxEvents: number;
  /** The most bytes, as `LogEntry.size` counts them. Default: 16 MiB. */
  readonly maxBytes: number;
  /** The age after which an event is given up, in milliseconds. Default: none (`Infinity`). */
  readonly maxAge: number;
}

/**
 * What is kept unless the operator says otherwise.
 *
 * @example The default
 * ```ts
 * import { DEFAULT_RETENTION } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(DEFAULT_RETENTION.maxEvents, 10_000);
 * ```
 */
export const DEFAULT_RETENTION: Retention = {
  maxEvents: 10_000,
  maxBytes: 16 * 1024 * 1024,
  maxAge: Infinity,
};
