import type { DatabaseSync } from "node:sqlite";
import type {
  Commit,
  Committed,
  EvictedLog,
  Operation,
  Purge,
  Standing,
  Step,
  Stepped,
  WriterRequest,
} from "./messages.ts";
import type { RowMerger, RowMergerSettings } from "./row_merger.ts";
import type { WriterFile, WriterFileSettings } from "./writer_file.ts";

/** The limits and the settings of a {@linkcode Writer}. */
export interface WriterSettings extends WriterFileSettings, RowMergerSettings {
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly maxAge: number;
  /** The most publications of a topic whose keys are kept. */
  readonly maxPublications: number;
}

/** The classes of the objects that a {@linkcode Writer} makes. */
export interface WriterParts {
  readonly WriterFile: typeof WriterFile;
  readonly RowMerger: typeof RowMerger;
}

/** The oldest row of a topic: its events are given up one by one. */
interface Head {
  readonly first: number;
  readonly sizes: readonly number[];
  readonly times: readonly number[];
}

/** The state of a topic in the transaction that is under way. */
interface TopicState {
  readonly id: number;
  first: number;
  next: number;
  bytes: number;
  events: number;
  oldest: number | null;
  lastId: string;
  isEnded: boolean;
  head: Head | undefined;
  /** The first hole; `null` where there is none, `undefined` where it was not looked for. */
  hole:
    | { readonly start: number; readonly stop: number }
    | null
    | undefined;
  publications: number | undefined;
  isChanged: boolean;
}

/** The columns of a hole. */
interface HoleRow {
  readonly start: number;
  readonly stop: number;
}

/**
 * Writes the file of a store, and is the only one that does.
 *
 * The class is run in a thread from its text (see `thread.ts`): it uses nothing of its
 * module but types.
 */
export class Writer {
  /** The result code of SQLite for a disk, or a file, that has no room. */
  readonly #full = 13;
  readonly #settings: WriterSettings;
  readonly #file: WriterFile;
  readonly #merger: RowMerger;
  readonly #states = new Map<number, TopicState>();
  #evicted: EvictedLog[] = [];

  /** Opens the file, which is there and in order. */
  constructor(
    Database: typeof DatabaseSync,
    settings: WriterSettings,
    parts: WriterParts,
  ) {
    this.#settings = settings;
    this.#file = new parts.WriterFile(Database, settings);
    this.#merger = new parts.RowMerger(this.#file, settings);
  }

  /** Does what it is asked for. */
  handle(request: WriterRequest): Committed | Stepped | undefined {
    switch (request.kind) {
      case "commit":
        return this.#commit(request);
      case "step":
        return this.#file.withoutSync(() => this.#step(request));
      case "probe":
        return void this.#probe();
      case "finish":
        return void this.#finish();
    }
  }

  /** Closes the file. */
  close(): void {
    this.#forget();
    this.#file.close();
  }

