import { Buffer } from "node:buffer";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { StoredEnd } from "./end.ts";
import type { Lease } from "./lease.ts";
import type { RunFacts } from "./run_facts.ts";
import type { Stored } from "./stored.ts";
import type { FilledBy } from "./topic_source.ts";
import type { UpstreamState } from "./upstream_state.ts";

/**
 * An event as a log holds it.
 *
 * @example The size of an event
 * ```ts
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const topic = relay.topics.create("t");
 * topic.append([{ event: "message", data: "a", id: "" }]);
 * const { entries } = await topic.log.read(1, { events: 10, bytes: 1_000 });
 * assertEquals(entries[0]?.event.data, "a");
 * assertEquals(entries[0]?.size, "message".length + "a".length);
 * ```
 */
export interface LogEntry {
  /** The event as it came. */
  readonly event: ServerSentEvent;
  /**
   * The length of the event's name, data and id in UTF-8 bytes. Retention and
   * read budgets count it. Every way to write the event adds something to it.
   */
  readonly size: number;
  /** The time at which it was appended, in milliseconds since the epoch. */
  readonly time: number;
}

/** The largest offset to which a hole may lead: clients read 15 digits. */
export const MAX_OFFSET: number = 10 ** 14;

/** Returns the {@linkcode LogEntry.size} of an event: the same in every store. */
export function sizeOf({ event, data, id }: ServerSentEvent): number {
  // Most events have no id, and many no name of their own.
  const ofName = event === "message" ? event.length : Buffer.byteLength(event);
  const ofId = id === "" ? 0 : Buffer.byteLength(id);
  return ofName + Buffer.byteLength(data) + ofId;
}

/**
 * The limits of one read. At least one event is always given.
 *
 * @example A page
 * ```ts
 * import type { ReadBudget } from "@rivulet/rivulet/relay";
 *
 * const page: ReadBudget = { events: 100, bytes: 64 * 1024 };
 * ```
 */
export interface ReadBudget {
  /** The most events. */
  readonly events: number;
  /** The most bytes, as {@linkcode LogEntry.size} counts them. */
  readonly bytes: number;
}

/**
 * Consecutive events of a log.
 *
 * @example The offset of the last one
 * ```ts
 * import type { LogRange } from "@rivulet/rivulet/relay";
 *
 * const lastOffset = ({ offset, entries }: LogRange): number =>
 *   offset + entries.length - 1;
 * lastOffset({ offset: 1, entries: [] });
 * ```
 */
export interface LogRange {
  /** The offset of the first of them. */
  readonly offset: number;
  /** The events: one at least. */
  readonly entries: readonly LogEntry[];
}

/**
 * The bounds of a retained log.
 *
 * @example A thousand events, for an hour
 * ```ts
 * import type { Retention } from "@rivulet/rivulet/relay";
 *
 * const retention: Retention = {
 *   maxEvents: 1_000,
 *   maxBytes: Infinity,
 *   maxAge: 3_600_000,
 * };
 * ```
 */
export interface Retention {
  /** The most events. */
  readonly maxEvents: number;
  /** The most bytes, as {@linkcode LogEntry.size} counts them. */
  readonly maxBytes: number;
  /** The age after which an event is given up, in milliseconds; `Infinity` for none. */
  readonly maxAge: number;
}

/**
 * The events that an append has added to a log.
 *
 * @example The offset after them
 * ```ts
 * import type { Appended } from "@rivulet/rivulet/relay";
 *
 * const next = ({ first, count }: Appended): number => first + count;
 * next({ first: 1, count: 2, bytes: 20 });
 * ```
 */
export interface Appended {
  /** The offset of the first of them. */
  readonly first: number;
  /** The number of them. */
  readonly count: number;
  /** The bytes of them, as {@linkcode LogEntry.size} counts them. */
  readonly bytes: number;
}

/**
 * The reason why events will not come (PROTOCOL.md, section 2, `gap`).
 *
 * @example Given up by retention
 * ```ts
 * import type { GapReason } from "@rivulet/rivulet/relay";
 *
 * const reason: GapReason = "evicted";
 * ```
 */
export type GapReason = "evicted" | "epoch" | "slow" | "skipped";

