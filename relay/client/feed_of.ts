// This module is browser compatible.
import { type Carrier, Feed } from "./feed.ts";
import type { TopicOptions } from "./options.ts";
import { PrefixFeed } from "./prefix_feed.ts";
import type { Subscription } from "./subscription.ts";

/** Makes the feed of a topic, or of all whose names begin like this, where it ends with a star. */
export function feedOf(
  topic: string,
  carrier: Carrier,
  options: TopicOptions,
): Subscription {
  return topic.endsWith("*")
    ? new PrefixFeed(topic, carrier, options)
    : new Feed(topic, carrier, options);
}
