/**
 * The messages to and from the thread of the store's file. All of it is cloned
 * from thread to thread: tuples and texts cost the least there.
 *
 * @module
 */

/** Consecutive events of a topic, as a row of the file has them. */
export interface PackedRange {
  /** The offset of the first of them. */
  readonly first: number;
  /** The number of them. */
  readonly count: number;
  /** The bytes of them, as `LogEntry.size` counts them. */
  readonly bytes: number;
  /** The time of the first, in whole milliseconds since the epoch. */
  readonly time: number;
  /** Their times, as JSON of number and time by turns; `null` where all have one. */
  readonly times: string | null;
  /** Their sizes, as JSON; `null` where there is one. */
  readonly sizes: string | null;
  /** JSON of type, data and id of each by turns: JSON keeps halves of pairs too. */
  readonly events: string;
}

/** A piece of work in the order of its topic. */
export type Operation =
  | readonly [
    kind: "create",
    id: number,
    name: string,
    epoch: string,
    created: number,
    facts: string,
    /** The name that the log gets which has this one up to now. */
    former: string | null,
  ]
  | readonly [
    kind: "append",
    id: number,
    expected: number,
    ranges: readonly PackedRange[],
    lastId: string,
    publications: readonly (readonly [key: string, value: string])[],
  ]
  | readonly [
    kind: "skip",
    id: number,
    expected: number,
    count: number,
    reason: string,
  ]
  | readonly [
    kind: "end",
    id: number,
    expected: number,
    status: string,
    reason: string | null,
    isWhole: boolean,
    at: number,
  ]
  | readonly [kind: "update", id: number, facts: string]
  | readonly [kind: "trim", id: number]
  | readonly [
    kind: "delete",
    id: number,
    /** The log that gets another name back, and that name. */
    back: readonly [former: string, name: string] | null,
  ]
  | readonly [
    kind: "put",
    bucket: string,
    key: string,
    value: string,
    expires: number,
  ];

/** Operations of one transaction. */
export interface Commit {
  readonly kind: "commit";
  /** The time, in milliseconds since the epoch. */
  readonly now: number;
  readonly operations: readonly Operation[];
}

/** Rows of a topic that nobody reads any more. */
export type Purge = readonly [id: number, before: number];

/** Some housekeeping: as much as delays nobody. */
export interface Step {
  readonly kind: "step";
  /** The time, in milliseconds since the epoch. */
  readonly now: number;
  /** The rows that may go, as retention has passed them. */
  readonly purges: readonly Purge[];
  /** The deleted topics that are being read: their rows stay. */
  readonly held: readonly number[];
  /** The most rows that go. */
  readonly limit: number;
}

/** Work for the thread that writes. */
export type WriterRequest =
  | Commit
  | Step
  /** Finds out whether the file can be written again. */
  | { readonly kind: "probe" }
  /** Leaves the file whole and says so in it. */
  | { readonly kind: "finish" };

/** The state of a topic after a transaction. */
export interface Standing {
  readonly id: number;
  readonly first: number;
  readonly next: number;
  readonly bytes: number;
  /** The time of the oldest event; `null` where there is none. */
  readonly oldest: number | null;
}

/** The result of operations. */
export interface Committed {
  /** The topics that have changed. */
  readonly standings: readonly Standing[];
  /** By operation that came second: where its log goes on; `null` if it has ended or is gone. */
  readonly stale: readonly (readonly [index: number, next: number | null])[];
  /** The ended logs that had to go for want of room. */
  readonly evicted: readonly EvictedLog[];
}

/** A log that had to go for want of room, under the name that the file had for it. */
export type EvictedLog = readonly [id: number, name: string];

/** The result of a step. */
export interface Stepped {
  readonly standings: readonly Standing[];
  readonly evicted: readonly EvictedLog[];
  /** The purges that are not done. */
  readonly purges: readonly Purge[];
  /** Whether there is more to do. */
  readonly more: boolean;
  /** The bytes of the file, and those of them that are free. */
  readonly fileBytes: number;
  readonly freeBytes: number;
}

/** The result of a checkpoint. */
export interface Checkpointed {
  /** The pages in the log of SQLite, since it began anew. */
  readonly frames: number;
}

/** Work for the thread that reads. */
export type ReaderRequest =
  | {
    readonly kind: "read";
    readonly id: number;
    readonly from: number;
    /** The bytes after which no further row is read. */
    readonly bytes: number;
  }
  | { readonly kind: "backup"; readonly path: string };