  #commit({ now, operations }: Commit): Committed {
    for (;;) {
      try {
        const stale: [number, number | null][] = [];
        const standings = this.#transaction(() => {
          const changed = new Set<TopicState>();
          for (const [index, operation] of operations.entries()) {
            const result = this.#apply(operation, changed);
            if (result !== undefined) stale.push([index, result]);
          }
          return this.#settle(changed, now);
        });
        return { standings, stale, evicted: this.#takeEvicted() };
      } catch (error) {
        if (this.#isAtBound(error) && this.#makeRoom()) continue;
        throw error;
      }
    }
  }

  #transaction<T>(work: () => T): T {
    try {
      return this.#file.transaction(work);
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  /** Forgets all that was read or made in a transaction that failed. */
  #forget(): void {
    this.#states.clear();
    this.#merger.clear();
  }

  /** Returns where the log goes on for an operation that came second; `null` if nowhere. */
  #apply(
    operation: Operation,
    changed: Set<TopicState>,
  ): number | null | undefined {
    switch (operation[0]) {
      case "create": {
        const [, id, name, epoch, created, facts, former] = operation;
        if (former !== null) {
          this.#file.run(
            "UPDATE topics SET name = ? WHERE name = ?",
            former,
            name,
          );
        }
        this.#file.run(
          "INSERT INTO topics(id, name, epoch, created, facts, first, next, bytes, events, last_id) VALUES(?, ?, ?, ?, ?, 1, 1, 0, 0, '')",
          id,
          name,
          epoch,
          created,
          facts,
        );
        return undefined;
      }
      case "append": {
        const [, id, expected, ranges, lastId, publications] = operation;
        const state = this.#state(id);
        if (!state || state.isEnded) return null;
        if (state.next !== expected) return state.next;
        for (const range of ranges) {
          const { first, count, bytes, time, times, sizes, events } = range;
          this.#merger.adding(id, range);
          this.#file.run(
            "INSERT INTO ranges(topic, first, count, bytes, time, times, sizes, events) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
            id,
            first,
            count,
            bytes,
            time,
            times,
            sizes,
            events,
          );
          state.next += count;
          state.events += count;
          state.bytes += bytes;
          state.oldest ??= time;
        }
        state.lastId = lastId;
        for (const [key, value] of publications) {
          this.#keep(state, key, value);
        }
        changed.add(state);
        return undefined;
      }
      case "skip": {
        const [, id, expected, count, reason] = operation;
        const state = this.#state(id);
        if (!state || state.isEnded) return null;
        if (state.next !== expected) return state.next;
        this.#skip(state, count, reason);
        changed.add(state);
        return undefined;
      }
      case "end": {
        const [, id, expected, status, reason, isWhole, at] = operation;
        const state = this.#state(id);
        if (!state) return null;
        if (state.isEnded) return undefined;
        if (state.next !== expected) return state.next;
        this.#file.run(
          "UPDATE topics SET end_status = ?, end_reason = ?, end_whole = ?, ended = ? WHERE id = ?",
          status,
          reason,
          isWhole ? 1 : 0,
          at,
          id,
        );
        state.isEnded = true;
        this.#merger.ended(id);
        return undefined;
      }
      case "update": {
        const [, id, facts] = operation;
        const count = this.#file.run(
          "UPDATE topics SET facts = ? WHERE id = ?",
          facts,
          id,
        );
        return count === 0 ? null : undefined;
      }
      case "trim": {
        const state = this.#state(operation[1]);
        if (state) changed.add(state);
        return undefined;
      }
      case "delete": {
        const [, id, back] = operation;
        this.#bury(id);
        if (back) {
          const [former, name] = back;
          this.#file.run(
            "UPDATE topics SET name = ? WHERE name = ?",
            name,
            former,
          );
        }
        return undefined;
      }
      case "put": {
        const [, bucket, key, value, expires] = operation;
        this.#file.run(
          "INSERT OR REPLACE INTO entries(bucket, key, value, expires) VALUES(?, ?, ?, ?)",
          bucket,
          key,
          value,
          expires,
        );
        return undefined;
      }
    }
  }

  #state(id: number): TopicState | undefined {
    const known = this.#states.get(id);
    if (known) return known;
    const row = this.#file.prepare(
      "SELECT first, next, bytes, events, oldest, last_id, ended FROM topics WHERE id = ?",
    ).get(id);
    if (!row) return undefined;
    // Those that were there first are looked for again if they are still in use.
    if (this.#states.size >= 20_000) {
      for (const oldest of this.#states.keys()) {
        this.#states.delete(oldest);
        if (this.#states.size < 10_000) break;
      }
    }
    const state: TopicState = {
      id,
      first: Number(row.first),
      next: Number(row.next),
      bytes: Number(row.bytes),
      events: Number(row.events),
      oldest: row.oldest === null ? null : Number(row.oldest),
      lastId: String(row.last_id),
      isEnded: row.ended !== null,
      head: undefined,
      hole: undefined,
      publications: undefined,
      isChanged: false,
    };
    this.#states.set(id, state);
    return state;
  }

  #keep(state: TopicState, key: string, value: string): void {
    const { id } = state;
    state.publications ??= Number(
      this.#file.prepare(
        "SELECT count(*) AS n FROM publications WHERE topic = ?",
      )
        .get(id)?.n,
    );
    const known = this.#file.run(
      "DELETE FROM publications WHERE topic = ? AND key = ?",
      id,
      key,
    );
    this.#file.run(
      "INSERT INTO publications(topic, key, value) VALUES(?, ?, ?)",
      id,
      key,
      value,
    );
    state.publications += 1 - known;
    const surplus = state.publications - this.#settings.maxPublications;
    if (surplus <= 0) return;
    state.publications -= this.#file.run(
      "DELETE FROM publications WHERE rowid IN (SELECT rowid FROM publications WHERE topic = ? ORDER BY rowid LIMIT ?)",
      id,
      surplus,
    );
  }

  #skip(state: TopicState, count: number, reason: string): void {
    const start = state.next;
    state.next += count;
    // In front of all events, it is as if retention had passed these.
    if (state.events === 0) {
      state.first = state.next;
      return;
    }
    const last = this.#file.prepare(
      "SELECT start FROM holes WHERE topic = ? AND stop = ?",
    ).get(state.id, start - 1);
    this.#file.run(
      "INSERT OR REPLACE INTO holes(topic, start, stop, reason) VALUES(?, ?, ?, ?)",
      state.id,
      last ? Number(last.start) : start,
      state.next - 1,
      reason,
    );
    state.hole = undefined;
  }

  /** Gives up what retention no longer allows, and writes down where topics stand. */
  #settle(changed: Iterable<TopicState>, now: number): Standing[] {
    const standings: Standing[] = [];
    for (const state of changed) {
      this.#trim(state, now);
      const { id, first, next, bytes, events, oldest, lastId } = state;
      this.#file.run(
        "UPDATE topics SET first = ?, next = ?, bytes = ?, events = ?, oldest = ?, last_id = ? WHERE id = ?",
        first,
        next,
        bytes,
        events,
        oldest,
        lastId,
        id,
      );
      standings.push({ id, first, next, bytes, oldest });
    }
    return standings;
  }

  /** As `MemoryLog.trim` has it: the newest event is given up to age alone. */
  #trim(state: TopicState, now: number): void {
    const { maxEvents, maxBytes, maxAge } = this.#settings;
    const oldest = now - maxAge;
    while (state.events > 0) {
      const tooMuch = state.events > 1 &&
        (state.events > maxEvents || state.bytes > maxBytes);
      if (!tooMuch && !(state.oldest !== null && state.oldest < oldest)) break;
      const head = this.#head(state);
      const at = state.first - head.first;
      state.bytes -= head.sizes[at] ?? 0;
      state.events--;
      state.first++;
      if (state.first - head.first === head.sizes.length) {
        state.head = undefined;
        this.#passHole(state);
      }
      state.oldest = state.events === 0
        ? null
        : this.#head(state).times[state.first - this.#head(state).first] ??
          null;
    }
  }

  #head(state: TopicState): Head {
    if (state.head) return state.head;
    const row = this.#file.prepare(
      "SELECT first, count, bytes, time, times, sizes FROM ranges WHERE topic = ? AND first <= ? ORDER BY first DESC LIMIT 1",
    ).get(state.id, state.first);
    const count = Number(row?.count ?? 0);
    const first = Number(row?.first);
    if (!row || state.first >= first + count) {
      throw new Error(
        `The file has no event ${state.first} of topic ${state.id}`,
      );
    }
    const sizes: number[] = row.sizes === null
      ? [Number(row.bytes)]
      : JSON.parse(String(row.sizes));
    const times: number[] = [];
    const runs: number[] = row.times === null
      ? [count, Number(row.time)]
      : JSON.parse(String(row.times));
    for (let at = 0; at < runs.length; at += 2) {
      for (let left = runs[at] ?? 0; left > 0; left--) {
        times.push(runs[at + 1] ?? 0);
      }
    }
    return state.head = { first, sizes, times };
  }

  /** Nobody reads on from a hole that nothing is left before. */
  #passHole(state: TopicState): void {
    if (state.hole === undefined) {
      const row = this.#file.prepare(
        "SELECT start, stop FROM holes WHERE topic = ? ORDER BY start LIMIT 1",
      ).get(state.id) as HoleRow | undefined; // the columns that are selected
      state.hole = row ?? null;
    }
    if (state.hole?.start !== state.first) return;
    state.first = state.hole.stop + 1;
    this.#file.run(
      "DELETE FROM holes WHERE topic = ? AND start = ?",
      state.id,
      state.hole.start,
    );
    state.hole = undefined;
  }

  /** Forgets a topic. Its rows go later, in steps. */
  #bury(id: number): void {
    this.#states.delete(id);
    if (this.#file.run("DELETE FROM topics WHERE id = ?", id) === 0) return;
    this.#file.run("INSERT INTO graves(topic) VALUES(?)", id);
    this.#merger.forget(id);
  }

  /** Removes rows of deleted topics; returns how many. */
  #digOut(limit: number, held: readonly number[]): number {
    let done = 0;
    const graves = this.#file.prepare("SELECT topic FROM graves LIMIT 100")
      .all();
    for (const { topic } of graves) {
      const id = Number(topic);
      if (done >= limit) break;
      if (held.includes(id)) continue;
      const removed = this.#file.run(
        "DELETE FROM ranges WHERE rowid IN (SELECT rowid FROM ranges WHERE topic = ? LIMIT ?)",
        id,
        limit - done,
      );
      done += removed;
      if (done >= limit) break;
      done += 1 +
        this.#file.run("DELETE FROM publications WHERE topic = ?", id) +
        this.#file.run("DELETE FROM holes WHERE topic = ?", id);
      this.#file.run("DELETE FROM graves WHERE topic = ?", id);
    }
    return done;
  }

  #step({ now, purges, held, limit }: Step): Stepped {
    const left: Purge[] = [];
    let more = false;
    const standings = this.#transaction(() => {
      let room = limit;
      for (const purge of purges) {
        if (room > 0) {
          const [id, before] = purge;
          room -= this.#file.run(
            "DELETE FROM ranges WHERE rowid IN (SELECT rowid FROM ranges WHERE topic = ? AND first < ? AND first + count <= ? ORDER BY first LIMIT ?)",
            id,
            before,
            before,
            room,
          );
        }
        if (room <= 0) left.push(purge);
      }
      if (room > 0) room -= this.#digOut(room, held);
      if (room > 0) {
        room -= this.#file.run(
          "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE expires <= ? LIMIT ?)",
          now,
          room,
        );
      }
      if (room <= 0) more = true;
      return this.#settle(this.#aged(now), now);
    });
    more ||= standings.length > 0;
    // Room is made before there is none, so that appends need not wait for it.
    if (this.#file.isNearBound) {
      more = this.#transaction(() => this.#evict()) || more;
    } else more = this.#merge(now) || more;
    const hasHoles = (): boolean => {
      const { free, pages } = this.#file.pages;
      return free > 64 && free > pages / 8;
    };
    if (!more && hasHoles()) {
      // `exec` frees one page: each row of the result is one.
      this.#file.prepare("PRAGMA incremental_vacuum(256)").all();
      more = hasHoles();
    }
    const { pages, free, pageSize } = this.#file.pages;
    return {
      standings,
      evicted: this.#takeEvicted(),
      purges: left,
      more,
      fileBytes: pages * pageSize,
      freeBytes: free * pageSize,
    };
  }

  /** Merges some rows; returns whether there is more to merge. */
  #merge(now: number): boolean {
    try {
      this.#transaction(() => this.#merger.merge(now));
      return this.#merger.isDue;
    } catch (error) {
      // The rest of a full disk is for the appends that wait.
      if (this.#codeOf(error) === this.#full) return false;
      throw error;
    }
  }

  /** Finds topics with events that have become too old. */
  #aged(now: number): TopicState[] {
    const { maxAge } = this.#settings;
    if (!(maxAge < Infinity)) return [];
    const rows = this.#file.prepare(
      "SELECT id FROM topics WHERE oldest < ? LIMIT 50",
    ).all(now - maxAge);
    return rows.flatMap(({ id }) => this.#state(Number(id)) ?? []);
  }

  #takeEvicted(): EvictedLog[] {
    const evicted = this.#evicted;
    this.#evicted = [];
    return evicted;
  }

  #codeOf(error: unknown): unknown {
    return error instanceof Error && "errcode" in error
      ? error.errcode
      : undefined;
  }

  /** Whether an error says that the file is as large as it may be. */
  #isAtBound(error: unknown): boolean {
    const { maxFileBytes } = this.#settings;
    return this.#codeOf(error) === this.#full && maxFileBytes < Infinity;
  }

  /** Makes room in a file that is full; returns whether there was something to remove. */
  #makeRoom(): boolean {
    return this.#transaction(() => this.#digOut(1_000, []) > 0) ||
      this.#transaction(() => this.#evict());
  }

  /** Forgets the log that has ended first. */
  #evict(): boolean {
    const row = this.#file.prepare(
      "SELECT id, name FROM topics WHERE ended IS NOT NULL ORDER BY ended LIMIT 1",
    ).get();
    if (!row) return false;
    this.#bury(Number(row.id));
    this.#evicted.push([Number(row.id), String(row.name)]);
    return true;
  }

  /** Writes as much as a batch may need, and takes it back. */
  #probe(): void {
    // After an error of the disk, a connection may go on to fail.
    this.close();
    this.#transaction(() =>
      this.#file.run(
        "INSERT OR REPLACE INTO meta(key, value) VALUES('probe', zeroblob(65536))",
      )
    );
    this.#transaction(() =>
      this.#file.run("DELETE FROM meta WHERE key = 'probe'")
    );
  }

  #finish(): void {
    this.#transaction(() =>
      this.#file.run("DELETE FROM meta WHERE key = 'loose'")
    );
    this.#file.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all();
  }
}
