import { z } from "zod";

/** What an event's data says of itself: fields that are not what they should be count as left out. */
export const wireEvent = z.object({
  type: z.string().optional().catch(undefined),
  object: z.string().optional().catch(undefined),
  error: z.unknown().optional(),
});

/** An event's data, as far as it says what it is. */
export type WireEvent = z.infer<typeof wireEvent>;

/**
 * Reads an event's data.
 *
 * @returns What it is; `undefined` if it is not JSON.
 */
export function parseData(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

/** Whether it is the mark that many providers end a stream with. */
export function isDone(data: string): boolean {
  return data.trim() === "[DONE]";
}

/** What an event is that does not say so in its data: what its name says, or an error. */
export function typeOf(name: string, { type, error }: WireEvent): string {
  return type ?? (error == null ? name : "error");
}
