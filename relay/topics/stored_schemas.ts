import { z } from "zod";
import { END_STATUSES } from "./end.ts";
import type { TopicFacts } from "./log.ts";
import { runFactsSchema } from "./run_facts.ts";
import { filledBySchema } from "./topic_source.ts";

/**
 * Accepts the facts of a topic, as JSON has them. Each field has a row: what the schema
 * does not know would be lost.
 */
export const factsSchema = z.object(
  {
    source: z.string().optional(),
    filledBy: filledBySchema,
    run: runFactsSchema,
    from: z.literal("now").optional(),
    owner: z.string().optional(),
    isOpen: z.boolean(),
    isAwaited: z.literal(true).optional(),
    filling: z.string().optional(),
    follows: z.string().optional(),
  } satisfies Record<keyof TopicFacts, z.ZodType>,
);

/** The names of all facts of a topic. */
export const FACT_NAMES: readonly (keyof TopicFacts)[] = factsSchema.keyof()
  .options;

/** Whether facts are the same, as JSON has them. */
export function areSameFacts(one: TopicFacts, other: TopicFacts): boolean {
  return one === other ||
    FACT_NAMES.every((name) =>
      one[name] === other[name] ||
      JSON.stringify(one[name]) === JSON.stringify(other[name])
    );
}

/** Accepts an end, as JSON has it. */
export const endSchema = z.object({
  status: z.enum(END_STATUSES),
  reason: z.string().exactOptional(),
  isWhole: z.boolean(),
  at: z.number(),
});
