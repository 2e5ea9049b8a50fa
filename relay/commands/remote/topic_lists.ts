import { z } from "zod";
import type { RelayAccess } from "./relay_access.ts";

/** A topic's description, as far as the commands show it (PROTOCOL.md, section 4). */
const topicDescription = z.looseObject({
  name: z.string(),
  state: z.string(),
  epoch: z.string(),
  next: z.number(),
  subscribers: z.number(),
  source: z.string().nullable(),
  upstream: z.looseObject({ state: z.string() }).optional(),
  end: z.looseObject({ status: z.string(), reason: z.string().optional() })
    .optional(),
});

/** A topic's description. */
export type ListedTopic = z.infer<typeof topicDescription>;

const page = z.object({
  topics: z.array(topicDescription),
  next: z.string().optional(),
});

/** The most topics of a page. */
const PAGE = "1000";

/** The topics to list. */
export interface TopicFilter {
  /** The beginning of all names. */
  readonly prefix?: string | undefined;
  /** The state of all of them. */
  readonly state?: string | undefined;
}

/** Lists topics page by page, in the order of their names. */
export async function* listTopics(
  relay: RelayAccess,
  { prefix, state }: TopicFilter,
): AsyncGenerator<readonly ListedTopic[]> {
  let after: string | undefined;
  do {
    const query = new URLSearchParams({ limit: PAGE });
    if (prefix) query.set("prefix", prefix);
    if (state) query.set("state", state);
    if (after !== undefined) query.set("after", after);
    const response = await relay.request(`topics?${query}`, {
      headers: { Accept: "application/json" },
    });
    const { topics, next } = page.parse(await response.json());
    yield topics;
    after = next;
  } while (after !== undefined);
}
