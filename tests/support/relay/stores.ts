/**
 * Relays over each kind of store.
 *
 * @module
 */
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { NatsServer } from "../nats/nats_server.ts";
import { startRelay, type TestRelay } from "./relay.ts";
import { TemporaryFolder } from "./sqlite_world.ts";

/** The kinds of stores that a relay can have. */
export const STORE_KINDS = ["memory", "sqlite"] as const;

/** A kind of store. */
export type StoreKind = typeof STORE_KINDS[number];

/** A kind of store, of one machine or of several. */
export type AnyStoreKind = StoreKind | "JetStream";

/** A place for a store, until it is disposed of. */
export interface StorePlace extends AsyncDisposable {
  /** The address of the store, as `--store` has it. */
  readonly address: string;
  /** Whether other relays can have the same store meanwhile. */
  readonly isShared: boolean;
}

/** Makes a place for a store of a kind. */
export async function makeStorePlace(kind: AnyStoreKind): Promise<StorePlace> {
  await using stack = new AsyncDisposableStack();
  let address = "memory";
  if (kind === "sqlite") {
    address = `sqlite:${stack.use(new TemporaryFolder()).path}/store.db`;
  } else if (kind === "JetStream") {
    address = `nats://${stack.use(await NatsServer.start()).host}`;
  }
  const kept = stack.move();
  return {
    address,
    isShared: kind === "JetStream",
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A relay over a store of its own, which can be started anew on it. */
export interface StoredRelay extends AsyncDisposable {
  /** The relay that runs. */
  readonly relay: TestRelay;
  /** Stops it, and starts another on what it has left. */
  restart(): Promise<void>;
}

/** Starts a relay over a store of a kind. */
export async function startStoredRelay(
  kind: StoreKind,
  options: RelayOptions = {},
): Promise<StoredRelay> {
  const place = await makeStorePlace(kind);
  const start = (): Promise<TestRelay> =>
    startRelay({ ...options, store: place.address });
  let relay = await start();
  return {
    get relay() {
      return relay;
    },
    async restart() {
      await relay[Symbol.asyncDispose]();
      relay = await start();
    },
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}
