// This module is browser compatible.
import * as z from "zod";
import { parseData } from "../event_data.ts";

/** The facts that tell the place of an event in its response. */
export interface EventFacts {
  /** The event's type. */
  readonly type: string | undefined;
  /** The event's number, from 0. */
  readonly sequenceNumber: number | undefined;
}

const schema = z.object({
  type: z.string().optional().catch(undefined),
  sequence_number: z.number().optional().catch(undefined),
}).catch({});

/**
 * Reads the facts that tell the place of an event.
 *
 * @param data The event's data, whatever it is.
 * @returns The facts, `undefined` where the event does not tell them.
 */
export function factsOf(data: string): EventFacts {
  const { type, sequence_number } = schema.parse(parseData(data));
  return { type, sequenceNumber: sequence_number };
}
