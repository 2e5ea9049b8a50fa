import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../src/fetch/clock.ts";
import { StoreError } from "../../topics/store.ts";
import { type CommitReport, SlowCommits } from "../slow_commits.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { storeErrorOf } from "./failures.ts";
import type { Housekeeping } from "./housekeeping.ts";
import type {
  Commit,
  Committed,
  EvictedLog,
  Operation,
  Standing,
  Stepped,
  WriterRequest,
} from "./messages.ts";
import type { Thread } from "./thread.ts";

/** Something to write, and what is done when it is written. */
export interface Work {
  /** The bytes of its events. */
  readonly bytes: number;
  /** Whether it makes room: it is tried in a store that is full. */
  readonly makesRoom?: boolean;
  /** Returns what is to be written, once its turn has come. */
  pack(): Operation;
  /**
   * The store keeps it, unless it came second.
   *
   * @param stale The offset at which its log goes on, if it came second; `null`
   * if the log does not.
   */
  done(stale?: number | null): void;
  /** The store does not keep it. */
  failed(error: StoreError): void;
}

/** The file of a {@linkcode Committer}, and the calls that it makes. */
export interface CommitterOptions {
  readonly path: string;
  readonly clock: Clock;
  /** Starts the thread that writes. */
  readonly start: () => Thread<WriterRequest>;
  readonly housekeeping: Housekeeping;
  /** Is told of each transaction, and closed with the committer. */
  readonly checkpoints: Checkpoints;
  /** Called with where topics stand after a transaction. */
  readonly onStandings: (standings: readonly Standing[]) => void;
  /** Called with the names of ended topics that had to go for want of room. */
  readonly onEvicted: (logs: readonly EvictedLog[]) => void;
  /** Called after each transaction, and each attempt to write again, that failed. */
  readonly onFailure: () => void;
  /** Called after each transaction. */
  readonly onCommit: ((report: CommitReport) => void) | undefined;
}

/**
 * The bounds of one transaction: what is behind them waits for the next one, so that
 * one large publication does not delay others by much.
 */
const BATCH: { readonly works: number; readonly bytes: number } = {
  works: 4_096,
  bytes: 4 * 1024 * 1024,
};

/** While there is always something to write, one step of housekeeping comes after so many transactions. */
const COMMITS_BEFORE_STEP = 8;

/** The times between two attempts to write again, in milliseconds. */
const BACKOFF: { readonly least: number; readonly most: number } = {
  least: 100,
  most: 5_000,
};

const logger = getLogger(["rivulet", "relay", "store"]);

/**
 * Writes what all logs of a store have to write, a transaction at a time.
 *
 * There is no timer: what comes while a transaction is under way is the next one.
 */
export class Committer implements AsyncDisposable {
  readonly #options: CommitterOptions;
  #thread: Thread<WriterRequest>;
  #waiting: Work[] = [];
  /** The transaction under way. */
  #turn: Promise<void> | undefined;
  #isScheduled = false;
  #commits = 0;
  #failure: StoreError | undefined;
  #backoff = BACKOFF.least;
  #cancelProbe: () => void = () => {};
  #isClosed = false;
  readonly #slow: SlowCommits;

