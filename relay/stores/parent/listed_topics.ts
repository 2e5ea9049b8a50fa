import type { z } from "zod";
import type { topicsSchema } from "../../links/wire.ts";
import type { StoredTopic } from "../../topics/store.ts";

/** Returns a topic with its end, which JSON leaves out where there is none. */
export function withEnd(
  topic: z.output<typeof topicsSchema>[number],
): StoredTopic {
  return { ...topic, end: topic.end };
}
