import type { StoredEnd } from "../../topics/end.ts";
import type {
  Appended,
  AppendedPublication,
  GapReason,
  LogEntry,
  TopicFacts,
} from "../../topics/log.ts";
import type { StoreError } from "../../topics/store.ts";
import type { Work } from "./committer.ts";
import type { Operation } from "./messages.ts";
import { packRanges } from "./pack.ts";

/**
 * The log that is told when its work is done. Each method is called before any
 * promise settles.
 */
export interface WorkOwner {
  /** The id of the log in the file. */
  readonly id: number;
  /** Events are kept. */
  onAppended(
    first: number,
    entries: readonly LogEntry[],
    lastId: string,
  ): void;
  /** Offsets are left out. */
  onSkipped(from: number, count: number, reason: GapReason): void;
  /** The end is kept. */
  onEnded(end: StoredEnd): void;
  /** Facts are kept. */
  onUpdated(facts: TopicFacts): void;
  /** Makes the error of work that came second. */
  staleAt(expected: number, next: number | null): Error;
}

/** One call of `append`. */
interface AppendCall {
  readonly appended: Appended;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/** Work for the next transaction takes up to this many bytes of events in. */
const MERGED_BYTES = 1024 * 1024;

/** Appends that follow each other: their events share rows. */
export class AppendWork implements Work {
  readonly #owner: WorkOwner;
  readonly #first: number;
  readonly #entries: LogEntry[] = [];
  readonly #publications: AppendedPublication[] = [];
  readonly #calls: AppendCall[] = [];
  #bytes = 0;
  #isPacked = false;

  /** Begins at an offset. */
  constructor(owner: WorkOwner, first: number) {
    this.#owner = owner;
    this.#first = first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether more may be added. */
  get isOpen(): boolean {
    return !this.#isPacked && this.#bytes < MERGED_BYTES;
  }

  /** Adds the events of one call. */
  add(
    entries: readonly LogEntry[],
    publication: AppendedPublication | undefined,
  ): Promise<Appended> {
    let bytes = 0;
    for (const entry of entries) {
      bytes += entry.size;
      this.#entries.push(entry);
    }
    const first = this.#first + this.#entries.length - entries.length;
    this.#bytes += bytes;
    if (publication) this.#publications.push(publication);
    const appended = { first, count: entries.length, bytes };
    return new Promise((resolve, reject) =>
      void this.#calls.push({ appended, resolve, reject })
    );
  }

  pack(): Operation {
    this.#isPacked = true;
    const segment = { first: this.#first, entries: this.#entries };
    return [
      "append",
      this.#owner.id,
      this.#first,
      packRanges(segment),
      this.#lastId,
      this.#publications.map(({ key, value }) => [key, value]),
    ];
  }

  done(stale?: number | null): void {
    if (stale !== undefined) {
      return this.#reject(this.#owner.staleAt(this.#first, stale));
    }
    this.#owner.onAppended(this.#first, this.#entries, this.#lastId);
    for (const { appended, resolve } of this.#calls) resolve(appended);
  }

  failed(error: StoreError): void {
    this.#reject(error);
  }

  get #lastId(): string {
    return this.#entries.at(-1)?.event.id ?? "";
  }

  #reject(error: Error): void {
    for (const { reject } of this.#calls) reject(error);
  }
}

/** Work with one promise. */
export class SingleWork implements Work {
  readonly bytes = 0;
  /** Settles with the work. */
  readonly result: Promise<void>;
  readonly makesRoom: boolean;
  readonly #operation: Operation;
  readonly #onDone: () => void;
  readonly #onStale: (next: number | null) => Error | undefined;
  readonly #settle: PromiseWithResolvers<void> = Promise.withResolvers();

  /**
   * Writes one operation.
   *
   * @param operation The operation to write.
   * @param onDone Called when it is kept.
   * @param onStale Called if it came second; returns the error, if that is one.
   * @param makesRoom Whether it makes room in a store that is full.
   */
  constructor(
    operation: Operation,
    onDone: () => void,
    onStale: (next: number | null) => Error | undefined = () => undefined,
    makesRoom = false,
  ) {
    this.#operation = operation;
    this.#onDone = onDone;
    this.#onStale = onStale;
    this.makesRoom = makesRoom;
    this.result = this.#settle.promise;
  }

  pack(): Operation {
    return this.#operation;
  }

  done(stale?: number | null): void {
    const error = stale === undefined ? undefined : this.#onStale(stale);
    if (error) return this.#settle.reject(error);
    this.#onDone();
    this.#settle.resolve();
  }

  failed(error: StoreError): void {
    this.#settle.reject(error);
  }
}
