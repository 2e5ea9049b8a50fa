import type { Clock } from "../../src/fetch/clock.ts";
import type { Retention } from "../topics/log.ts";
import type { Store } from "../topics/store.ts";
import { JetStreamStore } from "./jetstream/jetstream_store.ts";
import {
  isNatsAddress,
  NATS_ADDRESS_FORM,
  type NatsAddress,
  parseNatsAddress,
} from "./jetstream/nats_address.ts";
import { MemoryStore } from "./memory_store.ts";
import {
  isParentAddress,
  PARENT_ADDRESS_FORM,
  type ParentAddress,
  parseParentAddress,
} from "./parent/parent_address.ts";
import { ParentStore } from "./parent/parent_store.ts";
import type { CommitReport } from "./slow_commits.ts";
import { SqliteStore } from "./sqlite/sqlite_store.ts";
import type { StoreCounts } from "./store_counts.ts";

/** The store that topics live in. */
export type StoreAddress =
  | { readonly kind: "memory" }
  | {
    readonly kind: "sqlite";
    /** The path of the file. */
    readonly path: string;
    /** Whether a commit waits for the disk. */
    readonly sync: "full" | "normal";
  }
  | {
    readonly kind: "nats";
    /** The servers, and what is in them. */
    readonly address: NatsAddress;
  }
  | {
    readonly kind: "parent";
    /** The relay that the topics live in. */
    readonly address: ParentAddress;
  };

/** The form of a store's address, in words for messages. */
export const STORE_ADDRESS_FORM =
  "memory, sqlite:PATH with ?sync=full or ?sync=normal, nats://HOST[,HOST...], or http(s)://HOST[:PORT] of a relay with --links";

const SQLITE = "sqlite:";

/**
 * Reads an address of a store.
 *
 * @param text `memory`, `sqlite:PATH[?sync=full|normal]`, `nats://HOST[,HOST...]`,
 * `http(s)://HOST[:PORT]` or `unix:PATH`.
 * @throws {RangeError} If it is none.
 */
export function parseStoreAddress(text: string): StoreAddress {
  if (text === "memory") return { kind: "memory" };
  if (isNatsAddress(text)) {
    const address = parseNatsAddress(text);
    if (address) return { kind: "nats", address };
    throw new RangeError(
      `Expected ${NATS_ADDRESS_FORM}: got something else, which is not shown, as it may have a password`,
    );
  }
  if (isParentAddress(text)) {
    const address = parseParentAddress(text);
    if (address) return { kind: "parent", address };
    throw new RangeError(
      `Expected ${PARENT_ADDRESS_FORM}: got something else, which is not shown, as it may have a password. A token is given with --store-token`,
    );
  }
  const [place = "", query, more] = text.split("?");
  const path = place.slice(SQLITE.length);
  const [name, value = ""] = query?.split("=") ?? ["sync", "full"];
  if (
    place.startsWith(SQLITE) && path !== "" && more === undefined &&
    name === "sync" && (value === "full" || value === "normal")
  ) return { kind: "sqlite", path, sync: value };
  throw new RangeError(`Expected ${STORE_ADDRESS_FORM}: got '${text}'`);
}

/** The limits and the parts that a store is made with. */
export interface StoreSettings {
  /** The bounds of each log. */
  readonly retention: Retention;
  /** The most bytes of a file. Default: any number. */
  readonly maxStore?: number | undefined;
  /** The clock to use. */
  readonly clock: Clock;
  /** Called after each transaction of a file, or message of a log. Default: nobody is told. */
  readonly onCommit?: ((report: CommitReport) => void) | undefined;
  /** The token that a parent asks for. Default: none. */
  readonly token?: string | undefined;
  /** The name that this relay gives itself to a parent. Default: `relay`. */
  readonly linkName?: string | undefined;
  /** Called with the names of topics that had to go for room. Default: nobody is told. */
  readonly onEvicted?: ((names: readonly string[]) => void) | undefined;
}

/** A store that may tell what it holds. */
export type CountedStore = Store & {
  /** The counters and sizes of the store, if it is in a file or in NATS. */
  readonly counts?: StoreCounts;
};

/** Makes the store that an address names. It has yet to be opened. */
export function createStore(
  address: StoreAddress,
  settings: StoreSettings,
): CountedStore {
  const { retention, maxStore, clock, onCommit, onEvicted } = settings;
  const { maxEvents, maxBytes, maxAge } = retention;
  const bounds = { maxEvents, maxBytes, maxAge };
  if (address.kind === "memory") return new MemoryStore(bounds, clock);
  if (address.kind === "nats") {
    return new JetStreamStore({
      address: address.address,
      retention: bounds,
      clock,
      onCommit,
    });
  }
  if (address.kind === "parent") {
    const { token, linkName: name } = settings;
    return new ParentStore({ address: address.address, token, name, clock });
  }
  const { path, sync } = address;
  return new SqliteStore({
    path,
    sync,
    retention: bounds,
    maxBytes: maxStore,
    clock,
    onCommit,
    onEvicted,
  });
}
