import type { Bucket } from "./bucket.ts";
import { encodeName } from "./names.ts";
import {
  isNothing,
  type NameRecord,
  NOTHING,
  readRecord,
  type RecordedLog,
  writeRecord,
} from "./record.ts";
import type { SharedLog } from "./shared_log.ts";

/** A change of what a name stands for; it returns the same value to change nothing. */
export type Change = (record: NameRecord) => NameRecord;

/** The parts of a store that a name uses. */
export interface KnownNameStore {
  /** The bucket of all names. */
  readonly bucket: Bucket;
  /** Told of each record that the bucket has. */
  onRecord(name: string, record: NameRecord, revision: number): void;
}

/**
 * A topic name that is at hand: its record as the bucket has it, with what is being
 * changed in it, and those of its logs that are in use.
 */
export class KnownName {
  readonly name: string;
  /** The logs that are in use, by their epochs. */
  readonly logs = new Map<string, SharedLog>();
  /** The time when it was last needed, in milliseconds since the epoch. */
  usedAt: number;
  /** Those who want to know that it stands for something else. */
  readonly listeners = new Set<() => void>();
  /** Hears what is stored under the name; ended with it. */
  stopHearing: () => void = () => {};
  readonly #store: KnownNameStore;
  #record: NameRecord = NOTHING;
  #revision = 0;
  /** The changes that are not written yet, in order. */
  readonly #pending: Change[] = [];
  /** The read that has yet to begin, unless a change follows it. */
  #nextRead: Promise<void> | undefined;
  /** The last read or change: each follows the one before. */
  #turn: Promise<unknown> = Promise.resolve();
  #changes = 0;
  #isRead = false;
  /** The newest revision that was told. */
  #heard = 0;

  constructor(name: string, store: KnownNameStore, now: number) {
    this.name = name;
    this.#store = store;
    this.usedAt = now;
  }

  /** The record of the name, with the changes that are not written yet. */
  get record(): NameRecord {
    return this.#record;
  }

  /** Whether it was read, or made here. */
  get isRead(): boolean {
    return this.#isRead;
  }

  /** Whether something is under way. */
  get isBusy(): boolean {
    return this.#changes > 0;
  }

  /** Returns a log of the name, as the record has it. */
  find(epoch: string | undefined): RecordedLog | undefined {
    const { current, logs } = this.#record;
    const wanted = epoch ?? current;
    return logs.find((log) => log.epoch === wanted);
  }

  /**
   * Reads the record as the leader has it, after all changes that are under way. All who
   * ask while another read is under way share the next one: if NATS is away, nobody waits
   * until the others have waited one after the other.
   */
  refresh(): Promise<void> {
    return this.#nextRead ??= this.#inTurn(async () => {
      this.#nextRead = undefined;
      const entry = await this.#store.bucket.get(encodeName(this.name));
      this.#took(
        entry ? readRecord(entry.value, this.name) : NOTHING,
        entry?.revision ?? 0,
      );
    });
  }

  /** Takes over what another relay has written. */
  heard(text: string, revision: number, after: number | undefined): void {
    this.#heard = Math.max(this.#heard, revision);
    if (revision <= this.#revision) return;
    // A change that is under way reads the record again if it comes too late.
    if (this.#changes > 0) return;
    // One that does not follow what is known may be void.
    if (after !== this.#revision) void this.refresh().catch(() => {});
    else this.#took(readRecord(text, this.name), revision);
  }

  /**
   * Changes the record: here at once, and in the bucket in turn.
   *
   * @param change Called with the record as it is, again if another relay was first.
   * It may throw.
   * @returns Resolves once the bucket has it.
   */
  change(change: Change): Promise<void> {
    this.#pending.push(change);
    this.#nextRead = undefined;
    this.#isRead = true;
    this.#show();
    return this.#inTurn(async () => {
      try {
        await this.#keep(change);
      } finally {
        this.#pending.shift();
        this.#show();
      }
    });
  }

  async #keep(change: Change): Promise<void> {
    let [record, revision] = [this.#stored, this.#revision];
    const { bucket } = this.#store;
    for (;;) {
      const changed = change(record);
      if (changed === record) return this.#took(record, revision);
      const key = encodeName(this.name);
      const put = await bucket.put(key, writeRecord(changed), revision);
      if (put !== undefined) {
        this.#took(changed, put);
        if (isNothing(changed)) await this.#clear(put);
        return;
      }
      const entry = await bucket.get(key);
      record = entry ? readRecord(entry.value, this.name) : NOTHING;
      revision = entry?.revision ?? 0;
      this.#took(record, revision);
    }
  }

  /** Shows what the bucket has, with what is being changed in it. */
  #show(): void {
    let record = this.#stored;
    for (const change of this.#pending) {
      try {
        record = change(record);
      } catch {
        // A change that is impossible fails in the bucket's turn.
      }
    }
    this.#record = record;
  }

  /** The record that the bucket had last. */
  #stored: NameRecord = NOTHING;

  /** A name that stands for nothing needs no key. */
  async #clear(revision: number): Promise<void> {
    try {
      await this.#store.bucket.remove(encodeName(this.name), revision);
      if (this.#revision === revision) this.#revision = 0;
    } catch {
      // It says as much: it is nothing.
    }
  }

  #took(record: NameRecord, revision: number): void {
    const isOther = record.current !== this.#stored.current;
    this.#stored = record;
    this.#revision = revision;
    this.#isRead = true;
    if (isOther) { for (const listener of this.listeners) listener(); }
    this.#show();
    this.#store.onRecord(this.name, record, revision);
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const before = this.#turn;
    this.#changes++;
    const turn = (async () => {
      await before.catch(() => {});
      try {
        await work();
      } finally {
        this.#changes--;
        // A record that was heard of meanwhile may be newer than the one that
        // was read.
        const isBehind = this.#changes === 0 && this.#heard > this.#revision;
        this.#heard = this.#revision;
        if (isBehind) void this.refresh().catch(() => {});
      }
    })();
    this.#turn = turn;
    turn.catch(() => {});
    await turn;
  }
}
