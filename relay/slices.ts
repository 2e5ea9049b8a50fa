import { rest } from "./rest.ts";

/**
 * Work in steps that are small: each takes well under a millisecond, whatever a peer
 * has sent. Its result is what it returns.
 */
export type Steps<T> = Iterator<void, T, void>;

/** The time of a turn of the event loop that goes to steps, in milliseconds. */
const SLICE = 4;

/** The most steps of a turn, however little time they take: what they set going takes time as well. */
const MAX_STEPS = 32;

/**
 * The time after which work that did not have to wait may take another slice, in
 * milliseconds. Nothing says whether a turn has ended meanwhile: pages for a hundred
 * readers, each written as soon as it was made, took a slice each 8 ms in one turn of
 * 70 ms. What they may take is less than what it costs to write them.
 */
const RENEWAL = 6 * SLICE;

/** Does work in one go: it has to be small. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Work that waits for its turn. */
interface Job {
  /** Takes a step; returns whether it was the last. */
  step(): boolean;
  /** Gives the work up. */
  drop(): void;
  /** Whether anybody still waits for the result. */
  isWanted(): boolean;
}

/**
 * Shares the time of the process among long pieces of work.
 *
 * To encode one event of 16 MiB, or to parse it, takes a second in which nobody else
 * is served. Here it takes steps: some in each turn of the event loop, for some
 * milliseconds. Work that needs less is done at once.
 *
 * The work of one lane is done in its order, one piece after the other. The lanes
 * take turns, a step each.
 */
export class Slices {
  readonly #lanes = new Map<string, Job[]>();
  #start = -Infinity;
  #steps = 0;
  /** Cancels the next turn, if there is to be one. */
  #cancel: (() => void) | undefined;
  readonly #now: () => number;

  /**
   * Makes it with nothing to do.
   *
   * @param now Tells the time, in milliseconds. Default: that of the process.
   */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The number of pieces of work that wait for their turn. */
  get waiting(): number {
    let waiting = 0;
    for (const jobs of this.#lanes.values()) waiting += jobs.length;
    return waiting;
  }

  /**
   * Does work, at once if it is quickly done.
   *
   * @param lane The name of the lane: what else is in it is done before.
   * @param steps The work. If its iterator can be closed, it is when nobody waits for
   * the result any more.
   * @param isWanted Whether somebody waits for the result. Default: always.
   * @returns The result; a promise of it that is never settled if nobody wants it.
   */
  run<T>(
    lane: string,
    steps: Steps<T>,
    isWanted: () => boolean = () => true,
  ): T | Promise<T> {
    if (!this.#lanes.has(lane)) {
      if (this.#now() - this.#start >= RENEWAL) this.#renew();
      while (this.#hasTime()) {
        this.#steps++;
        const { done, value } = steps.next();
        if (done) return value;
      }
    }
    return new Promise((resolve, reject) => {
      const step = (): boolean => {
        try {
          const { done, value } = steps.next();
          if (done) resolve(value);
          return done === true;
        } catch (error) {
          reject(error);
          return true;
        }
      };
      this.#add(lane, { step, isWanted, drop: () => void steps.return?.() });
    });
  }

  /** Gives up at once what nobody waits for any more, and the next turn if nothing is left. */
  sweep(): void {
    for (const [lane, jobs] of this.#lanes) {
      const wanted = jobs.filter((job) => job.isWanted());
      for (const job of jobs) if (!wanted.includes(job)) job.drop();
      if (wanted.length > 0) this.#lanes.set(lane, wanted);
      else this.#lanes.delete(lane);
    }
    if (this.#lanes.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #add(lane: string, job: Job): void {
    const jobs = this.#lanes.get(lane);
    if (jobs) return void jobs.push(job);
    this.#lanes.set(lane, [job]);
    this.#rest();
  }

  #renew(): void {
    this.#start = this.#now();
    this.#steps = 0;
  }

  #hasTime(): boolean {
    return this.#steps < MAX_STEPS && this.#now() - this.#start < SLICE;
  }

  /** Takes steps again when the runtime has looked at its sockets. */
  #rest(): void {
    this.#cancel ??= rest.wait(() => this.#turn());
  }

  #turn(): void {
    this.#cancel = undefined;
    this.#renew();
    // A lane that is put in again comes last.
    for (const [lane, jobs] of this.#lanes) {
      if (!this.#hasTime()) break;
      this.#lanes.delete(lane);
      this.#advance(jobs);
      if (jobs.length > 0) this.#lanes.set(lane, jobs);
    }
    if (this.#lanes.size > 0) this.#rest();
  }

  #advance(jobs: Job[]): void {
    const job = jobs[0]!; // a lane without jobs is taken out
    if (!job.isWanted()) {
      jobs.shift();
      job.drop();
      return;
    }
    this.#steps++;
    if (job.step()) jobs.shift();
  }
}

/** The long work of this process. */
export const slices: Slices = new Slices();
