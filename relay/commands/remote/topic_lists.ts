import { z } from "zod";
import type { RelayAccess } from "./relay_access.ts";

/** A topic's description, as far as the commands show it (PROTOCOL.md, section 4). */
const topicDescription = z.looseObject({
  name: z.string(),
  state: z.string(),
  epoch: z.string(),
  next: z.number(),
  subscribers: z.number(),
  /** Older relays do not say it. */
  lag: z.number().optional(),
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
  /** A text in all names. */
  readonly search?: string | undefined;
  /** The kind of what fills all of them. */
  readonly source?: string | undefined;
  /** The order. Default: that of the names. */
  readonly sort?: string | undefined;
}

/** The most topics that a list in another order than that of the names goes on after. */
const MAX_SKIP = 10_000;

/**
 * Lists topics page by page, in the order of their names; in another order, those that a
 * relay sorts.
 */
export async function* listTopics(
  relay: RelayAccess,
  filter: TopicFilter,
): AsyncGenerator<readonly ListedTopic[]> {
  const isByName = filter.sort === undefined || filter.sort === "name";
  let after: string | undefined;
  let skip = 0;
  do {
    const query = new URLSearchParams({ limit: PAGE });
    for (const [name, value] of Object.entries(filter)) {
      if (value) query.set(name, value);
    }
    if (after !== undefined) query.set("after", after);
    if (skip > 0) query.set("skip", String(skip));
    const response = await relay.request(`topics?${query}`, {
      headers: { Accept: "application/json" },
    });
    const { topics, next } = page.parse(await response.json());
    yield topics;
    after = next;
    skip = isByName || topics.length < Number(PAGE) ? 0 : skip + topics.length;
  } while (after !== undefined || skip > 0 && skip <= MAX_SKIP);
}
