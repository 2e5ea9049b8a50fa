import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../src/fetch/clock.ts";
import { outOfMemory, type Problem } from "../../problem.ts";
import type { ProcessMemory } from "./memory_reading.ts";

/** The interval at which the memory is looked at, in milliseconds. */
const INTERVAL = 250;

/**
 * The age up to which a reading is good enough for a request, in milliseconds: under
 * load the memory is read 20 times a second, which takes 0.2 % of a core at most.
 */
const FRESH = 50;

/** The part of the memory from which on new work is refused. */
const ENTER = 0.9;

/** The part below which it is taken again: far enough away that it does not flap. */
const LEAVE = 0.8;

/** The time between two collections at the edge, in milliseconds. */
const COLLECT_INTERVAL = 2_000;

/** The parts of the guard. */
export interface MemoryGuardOptions {
  /** The memory that the process may use, in bytes. */
  readonly maxMemory: number;
  /** Reads the memory of the process. */
  readonly memory: ProcessMemory;
  /** The source of time. */
  readonly clock: Clock;
  /**
   * Gives up what costs most: a connection that reads nothing, or a body that is
   * being received.
   *
   * @returns The bytes that it stood for; `undefined` if there is no such thing.
   */
  dropHeaviest(): number | undefined;
}

const logger = getLogger(["rivulet", "relay", "limits"]);

/**
 * Watches the memory of the process. At its edge, new work is refused and
 * connections are cut that hold much and read nothing, before the system or the
 * engine ends the process.
 *
 * Two limits count: that of resident memory, and that of the engine for objects.
 * Buffers are in the first alone.
 */
export class MemoryGuard implements Disposable {
  readonly #options: MemoryGuardOptions;
  #cancel: () => void = () => {};
  #isAtEdge = false;
  #lookedAt = -Infinity;
  #collectedAt = -Infinity;

  /** Begins to watch. */
  constructor(options: MemoryGuardOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** Whether new work is refused. */
  get isAtEdge(): boolean {
    return this.#isAtEdge;
  }

  /** The memory that the process may use, in bytes. */
  get maxMemory(): number {
    return this.#options.maxMemory;
  }

  /** Returns why new work is refused: 503 `out_of_memory`; `undefined` if it is not. */
  refusal(): Problem | undefined {
    const { clock } = this.#options;
    if (clock.now() - this.#lookedAt >= FRESH) this.#look();
    return this.#isAtEdge ? outOfMemory() : undefined;
  }

  /**
   * Refuses new work at the edge of the memory.
   *
   * @throws {Problem} 503 `out_of_memory`.
   */
  assertRoom(): void {
    const problem = this.refusal();
    if (problem) throw problem;
  }

  /** Watches no more. */
  [Symbol.dispose](): void {
    this.#cancel();
  }

  #schedule(): void {
    this.#cancel = this.#options.clock.setTimeout(() => {
      this.#look();
      this.#schedule();
    }, INTERVAL);
  }

  #look(): void {
    const { clock, maxMemory, dropHeaviest } = this.#options;
    this.#lookedAt = clock.now();
    let used = this.#used();
    if (used < (this.#isAtEdge ? LEAVE : ENTER)) return this.#leave();
    if (this.#collect()) used = this.#used();
    if (used < (this.#isAtEdge ? LEAVE : ENTER)) return this.#leave();
    this.#enter();
    // Dropped memory is garbage from now on, and is subtracted when it is
    // collected.
    let excess = (used - LEAVE) * maxMemory;
    while (excess > 0) {
      const freed = dropHeaviest();
      if (freed === undefined) return;
      excess -= freed;
    }
  }

  /** The part of its memory that the process uses: of that which it will be out of first. */
  #used(): number {
    const { resident, heap, heapLimit } = this.#options.memory.read();
    return Math.max(resident / this.#options.maxMemory, heap / heapLimit);
  }

  /** Collects garbage, if that is not too soon. */
  #collect(): boolean {
    const now = this.#options.clock.now();
    if (now - this.#collectedAt < COLLECT_INTERVAL) return false;
    this.#collectedAt = now;
    this.#options.memory.collect();
    return true;
  }

  #enter(): void {
    if (this.#isAtEdge) return;
    this.#isAtEdge = true;
    logger.warning(
      "Memory is nearly used up, and new work is refused: {resident} of {max} bytes are resident, {heap} of {heapLimit} are objects",
      this.#figures(),
    );
  }

  #leave(): void {
    if (!this.#isAtEdge) return;
    this.#isAtEdge = false;
    logger.warning(
      "Memory is available again, and new work is accepted: {resident} of {max} bytes are resident, {heap} of {heapLimit} are objects",
      this.#figures(),
    );
  }

  #figures(): Record<string, number> {
    const { maxMemory: max, memory } = this.#options;
    return { ...memory.read(), max };
  }
}
