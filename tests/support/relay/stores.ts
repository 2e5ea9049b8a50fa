/**
 * Relays over each kind of store.
 *
 * @module
 */
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { startRelay, type TestRelay } from "./relay.ts";
import { TemporaryFolder } from "./sqlite_world.ts";

/** The kinds of stores that a relay can have. */
export const STORE_KINDS = ["memory", "sqlite"] as const;

/** A kind of store. */
export type StoreKind = typeof STORE_KINDS[number];

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
  const folder = kind === "sqlite" ? new TemporaryFolder() : undefined;
  const start = (): Promise<TestRelay> =>
    startRelay({
      ...options,
      ...(folder && { store: `sqlite:${folder.path}/store.db` }),
    });
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
      await folder?.[Symbol.asyncDispose]();
    },
  };
}
