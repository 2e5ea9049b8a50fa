import type { StoredEnd } from "./end.ts";
import type { CancelAnswer, Lease, LeaseRequest } from "./lease.ts";
import type { Log, TopicFacts } from "./log.ts";
import type { Stored } from "./stored.ts";

/**
 * The kinds of failure of a store.
 *
 * @example No room
 * ```ts
 * import type { StoreFailure } from "@rivulet/rivulet/relay";
 *
 * const failure: StoreFailure = "full";
 * ```
 */
export type StoreFailure =
  | "full"
  | "read_only"
  | "io"
  | "corrupt"
  | "foreign"
  | "newer"
  | "locked"
  | "closed"
  | "away"
  | "denied";

/**
 * A store cannot keep or give what it was asked for.
 *
 * @example A disk without room
 * ```ts
 * import { StoreError } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new StoreError("full", "The disk is full: make room");
 * assertEquals([error.code, error.failure], ["store_failed", "full"]);
 * ```
 */
export class StoreError extends Error {
  /** The error's code, for programs. */
  readonly code = "store_failed";
  /** The kind of failure. */
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
 *
 * @example Another writer was first
 * ```ts
 * import { StaleWriterError } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new StaleWriterError("t", 3, 7);
 * assertEquals([error.code, error.next], ["stale_writer", 7]);
 * ```
 */
export class StaleWriterError extends Error {
  /** The error's code, for programs. */
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

/**
 * A topic, as a list of topics shows it.
 *
 * @example The number of its events
 * ```ts
 * import type { StoredTopic } from "@rivulet/rivulet/relay";
 *
 * const count = ({ first, next }: StoredTopic): number => next - first;
 * count;
 * ```
 */
export interface StoredTopic {
  /** The name. */
  readonly name: string;
  /** The name of its log. */
  readonly epoch: string;
  /** The time when it was made, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** The time of its first event, which may be gone by now, if it is known. */
  readonly firstAt?: number | undefined;
  /** The time of its newest event, if it is known. */
  readonly lastAt?: number | undefined;
  /** The facts kept besides the events. */
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

/**
 * The name of a log among all logs.
 *
 * @example The log of a turn of a chat
 * ```ts
 * import type { LogName } from "@rivulet/rivulet/relay";
 *
 * const log: LogName = { name: "chat-7", epoch: "Zm9vYmFyYmF6" };
 * ```
 */
export interface LogName {
  /** The name of the topic. */
  readonly name: string;
  /** The epoch of the log. */
  readonly epoch: string;
}

/**
 * The topics of a page of a list, in the order of their names.
 *
 * @example The first hundred chats
 * ```ts
 * import type { ListQuery } from "@rivulet/rivulet/relay";
 *
 * const query: ListQuery = { after: "", prefix: "chat-", limit: 100 };
 * ```
 */
export interface ListQuery {
  /** The name after which the page begins. */
  readonly after: string;
  /** The beginning of all names. */
  readonly prefix: string;
  /** The most topics. */
  readonly limit: number;
}

/**
 * The topics to watch.
 *
 * @example All chats
 * ```ts
 * import type { WatchQuery } from "@rivulet/rivulet/relay";
 *
 * const query: WatchQuery = { prefix: "chat-", limit: 100 };
 * ```
 */
export interface WatchQuery {
  /** The beginning of their names. */
  readonly prefix: string;
  /** The most topics of a page of the list. */
  readonly limit: number;
}

/**
 * The purpose for which a topic is prepared ({@linkcode Store.prepare}).
 *
 * @example For a subscriber, who waits for a topic that is not there yet
 * ```ts
 * import type { PrepareOptions } from "@rivulet/rivulet/relay";
 *
 * const options: PrepareOptions = { makes: true };
 * ```
 */
export interface PrepareOptions {
  /**
   * Makes the topic if there is none, as one that was only asked for: of several relays
   * that do so at once, one makes it. Default: no.
   */
  readonly makes?: boolean | undefined;
  /** The client whom the topic belongs to if it is made, for limits. Default: nobody. */
  readonly owner?: string | undefined;
  /**
   * Has the publications at hand of all logs that the name stands for, or stood for
   * ({@linkcode Log.publication}). Default: no.
   */
  readonly publications?: boolean | undefined;
  /**
   * Has all of the log at hand that any relay has acknowledged until now. Default: what
   * this relay has heard of, which may lag some milliseconds behind.
   */
  readonly isFresh?: boolean | undefined;
  /**
   * A position that a reader has come to at any relay: the log of this epoch has more
   * than that, however little this relay has heard of. Default: none.
   */
  readonly position?:
    | { readonly epoch: string; readonly offset: number }
    | undefined;
}

/**
 * A change in the topics of a store.
 *
 * `reset`: forget all news so far; the list begins. `listed`: a page of the
 * list, in the order of the names. `current`: the list is complete. `made` and
 * `ended`: a topic as it is then; if an earlier topic of that name had another
 * epoch, that one is gone. `deleted`: there is no topic of that name any more.
 *
 * Of several changes of one topic, only the last need be reported. Changes
 * during the list come after it, and may be in it already.
 *
 * @example What is gone
 * ```ts
 * import type { TopicNews } from "@rivulet/rivulet/relay";
 *
 * const news: TopicNews = { kind: "deleted", name: "t" };
 * ```
 */
export type TopicNews =
  | { readonly kind: "reset" }
  | { readonly kind: "listed"; readonly topics: readonly StoredTopic[] }
  | { readonly kind: "current" }
  | { readonly kind: "made" | "ended"; readonly topic: StoredTopic }
  | { readonly kind: "deleted"; readonly name: string };

/**
 * The place where topics live.
 *
 * @example Give a relay a store
 * ```ts
 * import { createRelay, type Relay, type Store } from "@rivulet/rivulet/relay";
 *
 * const relayOn = (store: Store): Relay => createRelay({ port: 0, store });
 * relayOn;
 * ```
 */
export interface Store extends AsyncDisposable {
  /**
   * Opens the store, and brings it in order after a crash.
   *
   * @throws {StoreError} If it cannot be opened.
   */
  open(): Promise<void>;
  /** The reason why nothing can be kept now; `undefined` while all is well. */
  readonly failure: StoreError | undefined;
  /** Whether topics outlive the process, so that those nobody uses need no memory. */
  readonly isLasting: boolean;
  /**
   * Whether other relays have the same topics: a relay follows the logs then that it has
   * in memory. Default: no.
   */
  readonly isShared?: boolean | undefined;
  /**
   * Has writers of this process wait for the relays that are linked to it, by
   * `Log.caughtUp` and `Log.taken`. Not there in a store whose logs do so anyway, or not
   * at all.
   */
  paceReaders?(): void;
  /**
   * Has a topic at hand, as it is in the store now, so that {@linkcode Store.find} knows
   * of it for at least half a minute, and of the former logs of its name. Not there in a
   * store that has all topics at hand.
   *
   * @returns Resolves once it is at hand, or known not to be there; `undefined` if it is
   * already.
   * @throws {StoreError} If the store cannot say so now.
   */
  prepare?(name: string, options: PrepareOptions): Promise<void> | undefined;
  /**
   * Calls a listener each time that a name stands for something else, whichever relay
   * has seen to that. Not there in a private store.
   *
   * @returns Stops that.
   */
  hear?(name: string, listener: () => void): () => void;
  /**
   * Puts a value under a key that has none, or one that has expired: of several relays,
   * one does. Not there in a private store.
   *
   * @param expires The time when it is forgotten, in milliseconds since the epoch.
   * @param instead The value in whose place it is put, too. Default: none.
   * @returns The value that is there; `undefined` if there was none, or the one in whose
   * place it was put.
   */
  claim?(
    bucket: string,
    key: string,
    value: string,
    expires: number,
    instead?: string,
  ): Promise<string | undefined>;
  /**
   * Tells of topics whose filler is gone without a word: its lease has expired, and was
   * not given up. Several relays may be told of one; the lease says which of them goes on
   * with it. Not there in a private store, where {@linkcode Store.listUnended} says so.
   *
   * @param signal Ends it: the iteration throws its reason.
   */
  orphans?(signal: AbortSignal): AsyncIterable<LogName>;
  /**
   * Makes a topic with an empty log and an epoch of its own.
   * {@linkcode Log.settled} tells when the store has it.
   *
   * There is no topic of that name, or its log has ended and `facts.follows` is its
   * epoch. In one step, the new log takes the name then, and the old one is a former
   * log: it is found by its epoch alone, and in no list, until it is deleted.
   *
   * @param epoch The epoch that another relay has given the log already. Default: one
   * that the store makes. A store that does not know of it cannot be the parent of
   * others.
   */
  create(name: string, facts: TopicFacts, epoch?: string): Log;
  /**
   * Finds the log of a topic. Two calls may return two handles of one log.
   *
   * @param epoch The epoch of the log, which may be a former one. Default: that of the
   * log that has the name.
   */
  find(name: string, epoch?: string): Log | undefined;
  /** Lists topics. */
  list(query: ListQuery): Stored<readonly StoredTopic[]>;
  /** Lists the topics that have not ended: what a relay has to go on with at its start. */
  listUnended(query: ListQuery): Stored<readonly StoredTopic[]>;
  /**
   * Yields the topics that there are, and from then on those that are made, end
   * or are deleted. A watcher that falls far behind gets the list anew.
   *
   * @param signal Ends it: the iteration throws its reason.
   * @throws {StoreError} If the store cannot say so.
   */
  watch(query: WatchQuery, signal: AbortSignal): AsyncIterable<TopicNews>;
  /**
   * Takes the lease on filling a topic, if nobody has it or it has expired. Its holder
   * hears of cancels. Its handles of the log have all that a holder before it has appended.
   *
   * @throws {LeaseHeldError} If it is held, even by the same holder.
   * @throws {StoreError} If the store cannot say so now.
   */
  hold(request: LeaseRequest): Stored<Lease>;
  /**
   * Tells the holder of the lease on a topic to stop.
   *
   * @param name The name of the topic.
   * @param epoch The log of the topic.
   * @param reason The reason in words, if there is one.
   * @returns `stopped` once the holder has stopped. `unheld` if there is none, or its
   * lease expires before it has stopped: then whoever asks ends the topic.
   */
  cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): Stored<CancelAnswer>;
  /**
   * Forgets a log and its events: that of a topic, or a former one. If it followed a log
   * that is still there, that gets the name back, in one step.
   */
  delete(name: string, epoch: string): Stored<void>;
  /**
   * Forgets a topic that was only asked for, as {@linkcode Store.delete} does, unless
   * another relay has it in use too, or something has come of it. Not there in a private
   * store.
   */
  letGo?(name: string, epoch: string): Promise<void>;
  /** Forgets logs that ended before a time, some at a time. Others may be read meanwhile. */
  deleteEnded(before: number): Stored<void>;
  /** Returns a value that was put under a key, unless it has expired. */
  get(bucket: string, key: string): Stored<string | undefined>;
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
