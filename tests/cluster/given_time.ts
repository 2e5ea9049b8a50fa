/**
 * Waits that are measured in the time that the machine has given to the processes
 * under test: a busy machine makes them longer in real time, and a process that waits
 * for something does not.
 *
 * @module
 */
/** The time between two looks at the processes, in milliseconds. */
const INTERVAL = 250;

/** The most real time of a wait, as a multiple of its limit. */
const MOST = 10;

/** The delay of each thread of each process, in milliseconds. */
export type Delays = ReadonlyMap<number, ReadonlyMap<string, number>>;

/** A wait that goes on. */
interface Wait {
  /** The time that was given, and the real time, when it began. */
  readonly given: number;
  readonly began: number;
  readonly limit: number;
  readonly what: () => string;
  readonly reject: (error: Error) => void;
}

/**
 * Counts the time that the machine gives to some processes: real time, without the part
 * in which they wait for a processor. Linux says of each thread how long it was ready to
 * run, and did not. Of a process, the thread that has waited most counts, and of several
 * processes their average. A process that waits for a message, a timer or a lock is not
 * ready, so that its time counts in full.
 */
export class GivenTime implements Disposable {
  readonly #read: () => Delays;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #waits = new Set<Wait>();
  #delays: Delays = new Map();
  #lookedAt = performance.now();
  #given = 0;

  /**
   * Begins to count.
   *
   * @param read Returns the delays of the processes that there are, as {@linkcode delaysOf}
   * does.
   */
  constructor(read: () => Delays) {
    this.#read = read;
    this.#timer = setInterval(() => this.#look(), INTERVAL);
    this.#look();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** The time that was given until now, in milliseconds. */
  get given(): number {
    return this.#given;
  }

  /**
   * Waits for something, but not for ever.
   *
   * @param promise What is waited for.
   * @param limit In milliseconds of the time that was given.
   * @param what What is waited for, in words.
   */
  async within<T>(
    promise: Promise<T>,
    limit: number,
    what: () => string,
  ): Promise<T> {
    const late = Promise.withResolvers<never>();
    const began = performance.now();
    const { reject } = late;
    const wait = { given: this.#given, began, limit, what, reject };
    this.#waits.add(wait);
    try {
      return await Promise.race([promise, late.promise]);
    } finally {
      this.#waits.delete(wait);
    }
  }

  /**
   * Asks again and again until the answer is there.
   *
   * @param ask Returns `undefined` for "not yet".
   */
  async until<T>(
    ask: () => T | undefined | Promise<T | undefined>,
    limit: number,
    what: () => string,
  ): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const asking = async (): Promise<T> => {
      for (;;) {
        const answer = await ask();
        if (answer !== undefined) return answer;
        if (isOver) throw new Error("It is not waited for any more");
        await new Promise((resolve) => timer = setTimeout(resolve, 10));
      }
    };
    try {
      return await this.within(asking(), limit, what);
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }

  /** Takes off the time that the processes have waited for a processor, on average. */
  #look(): void {
    const now = performance.now();
    const elapsed = now - this.#lookedAt;
    const before = this.#delays;
    const delays = this.#delays = this.#read();
    let lost = 0;
    for (const [pid, threads] of delays) {
      let most = 0;
      for (const [thread, delay] of threads) {
        most = Math.max(most, delay - (before.get(pid)?.get(thread) ?? delay));
      }
      lost += Math.min(most, elapsed) / delays.size;
    }
    this.#given += Math.max(0, elapsed - lost);
    this.#lookedAt = now;
    for (const wait of this.#waits) {
      const had = Math.round(this.#given - wait.given);
      const took = Math.round(now - wait.began);
      if (had < wait.limit && took < MOST * wait.limit) continue;
      wait.reject(
        new Error(
          `Waited ${took} ms in vain for ${wait.what()}: the machine gave the processes ${had} of these`,
        ),
      );
    }
  }
}

/**
 * Returns the time for which each thread of some processes was ready and did not run.
 * Where the system does not say so, it is as if none had waited.
 */
export function delaysOf(pids: readonly number[]): Delays {
  return new Map(pids.map((pid) => [pid, threadsOf(pid)]));
}

function threadsOf(pid: number): ReadonlyMap<string, number> {
  const folder = `/proc/${pid}/task`;
  const delays = new Map<string, number>();
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      const text = Deno.readTextFileSync(`${folder}/${name}/schedstat`);
      delays.set(name, Number(text.split(" ")[1]) / 1e6);
    }
  } catch {
    // It has ended.
  }
  return delays;
}
