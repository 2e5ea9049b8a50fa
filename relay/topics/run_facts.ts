import { z } from "zod";

/**
 * Whether the caller of a run is still there: it is connected, has left before it had its
 * answer, or has been given all that it gets.
 *
 * @example Nobody waits for the answer any more
 * ```ts
 * import type { RunCaller } from "@rivulet/rivulet/relay";
 *
 * const caller: RunCaller = "left";
 * ```
 */
export type RunCaller = "connected" | "left" | "answered";

/**
 * A time at which a provider was asked again.
 *
 * @example A connection that was reset
 * ```ts
 * import type { RunRetry } from "@rivulet/rivulet/relay";
 *
 * const retry: RunRetry = { at: Date.now(), reason: "connection reset" };
 * ```
 */
export interface RunRetry {
  /** The time, in milliseconds since the epoch. */
  readonly at: number;
  /** The reason, in words without secrets. */
  readonly reason: string;
}

/**
 * The tokens of a run, as the provider has counted them.
 *
 * @example Of a short answer
 * ```ts
 * import type { RunUsage } from "@rivulet/rivulet/relay";
 *
 * const usage: RunUsage = { inputTokens: 7, outputTokens: 3, totalTokens: 10 };
 * ```
 */
export interface RunUsage {
  /** Of the prompt, those from the cache counted. */
  readonly inputTokens: number;
  /** Of the prompt, those that came from the provider's cache. */
  readonly cachedInputTokens?: number | undefined;
  /** Of the prompt, those that were written to the provider's cache. */
  readonly cacheWriteInputTokens?: number | undefined;
  /** Of the answer, those of the reasoning counted. */
  readonly outputTokens: number;
  /** Of the answer, those of the reasoning. */
  readonly reasoningOutputTokens?: number | undefined;
  /** All together. */
  readonly totalTokens: number;
  /** The price, where the provider says it, in its own unit. */
  readonly cost?: number | undefined;
  /** The tier that the provider has served the response in. */
  readonly serviceTier?: string | undefined;
}

/**
 * The facts of the run that fills a topic, or has filled it. None of it is
 * secret.
 *
 * @example Whether the provider had to be asked again
 * ```ts
 * import type { RunFacts } from "@rivulet/rivulet/relay";
 *
 * const wasRetried = ({ attempts }: RunFacts): boolean => attempts > 1;
 * wasRetried({ askedAt: Date.now(), attempts: 1 });
 * ```
 */
export interface RunFacts {
  /** The time at which the run began, in milliseconds since the epoch. */
  readonly askedAt: number;
  /** The model, as the request names it. */
  readonly model?: string | undefined;
  /** The number of requests made to the provider. */
  readonly attempts: number;
  /**
   * The times and reasons of its retries: the newest ones, the oldest first.
   */
  readonly retries?: readonly RunRetry[] | undefined;
  /** The HTTP status of its newest answer. */
  readonly status?: number | undefined;
  /** The time from the beginning to the first token, in milliseconds. */
  readonly firstTokenAfter?: number | undefined;
  /** The tokens. */
  readonly usage?: RunUsage | undefined;
  /** The provider's id of the request. */
  readonly requestId?: string | undefined;
  /** The provider's id of the response. */
  readonly responseId?: string | undefined;
  /** The name of the file that the run is recorded in. */
  readonly recording?: string | undefined;
  /** Whether the caller is still there. */
  readonly caller?: RunCaller | undefined;
}

/** Returns what is known of a run that another relay makes, or has made: not of its caller now. */
export function storedRun(facts: RunFacts): RunFacts {
  if (facts.caller !== "connected") return facts;
  const { caller: _, ...known } = facts;
  return known;
}

const text = z.string().optional();
const count = z.number().optional();

/** Each field has a row: what the schema does not know would be lost. */
const usageFields = {
  inputTokens: z.number(),
  cachedInputTokens: count,
  cacheWriteInputTokens: count,
  outputTokens: z.number(),
  reasoningOutputTokens: count,
  totalTokens: z.number(),
  cost: count,
  serviceTier: text,
} satisfies Record<keyof RunUsage, z.ZodType>;

/** As those of the usage. */
const runFields = {
  askedAt: z.number(),
  model: text,
  attempts: z.number(),
  retries: z.array(z.object({ at: z.number(), reason: z.string() })).readonly()
    .optional(),
  status: count,
  firstTokenAfter: count,
  usage: z.object(usageFields).optional(),
  requestId: text,
  responseId: text,
  recording: text,
  caller: z.enum(["connected", "left", "answered"]).optional(),
} satisfies Record<keyof RunFacts, z.ZodType>;

/** Reads {@linkcode RunFacts}; `undefined` for those that a later version has written. */
export const runFactsSchema = z.object(runFields).or(z.undefined())
  .catch(undefined).optional();
