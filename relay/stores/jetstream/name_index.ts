import type { Clock } from "../../../src/fetch/clock.ts";
import { SortedNames } from "../sorted_names.ts";
import { AFTER, bucketStream, bucketSubject } from "./bucket.ts";
import { type Connection, pause } from "./connection.ts";
import { Consumption, type StreamMessage } from "./consume.ts";
import { decodeName } from "./names.ts";
import {
  currentOf,
  type NameRecord,
  readRecord,
  type RecordedLog,
} from "./record.ts";

/** A name, as far as the index knows of it. */
interface Indexed {
  revision: number;
  /** The time of the oldest end among its logs, in milliseconds since the epoch. */
  endedAt: number | undefined;
  /** The epoch of its current log, and whether that has not ended. */
  epoch: string | undefined;
  isOpen: boolean;
}

/** The time before the bucket is read again after it could not be, in milliseconds. */
const RETRY_INTERVAL = 1_000;

/** The number of names that are known to have been removed. */
const MAX_REMOVED = 10_000;

/** The subject of a record. */
const KEY = /^\$KV\.[^.]+\.(.+)$/;

/**
 * A change in what a name stands for: nothing, another log than before, or one
 * that has ended.
 */
export interface NameNews {
  readonly name: string;
  readonly log: RecordedLog | undefined;
}

/** The events that an index reports to its store. */
export interface NameIndexEvents {
  /** A name stands for something else. */
  onChanged(news: NameNews): void;
  /** Changes may have been missed. */
  onReset(): void;
}

/**
 * The names of all topics, in order, and when they have ended: what cannot be asked of a
 * bucket. It says where to look, and nothing else is believed of it: some hundred bytes
 * a topic.
 */
export class NameIndex implements Disposable {
  readonly #connection: Connection;
  readonly #bucket: string;
  readonly #events: NameIndexEvents;
  readonly #clock: Clock;
  readonly #known = new Map<string, Indexed>();
  /** The names of which deleted logs have messages still, and since when that is known. */
  readonly #unfinished = new Map<string, number>();
  /** Names that were removed a while ago, and their last revisions. */
  readonly #removed = new Map<string, number>();
  /** The names that stand for a topic. */
  readonly #current = new Map<string, true>();
  readonly #names = new SortedNames(this.#current);
  readonly #ready = Promise.withResolvers<void>();
  #consumption: Consumption | undefined;
  readonly #closing = new AbortController();

  constructor(
    connection: Connection,
    bucket: string,
    clock: Clock,
    events: NameIndexEvents,
  ) {
    this.#clock = clock;
    this.#connection = connection;
    this.#bucket = bucket;
    this.#events = events;
    this.#ready.promise.catch(() => {});
  }

  /** Resolves once all names are known that there were at the beginning. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** The number of names. */
  get size(): number {
    return this.#current.size;
  }

  /** Begins to read the bucket, and goes on. */
  start(): void {
    void this.#read(false);
  }

  /** Iterates over names in order; as {@linkcode SortedNames.inOrder} does. */
  inOrder(after: string, prefix: string): Generator<string, void> {
    return this.#names.inOrder(after, prefix);
  }

  /**
   * Whether the current log of a name has not ended, as far as its record says so.
   *
   * @param epoch The log that it has to be. Default: any.
   */
  isOpen(name: string, epoch?: string): boolean {
    const known = this.#known.get(name);
    if (!known?.isOpen) return false;
    return epoch === undefined || known.epoch === epoch;
  }

  /** Returns the names with logs that ended before a time, some at a time. */
  endedBefore(time: number, limit: number): readonly string[] {
    const names: string[] = [];
    for (const [name, { endedAt = Infinity }] of this.#known) {
      if (endedAt > time) continue;
      names.push(name);
      if (names.length === limit) break;
    }
    return names;
  }

