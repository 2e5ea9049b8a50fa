/**
 * Pairs of stores of relays that share their topics.
 *
 * @module
 */
import { UNBOUNDED } from "../../../relay/testing/contract_world.ts";
import type { Store } from "../../../relay/topics/store.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { LinkedStores, ROOTS } from "../links/linked_stores.ts";
import { openStore } from "../nats/open_store.ts";
import { lacksNats, NatsServer } from "../nats/nats_server.ts";

/** The store of a relay, and that of one that shares its topics. */
export interface StorePair extends AsyncDisposable {
  readonly store: Store;
  readonly other: Store;
}

async function linked(levels: number): Promise<StorePair> {
  const world = await LinkedStores.open(ROOTS.memory, UNBOUNDED, levels);
  return {
    store: world.store,
    other: world.root,
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

async function siblings(
  root: keyof typeof ROOTS,
  levels = 1,
): Promise<StorePair> {
  const stack = new AsyncDisposableStack();
  const world = stack.use(
    await LinkedStores.open(ROOTS[root], UNBOUNDED, levels),
  );
  const other = stack.use(await world.sibling());
  return {
    store: world.store,
    other,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function nats(): Promise<StorePair> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await NatsServer.start());
  const clock = new FakeClock(1_000_000);
  const store = stack.use(await openStore(server.host, clock));
  const other = stack.use(await openStore(server.host, clock));
  return {
    store,
    other,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Each way to share topics: what the store is of, whether it cannot be had here, and how. */
export const STORE_PAIRS: readonly (readonly [
  what: string,
  ignore: boolean,
  open: () => Promise<StorePair>,
])[] = [
  ["an edge", false, () => linked(1)],
  ["an edge of an edge", false, () => linked(2)],
  ["an edge beside another", false, () => siblings("memory")],
  ["an edge beside another, with SQLite", false, () => siblings("SQLite")],
  [
    "an edge of an edge beside another, with SQLite",
    false,
    () => siblings("SQLite", 2),
  ],
  ["a relay with NATS", lacksNats(), nats],
];
