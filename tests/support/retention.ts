import { relayOptions } from "../../relay/options/schema.ts";
import type { Retention } from "../../relay/topics/log.ts";

/** The retention of a relay whose options do not say otherwise. */
export const DEFAULT_RETENTION: Retention = relayOptions.parse({}).retention;
