import type { PackedRange } from "./messages.ts";
import type { WriterFile } from "./writer_file.ts";

/** The sizes at which a {@linkcode RowMerger} merges rows. */
export interface RowMergerSettings {
  /** The most events of a row. */
  readonly rowEvents: number;
  /** The most bytes of the events of a row, unless it has one. */
  readonly rowBytes: number;
}

/** The rows at the end of a topic that were not merged yet. */
interface Tail {
  /** The offset that they begin at: that of a row. */
  start: number;
  rows: number;
  events: number;
  bytes: number;
  /** Whether the file knows of them. */
  isListed: boolean;
}

/** A row, without its events. */
interface Row {
  readonly first: number;
  readonly count: number;
  readonly bytes: number;
}

/**
 * Makes large rows of the small ones that a topic has which is written a few events at a
 * time: a row of 128 events is read in a tenth of the time of 128 rows.
 *
 * An event is written a second time once the rows behind it fill a large one, or when its
 * topic has ended or rests. The table `unmerged` knows of topics with small rows when the
 * process is another one.
 *
 * The class is run in a thread from its text (see `thread.ts`): it uses nothing of its
 * module but types.
 */
export class RowMerger {
  /** The rows that are worth the work: fewer cost readers little. */
  readonly #leastRows = 4;
  /** The bytes of events after which a step is over: some milliseconds. */
  readonly #stepBytes = 64 * 1024;
  /** The rows that are looked at in one go: more than one large row is made of. */
  readonly #lookedAt = 1_024;
  /** The time after which a topic that nobody appends to rests, in milliseconds. */
  readonly #rest = 10_000;
  /** The topics in the table that are looked at in one go, and how often. */
  readonly #listed = { limit: 100, interval: 1_000 };
  readonly #file: WriterFile;
  readonly #settings: RowMergerSettings;
  readonly #tails = new Map<number, Tail>();
  /** The topics that have rows to merge: all their rows if it is `whole`. */
  readonly #due = new Map<number, "whole" | "filled">();
  #cursor = 0;
  #looked = -Infinity;

  /** Makes a merger of the rows in a file. */
  constructor(file: WriterFile, settings: RowMergerSettings) {
    this.#file = file;
    this.#settings = settings;
  }

  /** Whether there are rows to merge. */
  get isDue(): boolean {
    return this.#due.size > 0;
  }