/**
 * Offsets of a log that have no events, and never will.
 *
 * @example Two events that will not come
 * ```ts
 * import type { Hole } from "@rivulet/rivulet/relay";
 *
 * const hole: Hole = { from: 3, to: 4, reason: "evicted" };
 * ```
 */
export interface Hole {
  /** The first of the offsets. */
  readonly from: number;
  /** The last of the offsets. */
  readonly to: number;
  /** The reason why the events are missing. */
  readonly reason: GapReason;
}

/**
 * The events of one topic, in order, each with its offset: 1, 2, 3, ...
 *
 * A read of events in memory returns them at once. A read that has to fetch events
 * returns a promise.
 *
 * @example Read what was appended
 * ```ts
 * import { createRelay, type TopicLog } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const topic = relay.topics.create("t");
 * topic.append([{ event: "message", data: "a", id: "" }]);
 * const log: TopicLog = topic.log;
 * const { offset, entries } = await log.read(1, { events: 10, bytes: 1_000 });
 * assertEquals([offset, entries[0]?.event.data], [1, "a"]);
 * ```
 */
export interface TopicLog {
  /** The name of this log: 8 to 22 characters of base64url. */
  readonly epoch: string;
  /** The offset of the oldest event that is retained; {@linkcode TopicLog.next} if none is. */
  readonly first: number;
  /** The offset that the next event will have. */
  readonly next: number;
  /** The bytes of what is retained, as {@linkcode LogEntry.size} counts them. */
  readonly bytes: number;
  /**
   * Reads events from an offset on.
   *
   * @param from At least {@linkcode TopicLog.first}, less than {@linkcode TopicLog.next}.
   * @param budget The limits of the read.
   */
  read(from: number, budget: ReadBudget): LogRange | Promise<LogRange>;
}

/**
 * The facts that a store keeps of a topic besides its events.
 *
 * @example A topic of somebody that is open
 * ```ts
 * import type { TopicFacts } from "@rivulet/rivulet/relay";
 *
 * const facts: TopicFacts = { isOpen: true, owner: "alice" };
 * ```
 */
export interface TopicFacts {
  /** The source of the topic, in words that are safe to show. */
  readonly source?: string | undefined;
  /** The same as data. */
  readonly filledBy?: FilledBy | undefined;
  /** The facts of the run that fills the topic, or has filled it. */
  readonly run?: RunFacts | undefined;
  /** The place where a subscription begins that names no position. Default: the start. */
  readonly from?: "now" | undefined;
  /** The owner of the topic: the subject of a token. */
  readonly owner?: string | undefined;
  /** Whether the topic is open: its source is there, though there may be no event yet. */
  readonly isOpen: boolean;
  /** Whether the topic is there only because somebody has asked for it. */
  readonly isAwaited?: true | undefined;
  /**
   * The way to go on filling the topic after a restart, in the words of its
   * filler.
   */
  readonly filling?: string | undefined;
  /** The epoch of the log that had the name before: it has ended, and was renewed. */
  readonly follows?: string | undefined;
}

/** The publications of a topic that are remembered: the oldest go first. */
export const MAX_PUBLICATIONS = 1_000;

/**
 * The publication that appended events belong to.
 *
 * @example Its key
 * ```ts
 * import type { AppendedPublication } from "@rivulet/rivulet/relay";
 *
 * const keyOf = ({ key }: AppendedPublication): string => key;
 * keyOf({ key: "k", value: "{}" });
 * ```
 */
export interface AppendedPublication {
  /** The key of the publication, which is its publisher's own. */
  readonly key: string;
  /**
   * The publication's record once the events are there, in the publisher's
   * words.
   */
  readonly value: string;
  /**
   * Writes the value anew, of events that have another offset than their publisher
   * expected, as another relay was first. Called once for each attempt to keep them, in
   * the order of the appends.
   *
   * @param first The offset of the first of them.
   */
  readonly valueAt?: ((first: number) => string) | undefined;
  /**
   * The value that the key must have until then, as far as the log has not
   * forgotten it. If the key has another value by then, another writer was
   * first with the publication, or an append of which nobody knew: nothing is
   * appended, and the error is a `StaleWriterError`. Read when the turn of the
   * append comes. Default: any value.
   */
  readonly before?: { readonly value: string | undefined } | undefined;
}

