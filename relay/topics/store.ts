import type { StoredEnd } from "./end.ts";
import type { Log, Stored, TopicFacts } from "./log.ts";

/** What went wrong with a store. */
export type StoreFailure =
  | "full"
  | "read_only"
  | "io"
  | "corrupt"
  | "foreign"
  | "newer"
  | "locked"
  | "closed";

/** A store cannot keep or give what it was asked for. */
export class StoreError extends Error {
  /** What happened, for programs. */
  readonly code = "store_failed";
  /** What is wrong. */
  readonly failure: StoreFailure;

  /** Says what is wrong, and what to do. */
  constructor(failure: StoreFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreError";
    this.failure = failure;
  }
}

/**
 * An append that came second: the log is not where its writer thinks, has ended, or
 * is no longer there.
 */
export class StaleWriterError extends Error {
  /** What happened, for programs. */
  readonly code = "stale_writer";
  /** The topic. */
  readonly topic: string;
  /** The offset that the writer expected. */
  readonly expected: number;
  /** The offset at which the log goes on; `undefined` if it has ended or is gone. */
  readonly next: number | undefined;

  /** Names the topic and both offsets. */
  constructor(topic: string, expected: number, next: number | undefined) {
    super(
      next === undefined
        ? `Cannot append to topic '${topic}' as its log has ended or is gone: read the topic anew`
        : `Cannot append to topic '${topic}' at ${expected} as its log goes on at ${next}, since another writer was first: read the topic anew`,
    );
    this.name = "StaleWriterError";
    this.topic = topic;
    this.expected = expected;
    this.next = next;
  }
}

/** What a list shows of a topic. */
export interface StoredTopic {
  readonly name: string;
  readonly epoch: string;
  /** The time when it was made, in milliseconds since the epoch. */
  readonly createdAt: number;
  readonly facts: TopicFacts;
  /** The offset of the oldest event that is kept; `next` if none is. */
  readonly first: number;
  /** The offset that the next event will have. */
  readonly next: number;
  /** The bytes of the events that are kept. */
  readonly bytes: number;
  /** The end, once it has ended. */
  readonly end: StoredEnd | undefined;
}

/** The topics of a page of a list, in the order of their names. */
export interface ListQuery {
  /** The name after which the page begins. */
  readonly after: string;
  /** The beginning of all names. */
  readonly prefix: string;
  /** The most topics. */
  readonly limit: number;
}

/** The place where topics live. */
export interface Store extends AsyncDisposable {
  /**
   * Opens the store, and brings it in order after a crash.
   *
   * @throws {StoreError} If it cannot be opened.
   */
  open(): Promise<void>;
  /** Why nothing can be kept now; `undefined` while all is well. */
  readonly failure: StoreError | undefined;
  /** Whether topics outlive the process, so that those nobody uses need no memory. */
  readonly isLasting: boolean;
  /**
   * Makes a topic with an empty log and an epoch of its own. There is none of that name.
   * {@linkcode Log.settled} tells when the store has it.
   */
  create(name: string, facts: TopicFacts): Log;
  /** Finds the log of a topic. Two calls may return two handles of one log. */
  find(name: string): Log | undefined;
  /** Lists topics. */
  list(query: ListQuery): readonly StoredTopic[];
  /** Lists the topics that have not ended: what a relay has to go on with at its start. */
  listUnended(query: ListQuery): readonly StoredTopic[];
  /** Forgets a topic and its events, if the name still stands for that log. */
  delete(name: string, epoch: string): Stored<void>;
  /** Forgets topics that ended before a time, some at a time. Others may be read meanwhile. */
  deleteEnded(before: number): Stored<void>;
  /** Returns a value that was put under a key, unless it has expired. */
  get(bucket: string, key: string): string | undefined;
  /**
   * Puts a value under a key.
   *
   * @param expires The time when it is forgotten, in milliseconds since the epoch.
   */
  put(
    bucket: string,
    key: string,
    value: string,
    expires: number,
  ): Stored<void>;
}
