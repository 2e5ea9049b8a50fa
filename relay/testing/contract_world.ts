import {
  deepEqual as assertEquals,
  equal as assertSame,
  ok as assert,
} from "node:assert/strict";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type {
  Log,
  LogEntry,
  ReadBudget,
  Retention,
  TopicFacts,
} from "../topics/log.ts";
import type { ListQuery, Store } from "../topics/store.ts";

/**
 * A store to check, which is open and empty.
 *
 * @example A store that leaves nothing behind
 * ```ts
 * import type { StoreContractWorld } from "@rivulet/rivulet/testing/store";
 *
 * const storeOf = ({ store }: StoreContractWorld) => store;
 * storeOf;
 * ```
 */
export interface StoreContractWorld extends AsyncDisposable {
  /** The store. */
  readonly store: Store;
  /** The clock of the store: a `FakeClock` of `./testing`, or one that does the same. */
  readonly clock: {
    /** The time, in milliseconds since the epoch. */
    now(): number;
    /** Lets time pass, in milliseconds, and calls what is due. */
    advance(duration: number): Promise<void>;
  };
  /** Closes the store and opens what it has left. Not there if it leaves nothing. */
  reopen?(): Promise<void>;
}

/**
 * The maker of the stores that {@linkcode storeContract} checks.
 *
 * @example Only the way to make a store
 * ```ts
 * import type { StoreContractOptions } from "@rivulet/rivulet/testing/store";
 *
 * const start = ({ open }: StoreContractOptions) =>
 *   open({ maxEvents: 10, maxBytes: Infinity, maxAge: Infinity });
 * start;
 * ```
 */
export interface StoreContractOptions {
  /**
   * Makes an empty store, whose logs keep as much as they are told. Disposed of at the
   * end of each check.
   */
  readonly open: (retention: Retention) => Promise<StoreContractWorld>;
}

/**
 * One thing that a store has to do.
 *
 * @example As a test of Deno's
 * ```ts
 * import type { StoreCheck } from "@rivulet/rivulet/testing/store";
 *
 * const register = ({ name, run }: StoreCheck) => Deno.test(name, run);
 * register;
 * ```
 */
export interface StoreCheck {
  /** The behaviour of the store that is checked, in words. */
  readonly name: string;
  /** Checks it: rejects with an `AssertionError` of `node:assert` if it does not. */
  readonly run: () => Promise<void>;
}

/** Collects checks. */
export class Checks {
  readonly all: StoreCheck[] = [];
  readonly #open: StoreContractOptions["open"];

  /** Begins without checks. */
  constructor({ open }: StoreContractOptions) {
    this.#open = open;
  }

  /** Adds a check of an empty store. */
  each(
    name: string,
    check: (world: StoreContractWorld) => Promise<void>,
  ): void {
    const run = async (): Promise<void> => {
      await using world = await this.#open(UNBOUNDED);
      await check(world);
    };
    this.all.push({ name, run });
  }

  /**
   * Adds a check of an empty store, whose end is run again with the store opened anew
   * where it can be.
   */
  both(
    name: string,
    check: (
      world: StoreContractWorld,
    ) => Promise<(store: Store) => Promise<void>>,
    retention: Retention = UNBOUNDED,
  ): void {
    const run = async (): Promise<void> => {
      await using world = await this.#open(retention);
      const again = await check(world);
      await again(world.store);
      if (!world.reopen) return;
      await world.reopen();
      await again(world.store);
    };
    this.all.push({ name, run });
  }
}

/** Retention that gives nothing up. */
export const UNBOUNDED: Retention = {
  maxEvents: Infinity,
  maxBytes: Infinity,
  maxAge: Infinity,
};

/** Reads all that there is. */
export const ALL: ReadBudget = { events: Infinity, bytes: Infinity };

/** The facts of a topic that is pending, and of which nothing is known. */
export const NO_FACTS: TopicFacts = { isOpen: false };

/** Lists all that there is. */
export const EVERYTHING: ListQuery = { after: "", prefix: "", limit: 1_000 };

/** Makes an event with no more than its data. */
export function message(data: string): ServerSentEvent {
  return { event: "message", data, id: "" };
}

/** Finds the log of a topic, as it is in the store now. */
export async function find(
  store: Store,
  name: string,
  epoch?: string,
): Promise<Log | undefined> {
  await store.prepare?.(name, { publications: true });
  return store.find(name, epoch);
}

/** Finds the log of a topic that has to be there. */
export async function findLog(store: Store, name: string): Promise<Log> {
  const log = await find(store, name);
  assert(log, `expected topic '${name}'`);
  return log;
}

/** Reads all events that are kept, by offset; holes are left out. */
export async function readAll(
  log: Log,
  budget: ReadBudget = ALL,
): Promise<Map<number, LogEntry>> {
  const all = new Map<number, LogEntry>();
  for (let offset = log.first; offset < log.next;) {
    const hole = log.holeAt?.(offset);
    if (hole) {
      offset = hole.to + 1;
      continue;
    }
    const range = await log.read(offset, budget);
    assertSame(range.offset, offset);
    assert(range.entries.length > 0, "a range has an event");
    assert(
      range.entries.length <= budget.events,
      "a range keeps to its budget",
    );
    for (const entry of range.entries) all.set(offset++, entry);
  }
  return all;
}

/** Reads the data of all events that are kept. */
export async function readData(log: Log): Promise<string[]> {
  return [...(await readAll(log)).values()].map(({ event }) => event.data);
}

/** Checks that something is refused with an error of a class, and returns the error. */
export async function assertRejects<E extends Error>(
  act: () => Promise<unknown>,
  // deno-lint-ignore no-explicit-any -- any constructor: only its class counts
  type: new (...parameters: any[]) => E,
): Promise<E> {
  try {
    await act();
  } catch (error) {
    if (error instanceof type) return error;
    throw error;
  }
  assertEquals("nothing", type.name, "expected it to be refused");
  throw new Error("unreachable");
}

/** The longest wait for what has to come, in milliseconds of the machine. */
const PATIENCE = 30_000;

/** Waits for something, but not for ever. */
export async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`Waited ${PATIENCE} ms in vain for ${what}`));
    }, PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until it is so. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!await isSo()) {
    assert(
      performance.now() < end,
      `Waited ${PATIENCE} ms in vain for ${what}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
