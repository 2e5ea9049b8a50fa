import type { CommitReport } from "../slow_commits.ts";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../src/fetch/clock.ts";
import { MAX_PUBLICATIONS, type Retention } from "../../topics/log.ts";
import { type Boot, findBoot } from "./boot.ts";
import { Catalog } from "./catalog.ts";
import { Checkpointer } from "./checkpointer.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Committer, type CommitterOptions } from "./committer.ts";
import { storeErrorOf } from "./failures.ts";
import { History } from "../history.ts";
import type { LiveLog } from "./live_log.ts";
import type { PackedRange, ReaderRequest } from "./messages.ts";
import { FileLock, openFile } from "./open_file.ts";
import { ROW, unpackRange } from "./pack.ts";
import { Reader } from "./reader.ts";
import { Thread } from "./thread.ts";
import { makeWriterThread } from "./writer_thread.ts";

/** The limits and the settings of a `SqliteStore`. */
export interface SqliteStoreOptions {
  /** The path of the file. Its folder is there, and can be written. */
  readonly path: string;
  /**
   * Whether a commit waits for the disk. `normal` does not: what was acknowledged
   * survives the process, and after a loss of power logs that go on may be shorter.
   * They get a new epoch then.
   */
  readonly sync: "full" | "normal";
  /** The bounds of each log. */
  readonly retention: Retention;
  /** The most bytes of the file. Default: any number. */
  readonly maxBytes?: number | undefined;
  /** The clock to use. */
  readonly clock: Clock;
  /**
   * Called with the names of ended logs that had to go, as the file has no more
   * room. Default: nobody is told.
   */
  readonly onEvicted?: ((names: readonly string[]) => void) | undefined;
  /** Called after each transaction. Default: nobody is told. */
  readonly onCommit?: ((report: CommitReport) => void) | undefined;
  /** Finds out what tells a restart of the machine. Default: {@linkcode findBoot}. */
  readonly findBoot?: (() => Boot | undefined) | undefined;
  /** The most bytes of events in memory, of all logs. Default: 64 MiB. */
  readonly windowBytes?: number | undefined;
}

/** The events that the parts of a store report to it. */
export type OpenStoreEvents = Pick<
  CommitterOptions,
  "housekeeping" | "onStandings" | "onEvicted" | "onFailure" | "onCommit"
>;

/**
 * The parts of an open store: a lock on the file, and all that reads and writes
 * it.
 */
export interface OpenStore {
  readonly catalog: Catalog;
  readonly committer: Committer;
  readonly reader: Thread<ReaderRequest>;
  readonly history: History<LiveLog>;
  /** Writes what is left, and closes the file. */
  close(): Promise<void>;
}

const logger = getLogger(["rivulet", "relay", "store"]);

/**
 * Opens the file of a store, made if there is none, and brings it in order.
 *
 * @throws {StoreError} If it cannot be used.
 */
export function openStore(
  options: SqliteStoreOptions,
  events: OpenStoreEvents,
): OpenStore {
  const { path } = options;
  const lock = new FileLock(path);
  try {
    bringInOrder(options);
    const catalog = new Catalog(path);
    const reader = new Thread<ReaderRequest>(
      Reader,
      "DatabaseSync, backup, data",
      { path },
    );
    // Those who come back after a restart read what is in the file.
    reader.start();
    const committer = startCommitter(options, events);
    return {
      catalog,
      committer,
      reader,
      history: new History({
        name: path,
        load: async (log, from, bytes) => {
          const request = { kind: "read", id: log.id, from, bytes } as const;
          // the answer to a read
          const ranges = await reader.ask(request) as readonly PackedRange[];
          return ranges.map(unpackRange);
        },
        errorOf: (error) => storeErrorOf(path, error),
      }),
      close: async () => {
        await committer[Symbol.asyncDispose]();
        await reader[Symbol.asyncDispose]();
        catalog[Symbol.dispose]();
        lock[Symbol.dispose]();
      },
    };
  } catch (error) {
    lock[Symbol.dispose]();
    throw storeErrorOf(path, error);
  }
}

function bringInOrder(options: SqliteStoreOptions): void {
  const { path, sync, clock } = options;
  const boot = (options.findBoot ?? (() => findBoot(clock)))();
  if (sync === "normal" && !boot) {
    logger.warn(
      "Without --allow-sys=osUptime, the relay cannot tell whether the machine was restarted: after a crash, topics that have not ended get a new epoch",
    );
  }
  const { renewed } = openFile(path, { sync, boot });
  if (renewed === 0) return;
  logger.warn(
    "{count} topics have a new epoch: the machine was restarted, and the file may have lost events",
    { count: renewed },
  );
}

function startCommitter(
  options: SqliteStoreOptions,
  events: OpenStoreEvents,
): Committer {
  const { path, sync, clock, retention, maxBytes = Infinity } = options;
  const { maxEvents, maxBytes: maxLogBytes, maxAge } = retention;
  const start = () =>
    makeWriterThread({
      path,
      sync,
      ...{ maxEvents, maxBytes: maxLogBytes, maxAge },
      maxFileBytes: maxBytes,
      maxPublications: MAX_PUBLICATIONS,
      rowEvents: ROW.events,
      rowBytes: ROW.bytes,
    });
  const checkpoints = new Checkpoints(() =>
    new Thread(Checkpointer, "DatabaseSync, data", { path, sync })
  );
  return new Committer({ path, clock, start, checkpoints, ...events });
}
