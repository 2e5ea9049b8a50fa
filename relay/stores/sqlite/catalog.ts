import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { z } from "zod";
import { END_STATUSES, type StoredEnd } from "../../topics/end.ts";
import type { GapReason, Hole, TopicFacts } from "../../topics/log.ts";
import type { ListQuery, StoredTopic } from "../../topics/store.ts";
import { factsSchema } from "../../topics/stored_schemas.ts";

/** A topic as the file has it. */
export interface TopicRow extends StoredTopic {
  readonly id: number;
  /** The time of the oldest event; `undefined` where there is none. */
  readonly oldest: number | undefined;
  readonly lastId: string;
}

const facts: z.ZodType<TopicFacts> = factsSchema;

const REASONS: readonly GapReason[] = ["evicted", "epoch", "slow", "skipped"];

/** A row, which has the columns that were selected, in the types of the schema. */
type Row = Readonly<Record<string, unknown>>;

/** A column of the newest row of a topic's events. */
const newest = (column: string): string =>
  `(SELECT ${column} FROM ranges WHERE topic = topics.id ORDER BY first DESC LIMIT 1) AS ${column}`;

const COLUMNS =
  `id, name, epoch, created, facts, first, next, bytes, oldest, last_id, end_status, end_reason, end_whole, ended, ${
    newest("time")
  }, ${newest("times")}`;

/** Leaves former logs out of a list: only their names have a slash. */
const CURRENT = "instr(name, '/') = 0";

/**
 * Looks up what the file says of topics, keys and values: some microseconds each, which
 * are less than a thread would need to answer.
 */
export class Catalog implements Disposable {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Opens the file, which is there and in order. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path, { readOnly: true, timeout: 1_000 });
  }

  /** Returns the number of logs. */
  count(): number {
    return this.#number("SELECT count(*) FROM topics");
  }

  /** Returns the greatest id of a topic that there is, or whose rows are not removed yet. */
  lastId(): number {
    return this.#number(
      "SELECT max(coalesce((SELECT max(id) FROM topics), 0), coalesce((SELECT max(topic) FROM graves), 0))",
    );
  }

  /** Finds a log by its name: a topic's, or a former one's. */
  find(name: string): TopicRow | undefined {
    const row = this.#prepare(`SELECT ${COLUMNS} FROM topics WHERE name = ?`)
      .get(name);
    return row && readTopic(row);
  }

  /** Lists topics in the order of their names. */
  list({ after, prefix, limit }: ListQuery): TopicRow[] {
    return this.#prepare(
      `SELECT ${COLUMNS} FROM topics WHERE name > ? AND name >= ? AND name < ? AND ${CURRENT} ORDER BY name LIMIT ?`,
    ).all(after, prefix, endOf(prefix), limit).map(readTopic);
  }

  /** Lists topics that have not ended, in the order of their names. */
  listUnended({ after, prefix, limit }: ListQuery): TopicRow[] {
    return this.#prepare(
      `SELECT ${COLUMNS} FROM topics WHERE ended IS NULL AND name > ? AND name >= ? AND name < ? ORDER BY name LIMIT ?`,
    ).all(after, prefix, endOf(prefix), limit).map(readTopic);
  }

  /** Lists topics that had ended at a time, those that ended first. */
  listEnded(before: number, limit: number): TopicRow[] {
    return this.#prepare(
      `SELECT ${COLUMNS} FROM topics WHERE ended <= ? ORDER BY ended LIMIT ?`,
    ).all(before, limit).map(readTopic);
  }

  /** Returns the holes of a topic, in order. */
  holes(id: number): Hole[] {
    return this.#prepare(
      'SELECT start AS "from", stop AS "to", reason FROM holes WHERE topic = ? ORDER BY start',
    ).all(id).map(readHole);
  }

  /** Returns what was kept with the events of a publication. */
  publication(id: number, key: string): string | undefined {
    return textOf(
      this.#prepare(
        "SELECT value FROM publications WHERE topic = ? AND key = ?",
      ).get(id, key),
    );
  }

  /** Lists what was kept with the events of publications: the oldest first. */
  publications(id: number): [key: string, value: string][] {
    return this.#prepare(
      "SELECT key, value FROM publications WHERE topic = ? ORDER BY rowid",
    ).all(id).map(({ key, value }) => [String(key), String(value)]);
  }

  /** Returns the value under a key that has not expired. */
  value(bucket: string, key: string, now: number): string | undefined {
    return textOf(
      this.#prepare(
        "SELECT value FROM entries WHERE bucket = ? AND key = ? AND expires > ?",
      ).get(bucket, key, now),
    );
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#db.close();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      this.#statements.set(sql, statement = this.#db.prepare(sql));
    }
    return statement;
  }

  #number(sql: string): number {
    return Number(Object.values(this.#prepare(sql).get() ?? {})[0]);
  }
}

/** No name has a character after this one. */
function endOf(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

function textOf(row: Row | undefined): string | undefined {
  return row === undefined ? undefined : String(row.value);
}

function readHole({ from, to, reason }: Row): Hole {
  const known = REASONS.find((known) => known === reason);
  return { from: Number(from), to: Number(to), reason: known ?? "evicted" };
}

/** Schemas for rows would take most of the time of a list: the columns have types already. */
function readTopic(row: Row): TopicRow {
  const oldest = numberOf(row.oldest);
  const first = Number(row.first);
  return {
    id: Number(row.id),
    name: String(row.name),
    epoch: String(row.epoch),
    createdAt: Number(row.created),
    firstAt: first === 1 ? oldest : undefined,
    lastAt: newestOf(row),
    facts: facts.parse(JSON.parse(String(row.facts))),
    first,
    next: Number(row.next),
    bytes: Number(row.bytes),
    oldest,
    lastId: String(row.last_id),
    end: readEnd(row),
  };
}

function numberOf(value: unknown): number | undefined {
  return value === null ? undefined : Number(value);
}

/** Returns the time of the newest event that the file has. */
function newestOf({ time, times }: Row): number | undefined {
  if (times === null) return numberOf(time);
  const runs: unknown = JSON.parse(String(times));
  return Array.isArray(runs) ? numberOf(runs.at(-1)) : numberOf(time);
}

function readEnd(row: Row): StoredEnd | undefined {
  const { end_status, end_reason } = row;
  if (end_status === null) return undefined;
  const status = END_STATUSES.find((status) => status === end_status);
  if (!status) throw new TypeError(`Expected an end status: got ${end_status}`);
  return {
    status,
    ...(end_reason !== null && { reason: String(end_reason) }),
    isWhole: row.end_whole === 1,
    at: Number(row.ended),
  };
}