/**
 * The conditions of an append to a {@linkcode Log}.
 *
 * @example The place where a writer thinks that the log is
 * ```ts
 * import type { LogAppendOptions } from "@rivulet/rivulet/relay";
 *
 * const options: LogAppendOptions = { expected: 7 };
 * ```
 */
export interface LogAppendOptions {
  /**
   * The offset that the writer expects the first event to have. Default: the one after
   * all that this handle has appended.
   */
  readonly expected?: number | undefined;
  /** The publication to keep in one step with the events. Default: nothing. */
  readonly publication?: AppendedPublication | undefined;
  /** The lease that the writer fills the topic with. Default: it needs none. */
  readonly lease?: Lease | undefined;
}

/**
 * The conditions of an end of a {@linkcode Log}.
 *
 * @example An end that anybody may say
 * ```ts
 * import type { LogEndOptions } from "@rivulet/rivulet/relay";
 *
 * const options: LogEndOptions = {};
 * ```
 */
export interface LogEndOptions {
  /** The lease of the filler that ends the log. Default: it needs none. */
  readonly lease?: Lease | undefined;
}

/**
 * The conditions of other facts of a {@linkcode Log}.
 *
 * @example Facts that anybody may change
 * ```ts
 * import type { LogUpdateOptions } from "@rivulet/rivulet/relay";
 *
 * const options: LogUpdateOptions = {};
 * ```
 */
export interface LogUpdateOptions {
  /** The lease of the filler whose facts they are. Default: they need none. */
  readonly lease?: Lease | undefined;
  /**
   * The facts that are other than before: a store in which another relay may have changed
   * others meanwhile changes these alone. Default: all of them.
   */
  readonly changes?: Partial<TopicFacts> | undefined;
}

/**
 * The progress of a log, as its followers are told it.
 *
 * @example Whether there is more to come
 * ```ts
 * import type { LogProgress } from "@rivulet/rivulet/relay";
 *
 * const goesOn = ({ kind }: LogProgress): boolean => kind === "open";
 * goesOn({ kind: "deleted" });
 * ```
 */
export type LogProgress =
  /** It goes on: there is more before `next`, or its facts are others. */
  | {
    readonly kind: "open";
    readonly next: number;
    readonly facts: TopicFacts;
  }
  /** It has ended, and there is nothing from `next` on. */
  | {
    readonly kind: "ended";
    readonly next: number;
    readonly end: StoredEnd;
  }
  /** Its filler has reported the state of its upstream. */
  | { readonly kind: "upstream"; readonly upstream: UpstreamState }
  /** The relay that had it has lost it: another log will have the name. */
  | { readonly kind: "lost" }
  /** Its topic was deleted before it ended. */
  | { readonly kind: "deleted" };

/**
 * A {@linkcode TopicLog} as a store gives it to a topic.
 *
 * A log carries out its calls in order, however many are under way: appends,
 * holes, facts, and the end, which is its last entry. Each call resolves once
 * the store keeps its result as promised. Only then do
 * {@linkcode TopicLog.next} and {@linkcode Log.ended} know of it. A call that
 * is done at once returns no promise. After a refused append, later calls are
 * refused too.
 *
 * @example Append, and end
 * ```ts
 * import type { Log } from "@rivulet/rivulet/relay";
 *
 * async function fill(log: Log): Promise<void> {
 *   await log.append([{ event: "message", data: "a", id: "" }]);
 *   await log.end({ status: "complete", isWhole: true, at: Date.now() });
 * }
 * fill;
 * ```
 */