  /** Starts the thread that writes. */
  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#slow = new SlowCommits(
      "The disk of the store is slow: {count} transactions took {limit} ms or more, the longest {longest} ms",
      options.clock,
    );
    this.#thread = options.start();
    // The first append does not wait for the start of the thread.
    this.tidy();
  }

  /** The reason why nothing can be written now. */
  get failure(): StoreError | undefined {
    return this.#failure;
  }

  /** The number of works that wait for their transaction. */
  get backlog(): number {
    return this.#waiting.length;
  }

  /** Writes something in the order of the calls. */
  add(work: Work): void {
    if (this.#isClosed) {
      return work.failed(
        new StoreError("closed", "Cannot write to a store that was closed"),
      );
    }
    if (this.#failure && !work.makesRoom) return work.failed(this.#failure);
    this.#waiting.push(work);
    this.#schedule();
  }

  /** Lets housekeeping have a turn, if there is something to do. */
  tidy(): void {
    this.#schedule();
  }

  /** Writes what is left, and ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#cancelProbe();
    while (this.#turn || this.#waiting.length > 0) {
      this.#schedule();
      await (this.#turn ?? Promise.resolve());
    }
    await this.#options.checkpoints[Symbol.asyncDispose]();
    try {
      await this.#thread.ask({ kind: "finish" });
    } catch (error) {
      logger.warn(
        "The store was not closed cleanly, and is repaired when it is opened again: {error}",
        { error: storeErrorOf(this.#options.path, error) },
      );
    }
    await this.#thread[Symbol.asyncDispose]();
  }

  /**
   * Begins a transaction with all the work that comes in this turn of the
   * promises.
   */
  #schedule(): void {
    if (this.#turn || this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#begin();
    });
  }

  #begin(): void {
    if (this.#turn) return;
    const next = this.#next();
    if (!next) return;
    this.#turn = next.finally(() => {
      this.#turn = undefined;
      this.#begin();
    });
  }

  #next(): Promise<void> | undefined {
    const isDue = this.#waiting.length === 0 ||
      this.#commits >= COMMITS_BEFORE_STEP;
    if (isDue && !this.#isClosed) {
      this.#commits = 0;
      const step = this.#options.housekeeping.next(this.#options.clock.now());
      if (step) return this.#step(step);
    }
    return this.#waiting.length > 0 ? this.#commit(this.#take()) : undefined;
  }

  #take(): Work[] {
    let count = 0;
    let bytes = 0;
    for (const work of this.#waiting) {
      if (count >= BATCH.works || bytes >= BATCH.bytes) break;
      bytes += work.bytes;
      count++;
    }
    if (count === this.#waiting.length) {
      const all = this.#waiting;
      this.#waiting = [];
      return all;
    }
    return this.#waiting.splice(0, count);
  }

  async #commit(works: readonly Work[]): Promise<void> {
    const { clock, onStandings, onEvicted, onCommit } = this.#options;
    const started = clock.now();
    let committed: Committed;
    try {
      const commit: Commit = {
        kind: "commit",
        now: started,
        operations: works.map((work) => work.pack()),
      };
      // The answer to a commit.
      committed = await this.#thread.ask(commit) as Committed;
    } catch (error) {
      return this.#fail(error, works);
    }
    this.#commits++;
    this.#options.checkpoints.committed();
    const { standings, stale, evicted } = committed;
    let at = 0;
    for (const [index, work] of works.entries()) {
      if (stale[at]?.[0] === index) work.done(stale[at++]?.[1]);
      else work.done();
    }
    onStandings(standings);
    if (evicted.length > 0) onEvicted(evicted);
    const duration = clock.now() - started;
    const isSlow = this.#slow.note(duration);
    if (!onCommit) return;
    const bytes = works.reduce((sum, work) => sum + work.bytes, 0);
    onCommit({ duration, operations: works.length, bytes, isSlow });
  }

  async #step(step: WriterRequest): Promise<void> {
    const { housekeeping, onStandings, onEvicted } = this.#options;
    try {
      // The answer to a step.
      const stepped = await this.#thread.ask(step) as Stepped;
      onStandings(stepped.standings);
      if (stepped.evicted.length > 0) onEvicted(stepped.evicted);
      housekeeping.done(stepped);
    } catch (error) {
      housekeeping.failed();
      this.#fail(error, []);
    }
  }

  /** Nothing is kept waiting for a disk that may never do again. */
  #fail(error: unknown, works: readonly Work[]): void {
    const failure = storeErrorOf(this.#options.path, error);
    if (this.#failure?.message !== failure.message) {
      logger.error("Cannot write to the store: {error}", { error: failure });
    }
    this.#failure = failure;
    this.#options.onFailure();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const work of works) work.failed(failure);
    for (const work of waiting) work.failed(failure);
    if (!this.#isClosed) this.#scheduleProbe();
  }

  #scheduleProbe(): void {
    this.#cancelProbe();
    this.#cancelProbe = this.#options.clock.setTimeout(() => {
      // A turn that is under way looks again when it is done.
      if (this.#turn) return this.#scheduleProbe();
      this.#turn = this.#probe().finally(() => {
        this.#turn = undefined;
        this.#begin();
      });
    }, this.#backoff);
    this.#backoff = Math.min(this.#backoff * 2, BACKOFF.most);
  }

  async #probe(): Promise<void> {
    try {
      if (this.#thread.error) {
        await this.#thread[Symbol.asyncDispose]();
        this.#thread = this.#options.start();
      }
      await this.#thread.ask({ kind: "probe" });
    } catch (error) {
      return this.#fail(error, []);
    }
    this.#failure = undefined;
    this.#backoff = BACKOFF.least;
    logger.info("The store can be written again");
  }
}
