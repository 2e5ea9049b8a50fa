import { z } from "zod";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { endSchema, factsSchema } from "../../topics/stored_schemas.ts";
import { StoreError } from "../../topics/store.ts";

/** The header that says what a message does to its log. */
export const HEADER = "Rivulet";

const deed = z.object({
  /** The version of this format: a later one is not read. */
  v: z.literal(1),
  /**
   * The place of the message that it follows: of several that follow the same one, the
   * first counts, and the others are void.
   */
  after: z.int().nonnegative(),
  /** The offset that the log has gone on at. */
  at: z.int().positive(),
  /** The time, in milliseconds since the epoch. */
  time: z.number(),
  /** The number of events in the body. */
  count: z.int().nonnegative(),
  facts: factsSchema.optional(),
  /** The records of publications, by their keys. */
  publications: z.array(z.tuple([z.string(), z.string()])).optional(),
  /** Offsets that are left out, after the events. */
  hole: z.object({
    count: z.int().positive(),
    reason: z.enum(["evicted", "epoch", "slow", "skipped"]),
  }).optional(),
  end: endSchema.optional(),
  /** The number of the lease that the writer has, or of the newest that it knows of. */
  lease: z.int().positive().optional(),
  /** The number of messages before this one that have the beginning of its body. */
  parts: z.int().positive().optional(),
});

const part = z.object({
  v: z.literal(1),
  after: z.int().nonnegative(),
  part: z.string(),
});

/** The change that a message makes to its log: all of it, or nothing. */
export type Deed = z.output<typeof deed>;

/** A message as it is read: a deed, or a part of the body of the next one. */
export type ReadMessage =
  | { readonly kind: "deed"; readonly deed: Deed }
  | {
    readonly kind: "part";
    readonly after: number;
    readonly part: string;
  };

/** Writes what a header says: of ASCII alone, as headers have to be. */
export function writeHeader(value: Deed | z.output<typeof part>): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * Reads a header.
 *
 * @throws {StoreError} If a relay of another version has written it, or none has.
 */
export function readHeader(text: string, subject: string): ReadMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const known = deed.safeParse(value);
  if (known.success) return { kind: "deed", deed: known.data };
  const piece = part.safeParse(value);
  if (piece.success) {
    const { after, part } = piece.data;
    return { kind: "part", after, part };
  }
  throw new StoreError(
    "corrupt",
    `Expected messages of a relay at ${subject}, and one of them is not, or is of a later version: give this cluster a prefix of its own, or start the newer version`,
  );
}

type Row = readonly [data: string, event: string, id: string];

/** Checks by hand what a schema checks in as much time as `JSON.parse` takes. */
function isRow(value: unknown): value is Row {
  return Array.isArray(value) && value.length === 3 &&
    typeof value[0] === "string" && typeof value[1] === "string" &&
    typeof value[2] === "string";
}

/** Writes events as a body. */
export function writeEvents(all: readonly ServerSentEvent[]): Uint8Array {
  if (all.length === 0) return new Uint8Array();
  const rows = all.map(({ data, event, id }) => [data, event, id]);
  return new TextEncoder().encode(JSON.stringify(rows));
}

/**
 * Reads a body.
 *
 * @throws {StoreError} If it has not as many events as its header says.
 */
export function readEvents(
  body: Uint8Array,
  count: number,
  subject: string,
): readonly ServerSentEvent[] {
  if (count === 0) return [];
  const rows = parse(body);
  if (rows?.length === count) {
    return rows.map(([data, event, id]) => ({ data, event, id }));
  }
  throw new StoreError(
    "corrupt",
    `Expected ${count} events in a message at ${subject}: it was damaged, or is not a relay's`,
  );
}

function parse(body: Uint8Array): readonly Row[] | undefined {
  try {
    const rows: unknown = JSON.parse(new TextDecoder().decode(body));
    return Array.isArray(rows) && rows.every(isRow) ? rows : undefined;
  } catch {
    return undefined;
  }
}