  /** Takes note of a row that is about to be added to a topic. */
  adding(id: number, { first, count, bytes }: Row): void {
    const tail = this.#tail(id, first);
    tail.rows++;
    tail.events += count;
    tail.bytes += bytes;
    if (tail.rows < this.#leastRows) return;
    if (!tail.isListed) {
      this.#file.run(
        "INSERT OR REPLACE INTO unmerged(topic, start) VALUES(?, ?)",
        id,
        tail.start,
      );
      tail.isListed = true;
    }
    const { rowEvents, rowBytes } = this.#settings;
    const isFilled = tail.events >= rowEvents || tail.bytes >= rowBytes;
    if (isFilled && !this.#due.has(id)) this.#due.set(id, "filled");
  }

  /** Takes note of a topic that is being ended. */
  ended(id: number): void {
    const tail = this.#tails.get(id);
    // The table has it if it is not in memory.
    if (tail && tail.rows >= this.#leastRows) this.#due.set(id, "whole");
  }

  /** Takes note of a topic that is being deleted. */
  forget(id: number): void {
    this.#tails.delete(id);
    this.#due.delete(id);
    this.#file.run("DELETE FROM unmerged WHERE topic = ?", id);
  }

  /** Forgets what is only in memory: the file may not have what led to it. */
  clear(): void {
    this.#tails.clear();
    this.#due.clear();
  }

  /**
   * Merges some rows, in the transaction of the caller.
   *
   * @param now The time, in milliseconds since the epoch.
   */
  merge(now: number): void {
    if (now - this.#looked >= this.#listed.interval) this.#look(now);
    let room = this.#stepBytes;
    for (const [id, kind] of this.#due) {
      if (room <= 0) break;
      // To look at the rows costs something too.
      room -= this.#mergeTopic(id, kind, room) + 1_000;
    }
  }

  /** Finds topics in the table that have ended, or that rest. */
  #look(now: number): void {
    this.#looked = now;
    const { limit } = this.#listed;
    const rows = this.#file.prepare(
      "SELECT topic, (SELECT ended FROM topics WHERE id = topic) AS ended, (SELECT time FROM ranges WHERE ranges.topic = unmerged.topic ORDER BY first DESC LIMIT 1) AS time FROM unmerged WHERE topic > ? ORDER BY topic LIMIT ?",
    ).all(this.#cursor, limit);
    for (const { topic, ended, time } of rows) {
      const rests = ended !== null || !(Number(time) > now - this.#rest);
      if (rests) this.#due.set(Number(topic), "whole");
    }
    this.#cursor = rows.length < limit ? 0 : Number(rows.at(-1)?.topic);
  }

  /** Merges rows of a topic, up to so many bytes or a little more; returns how many. */
  #mergeTopic(id: number, kind: "whole" | "filled", room: number): number {
    const rows = this.#file.prepare(
      "SELECT first, count, bytes FROM ranges WHERE topic = ? AND first >= ? ORDER BY first LIMIT ?",
    ).all(
      id,
      this.#tail(id, 0).start,
      this.#lookedAt,
    ) as unknown as Row[]; // the columns that are selected
    const groups = this.#group(rows);
    const isAll = rows.length < this.#lookedAt;
    // The last one may still grow.
    const last = isAll && kind === "whole" ? undefined : groups.pop();
    let merged = 0;
    let rest: readonly Row[] = [];
    for (const group of groups) {
      if (merged >= room) {
        this.#stand(id, group, true);
        return merged;
      }
      rest = group;
      if (group.length < this.#leastRows) continue;
      rest = [this.#mergeRows(id, group)];
      merged += rest[0]!.bytes; // there is one
    }
    this.#stand(id, last ?? rest, !isAll);
    if (isAll) this.#due.delete(id);
    return merged;
  }

  /** Puts rows together that make one. */
  #group(rows: readonly Row[]): Row[][] {
    const { rowEvents, rowBytes } = this.#settings;
    const groups: Row[][] = [];
    let [next, events, bytes] = [-1, 0, 0];
    for (const row of rows) {
      events += row.count;
      bytes += row.bytes;
      if (row.first !== next || events > rowEvents || bytes > rowBytes) {
        groups.push([]);
        [events, bytes] = [row.count, row.bytes];
      }
      groups.at(-1)!.push(row); // the first row has begun one
      next = row.first + row.count;
    }
    return groups;
  }

  /** Takes note of the rows that are left at the end of a topic. */
  #stand(id: number, rows: readonly Row[], isDue: boolean): void {
    const [first] = rows;
    const isListed = isDue || rows.length >= this.#leastRows;
    if (!first || !isListed) {
      this.#file.run("DELETE FROM unmerged WHERE topic = ?", id);
    } else {
      this.#file.run(
        "INSERT OR REPLACE INTO unmerged(topic, start) VALUES(?, ?)",
        id,
        first.first,
      );
    }
    this.#tails.delete(id);
    if (!first) return;
    this.#tails.set(id, {
      start: first.first,
      rows: rows.length,
      events: rows.reduce((sum, { count }) => sum + count, 0),
      bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0),
      isListed,
    });
  }

  /** Makes one row of several, and returns it. */
  #mergeRows(id: number, rows: readonly Row[]): Row {
    const first = rows[0]!.first; // there are some
    const last = rows.at(-1)!.first;
    const ranges = this.#file.prepare(
      "SELECT first, count, bytes, time, times, sizes, events FROM ranges WHERE topic = ? AND first BETWEEN ? AND ? ORDER BY first",
    ).all(id, first, last) as unknown as PackedRange[]; // the columns that are selected
    const texts: string[] = [];
    const sizes: string[] = [];
    const runs: number[] = [];
    let [count, bytes] = [0, 0];
    for (const range of ranges) {
      // Arrays of JSON are joined without a look at what is in them.
      texts.push(range.events.slice(1, -1));
      sizes.push(range.sizes?.slice(1, -1) ?? String(range.bytes));
      const added: number[] = range.times === null
        ? [range.count, range.time]
        : JSON.parse(range.times);
      for (let at = 0; at < added.length; at += 2) {
        const [events = 0, time = 0] = added.slice(at, at + 2);
        if (runs.at(-1) === time) runs[runs.length - 2]! += events; // a run has two numbers
        else runs.push(events, time);
      }
      count += range.count;
      bytes += range.bytes;
    }
    this.#file.run(
      "DELETE FROM ranges WHERE topic = ? AND first BETWEEN ? AND ?",
      id,
      first,
      last,
    );
    this.#file.run(
      "INSERT INTO ranges(topic, first, count, bytes, time, times, sizes, events) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
      id,
      first,
      count,
      bytes,
      runs[1] ?? 0,
      runs.length > 2 ? JSON.stringify(runs) : null,
      `[${sizes.join()}]`,
      `[${texts.join()}]`,
    );
    return { first, count, bytes };
  }

  /** Finds the rows at the end of a topic; if there are none, they begin at an offset. */
  #tail(id: number, next: number): Tail {
    const known = this.#tails.get(id);
    if (known) return known;
    // Topics that are still in use are looked for again.
    if (this.#tails.size >= 20_000) this.#tails.clear();
    const listed = this.#file.prepare(
      "SELECT start FROM unmerged WHERE topic = ?",
    ).get(id);
    const start = Number(listed?.start ?? next);
    const tail = { start, rows: 0, events: 0, bytes: 0, isListed: false };
    this.#tails.set(id, tail);
    if (!listed) return tail;
    const row = this.#file.prepare(
      "SELECT count(*) AS rows, sum(count) AS events, sum(bytes) AS bytes FROM ranges WHERE topic = ? AND first >= ?",
    ).get(id, start);
    tail.rows = Number(row?.rows);
    tail.events = Number(row?.events);
    tail.bytes = Number(row?.bytes);
    tail.isListed = true;
    return tail;
  }
}
