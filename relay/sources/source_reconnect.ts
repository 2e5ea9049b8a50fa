import { z } from "zod";
import { messageOf } from "../../src/fetch/message_of.ts";
import { completeReconnectPolicy } from "../../src/fetch/reconnect.ts";

const duration = z.number().positive();

/**
 * The policy by which a relay connects to an SSE source again, once it has been
 * connected.
 *
 * The names are those of `ReconnectPolicy`; durations are in milliseconds.
 *
 * @example Give up after ten attempts in a row
 * ```ts
 * import type { RelayOptions, SourceReconnect } from "@rivulet/rivulet/relay";
 *
 * const reconnect: SourceReconnect = { minTimeout: 2_000, maxAttempts: 10 };
 * const options: RelayOptions = {
 *   sources: [{ name: "news", url: "https://example.com/", reconnect }],
 * };
 * ```
 */
export interface SourceReconnect {
  /**
   * The shortest wait, and the first one.
   *
   * @default {1_000}
   */
  readonly minTimeout?: number | undefined;
  /**
   * The longest wait.
   *
   * @default {60_000}
   */
  readonly maxTimeout?: number | undefined;
  /**
   * The factor by which the longest wait grows with every attempt, from 1.
   *
   * @default {2}
   */
  readonly multiplier?: number | undefined;
  /**
   * The random share of a wait, from 0 to 1.
   *
   * @default {1}
   */
  readonly jitter?: number | undefined;
  /** The number of connections in a row that may fail. Default: any number. */
  readonly maxAttempts?: number | undefined;
  /** The time for which they may fail in a row. Default: for ever. */
  readonly maxElapsed?: number | undefined;
  /**
   * The longest wait that the server may ask for. Default: any.
   */
  readonly maxRetryAfter?: number | undefined;
  /**
   * The time for which a connection must be open for the count to start again.
   *
   * @default {10_000}
   */
  readonly resetAfter?: number | undefined;
  /**
   * The action when the server ends the stream: connect again, or end the topic
   * as `complete`.
   *
   * @default {"reconnect"}
   */
  readonly onCleanEnd?: "reconnect" | "done" | undefined;
}

/** Accepts `true` (the default), `false` for one connection only, and a policy. */
export const sourceReconnect: z.ZodDefault<
  z.ZodUnion<
    readonly [z.ZodBoolean, z.ZodType<SourceReconnect, SourceReconnect>]
  >
> = z.union([
  z.boolean(),
  z.strictObject({
    minTimeout: duration.optional(),
    maxTimeout: duration.optional(),
    multiplier: z.number().optional(),
    jitter: z.number().optional(),
    maxAttempts: z.int().positive().optional(),
    maxElapsed: duration.optional(),
    maxRetryAfter: duration.optional(),
    resetAfter: duration.optional(),
    onCleanEnd: z.enum(["reconnect", "done"]).optional(),
  }).superRefine((policy, context) => {
    try {
      completeReconnectPolicy(policy);
    } catch (error) {
      const message = messageOf(error);
      context.addIssue({ code: "custom", message });
    }
  }),
]).default(true);
