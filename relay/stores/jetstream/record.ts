import { z } from "zod";
import { StoreError } from "../../topics/store.ts";
import { endSchema, factsSchema } from "../../topics/stored_schemas.ts";

const summary = z.object({
  first: z.int().positive(),
  next: z.int().positive(),
  bytes: z.int().nonnegative(),
  end: endSchema,
  facts: factsSchema,
  firstAt: z.number().optional(),
  lastAt: z.number().optional(),
});

const log = z.object({
  epoch: z.string(),
  createdAt: z.number(),
  /** A place in the stream that is before all of its messages. */
  since: z.int().nonnegative(),
  /** The facts that it was made with. */
  facts: factsSchema,
  /** The summary of its end, once it has ended. */
  summary: summary.optional(),
});

const record = z.object({
  v: z.literal(1),
  /** The epoch of the log that has the name. */
  current: z.string().optional(),
  /** All logs of the name: the newest first. */
  logs: z.array(log),
  /** The epochs of logs that were deleted, and whose messages have yet to be removed. */
  gone: z.array(z.string()).optional(),
});

/** The summary of a log that has ended, in the record of its name. */
export type LogSummary = z.output<typeof summary>;

/** A log, as the record of its name has it. */
export type RecordedLog = z.output<typeof log>;

/** The record of a name: the logs that it stands for, and has stood for. */
export type NameRecord = z.output<typeof record>;

/** A name that stands for nothing. */
export const NOTHING: NameRecord = { v: 1, logs: [] };

/** Writes a record. */
export function writeRecord(value: NameRecord): string {
  return JSON.stringify(value);
}

/**
 * Reads a record.
 *
 * @throws {StoreError} If it is none.
 */
export function readRecord(text: string, name: string): NameRecord {
  let value: unknown;
  try {
    // A key that was deleted by another tool has no value.
    value = text === "" ? NOTHING : JSON.parse(text);
  } catch {
    value = undefined;
  }
  const { data } = record.safeParse(value);
  if (data) return data;
  throw new StoreError(
    "corrupt",
    `Expected what a relay has written of topic '${name}', and got something else, or that of a later version`,
  );
}

/** Returns the log that has the name, if there is one. */
export function currentOf(
  { current, logs }: NameRecord,
): RecordedLog | undefined {
  return logs.find(({ epoch }) => epoch === current);
}

/** Whether a name stands for nothing, and nothing is left of what it has stood for. */
export function isNothing({ logs, gone }: NameRecord): boolean {
  return logs.length === 0 && gone === undefined;
}

/** Puts a log in front. */
export function withLog(value: NameRecord, log: RecordedLog): NameRecord {
  return { ...value, current: log.epoch, logs: [log, ...value.logs] };
}

/**
 * Takes a log out, whose messages are to be removed: the one that it follows has the
 * name again, if it is there.
 */
export function withoutLog(value: NameRecord, epoch: string): NameRecord {
  const gone = value.logs.find((log) => log.epoch === epoch);
  if (!gone) return value;
  const logs = value.logs.filter((log) => log !== gone);
  const current = value.current === epoch
    ? logs.find((log) => log.epoch === gone.facts.follows)?.epoch
    : value.current;
  return without(value, current, logs);
}

/** Takes out what has ended before a time, whose messages are to be removed. */
export function withoutEnded(value: NameRecord, before: number): NameRecord {
  const logs = value.logs.filter(({ summary }) =>
    !summary || summary.end.at > before
  );
  if (logs.length === value.logs.length) return value;
  const isThere = logs.some(({ epoch }) => epoch === value.current);
  return without(value, isThere ? value.current : undefined, logs);
}

/** Takes note that the messages of logs that were deleted are removed. */
export function withoutGone(
  value: NameRecord,
  epochs: ReadonlySet<string>,
): NameRecord {
  const { gone = [], ...rest } = value;
  const left = gone.filter((epoch) => !epochs.has(epoch));
  if (left.length === gone.length) return value;
  return left.length === 0 ? rest : { ...rest, gone: left };
}

function without(
  { logs: before, gone = [] }: NameRecord,
  current: string | undefined,
  logs: readonly RecordedLog[],
): NameRecord {
  const removed = before.filter((log) => !logs.includes(log));
  return {
    v: 1,
    ...(current !== undefined && { current }),
    logs: [...logs],
    gone: [...gone, ...removed.map(({ epoch }) => epoch)],
  };
}

/** Writes down what has become of a log. */
export function withSummary(
  value: NameRecord,
  epoch: string,
  summary: LogSummary,
): NameRecord {
  const logs = value.logs.map((log) =>
    log.epoch === epoch ? { ...log, summary } : log
  );
  return { ...value, logs };
}