  /** Returns names of which deleted logs have had messages since before a time. */
  unfinishedBefore(time: number, limit: number): readonly string[] {
    const names: string[] = [];
    for (const [name, since] of this.#unfinished) {
      if (since > time) continue;
      names.push(name);
      if (names.length === limit) break;
    }
    return names;
  }

  /** Takes note of what the bucket has. */
  note(
    name: string,
    record: NameRecord,
    revision: number,
    after = revision,
  ): void {
    const known = this.#known.get(name);
    // A change behind an older revision than the known one is void; the index
    // may hear of a removal late.
    if (known && after < known.revision) return;
    if (revision !== 0 && revision <= (this.#removed.get(name) ?? 0)) return;
    // A name that stands for nothing has no revision of its own.
    if (known && revision !== 0 && revision <= known.revision) return;
    const current = currentOf(record);
    if (!record.gone) this.#unfinished.delete(name);
    else if (!this.#unfinished.has(name)) {
      this.#unfinished.set(name, this.#clock.now());
    }
    if (record.logs.length === 0) {
      this.#remember(name, revision);
      if (!known) return;
      this.#known.delete(name);
    } else {
      const ends = record.logs.flatMap(({ summary }) => summary?.end.at ?? []);
      const endedAt = ends.length > 0 ? Math.min(...ends) : undefined;
      const isOpen = current !== undefined && !current.summary;
      const epoch = current?.epoch;
      this.#known.set(name, { revision, endedAt, isOpen, epoch });
    }
    if (current && !this.#current.has(name)) {
      this.#current.set(name, true);
      this.#names.changed();
    } else if (!current && this.#current.delete(name)) this.#names.changed();
    const isNews = known?.epoch !== current?.epoch ||
      current?.summary !== undefined && known?.isOpen !== false;
    if (isNews) this.#events.onChanged({ name, log: current });
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#consumption?.[Symbol.dispose]();
    this.#ready.reject(new Error("The store was closed"));
  }

  #remember(name: string, revision: number): void {
    this.#removed.delete(name);
    this.#removed.set(name, revision);
    for (const oldest of this.#removed.keys()) {
      if (this.#removed.size <= MAX_REMOVED) break;
      this.#removed.delete(oldest);
    }
  }

  async #read(isAgain: boolean): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const broken = Promise.withResolvers<void>();
      const seen = new Set<string>();
      let isCurrent = false;
      const caughtUp = (): void => {
        if (isCurrent) return;
        isCurrent = true;
        this.#caughtUp(isAgain, seen);
      };
      try {
        this.#consumption = await Consumption.start(
          this.#connection.connected,
          {
            stream: bucketStream(this.#bucket),
            filter: bucketSubject(this.#bucket, ">"),
            from: "last of each",
            onMessage: (message) => {
              this.#told(message, isAgain && !isCurrent ? seen : undefined);
              if (message.pending === 0) caughtUp();
            },
            onIdle: caughtUp,
            onBroken: () => broken.resolve(),
          },
        );
        if (this.#consumption.waiting === 0) caughtUp();
        await broken.promise;
        isAgain = true;
      } catch {
        // The connection says why.
      }
      await pause(RETRY_INTERVAL, this.#closing.signal);
    }
  }

  #told(
    { subject, data, seq, header }: StreamMessage,
    seen: Set<string> | undefined,
  ): void {
    const [, key] = KEY.exec(subject) ?? [];
    if (key === undefined) return;
    const name = decodeName(key);
    seen?.add(name);
    try {
      const record = readRecord(new TextDecoder().decode(data), name);
      this.note(name, record, seq, Number(header(AFTER)));
    } catch {
      // Whoever asks for the topic is told.
    }
  }

  #caughtUp(isAgain: boolean, seen: ReadonlySet<string>): void {
    if (isAgain) {
      // The stream does not report names that were removed meanwhile.
      for (const name of [...this.#known.keys()]) {
        if (!seen.has(name)) this.note(name, { v: 1, logs: [] }, 0);
      }
      this.#events.onReset();
    }
    this.#ready.resolve();
  }
}
