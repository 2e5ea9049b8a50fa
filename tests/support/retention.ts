import { relayOptions } from "../../relay/options/schema.ts";
import type { Retention } from "../../relay/topics/log.ts";

/** How much a relay keeps of a topic where its options do not say otherwise. */
export const DEFAULT_RETENTION: Retention = relayOptions.parse({}).retention;