export interface Log extends TopicLog, Disposable {
  /** The time when the log was made, in milliseconds since the epoch. */
  readonly createdAt: number;
  /**
   * The time of the first event of the log, which may be gone by now, in milliseconds
   * since the epoch; `undefined` if there was none, or that is not known.
   */
  readonly firstAt?: number | undefined;
  /** The same of its newest event. */
  readonly lastAt?: number | undefined;
  /** The facts kept besides the events. */
  readonly facts: TopicFacts;
  /** The end, once the log keeps it. */
  readonly ended: StoredEnd | undefined;
  /** The id of the last event that was appended; empty if it had none. */
  readonly lastId: string;
  /**
   * Whether others may have added to it what this relay has not heard of: an end that the
   * store could not keep is no end for subscribers then. Default: no.
   */
  readonly isShared?: boolean;
  /**
   * Adds events at the end, and gives up what retention no longer allows.
   *
   * @throws {StaleWriterError} If the log goes on elsewhere than the writer expects.
   * @throws {LeaseLostError} If the writer's lease has been taken by another one.
   * @throws {StoreError} If the store cannot keep them now, or cannot say whether it has.
   * The same array again is another attempt then: a store that has kept them after all
   * does not add them twice.
   */
  append(
    events: readonly ServerSentEvent[],
    options?: LogAppendOptions,
  ): Stored<Appended>;
  /**
   * Ends the log. An end that was kept stands.
   *
   * @throws {StaleWriterError} If the log goes on elsewhere than the writer expects.
   * @throws {LeaseLostError} If the lease of the filler that ends it has been taken by
   * another one.
   * @throws {StoreError} If the store cannot keep it now.
   */
  end(end: StoredEnd, options?: LogEndOptions): Stored<void>;
  /**
   * Changes what is kept besides the events.
   *
   * @throws {LeaseLostError} If the lease of the filler whose facts they are has been
   * taken by another one.
   * @throws {StoreError} If the store cannot keep them now.
   */
  update(facts: TopicFacts, options?: LogUpdateOptions): Stored<void>;
  /** Resolves once all is kept that the log was told up to now. */
  settled(): Stored<void>;
  /** Returns what was kept with the events of a publication. */
  publication(key: string): string | undefined;
  /**
   * Yields the progress of the log, whoever appends to it: first that there are
   * events from an offset on, or other facts than now, and then each further
   * step, up to the end or the deletion. What was yielded can be read. Several
   * steps may come as one, so that a slow follower is told less often and
   * later.
   *
   * @param from The offset of the first event to be told of. The log may not be there
   * yet.
   * @param signal Ends it: the iteration throws its reason.
   */
  follow(from: number, signal: AbortSignal): AsyncIterable<LogProgress>;
  /** Gives up what has become too old. */
  trim(): void;
  /**
   * Gives up all events of a log that has ended. Not there in a log whose events are
   * with its store: there they go when it is deleted.
   */
  clear?(): void;
  /**
   * Leaves out offsets at the end: their events will not come. A read stops before
   * a hole. Not there in a log that has no holes, as {@linkcode Log.holeAt}.
   */
  skip?(count: number, reason: GapReason): Stored<void>;
  /** Returns the hole that an offset is in, from that offset on. */
  holeAt?(offset: number): Hole | undefined;
  /** All holes, in order. Not there in a log that has none, or cannot list them. */
  readonly holes?: readonly Hole[];
  /**
   * Lists what was kept with the events of publications, by their keys. Not there in a
   * log that can only be asked for one of them.
   */
  publications?(): Iterable<readonly [key: string, value: string]>;
  /** Whether the relay that had it has lost it, as one does whose memory is gone. */
  readonly isLost?: boolean;
  /** The state of the filler's upstream, if other relays are told of it. */
  readonly upstream?: UpstreamState | undefined;
  /**
   * Tells other relays that have the log how the upstream of its filler is. Nothing keeps
   * it. Not there in a log that only one relay has, or whose store does not carry it.
   */
  tellUpstream?(upstream: UpstreamState): void;
  /**
   * Calls a listener with each change that {@linkcode Log.follow} would tell of, for those
   * whom an iteration would cost more than what they do. Not there in a log that tells by
   * {@linkcode Log.follow} alone.
   *
   * @returns Stops that.
   */
  onChange?(listener: () => void): () => void;
  /**
   * Resolves once more can be appended without outrunning the readers of other relays;
   * `undefined` if it can be now. Not there in a log that does not know of them.
   */
  readonly caughtUp?: Promise<void> | undefined;
  /**
   * Tells that the readers of this relay have taken all events before an offset. From the
   * first call on, until the handle is released, whoever fills the log does not outrun
   * them. Not there in a log that only one relay has.
   */
  taken?(offset: number): void;
}
