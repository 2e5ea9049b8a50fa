import type { Clock } from "../../../src/fetch/clock.ts";
import {
  type ServedLinks,
  serveLinks,
} from "../../../relay/doors/links/serve_links.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { parseParentAddress } from "../../../relay/stores/parent/parent_address.ts";
import { ParentStore } from "../../../relay/stores/parent/parent_store.ts";
import { shareStore } from "../../../relay/stores/shared/share_store.ts";
import { SqliteStore } from "../../../relay/stores/sqlite/sqlite_store.ts";
import type { StoreContractWorld } from "../../../relay/testing/contract_world.ts";
import type { Lease } from "../../../relay/topics/lease.ts";
import type { Log, Retention } from "../../../relay/topics/log.ts";
import type { Store } from "../../../relay/topics/store.ts";
import { TemporaryFolder } from "../relay/sqlite_world.ts";
import { StallingClock } from "../stalling_clock.ts";

/** The secret that the relays of a test show each other. */
const SECRET = "0123456789abcdef0123456789abcdef";

/** Makes the store at the root of a tree, in a folder of its own. */
export type MakeRoot = (
  retention: Retention,
  clock: Clock,
  folder: string,
) => Store;

/** The roots that there are. */
export const ROOTS: Readonly<Record<"memory" | "SQLite", MakeRoot>> = {
  memory: (retention, clock) => new MemoryStore(retention, clock),
  SQLite: (retention, clock, folder) =>
    new SqliteStore({
      path: `${folder}/store.db`,
      sync: "full",
      retention,
      clock,
    }),
};

/** Takes the lease of one who fills a topic, for 5 s. */
export async function holdAsFiller(
  store: Store,
  topic: string,
  { epoch }: Log,
): Promise<Lease> {
  return await store.hold({
    ...{ topic, epoch, holder: "filler", ttl: 5_000 },
    onCancel: () => Promise.resolve(),
  });
}

/** A store at the end of a chain of links: the root, and some levels below. */
export class LinkedStores implements StoreContractWorld {
  readonly clock: StallingClock = new StallingClock(1_000_000);
  readonly folder = new TemporaryFolder();
  readonly #makeRoot: MakeRoot;
  readonly #retention: Retention;
  readonly #levels: number;
  /** The root first. */
  #stores: Store[] = [];
  #links: ServedLinks[] = [];
  /** Whether the root outlives the process. */
  readonly reopen?: () => Promise<void>;

  private constructor(
    makeRoot: MakeRoot,
    retention: Retention,
    levels: number,
  ) {
    this.#makeRoot = makeRoot;
    this.#retention = retention;
    this.#levels = levels;
    if (makeRoot === ROOTS.memory) return;
    this.reopen = async () => {
      await this.close();
      await this.#open();
    };
  }

  /** Opens stores that are empty. */
  static async open(
    makeRoot: MakeRoot,
    retention: Retention,
    levels = 1,
  ): Promise<LinkedStores> {
    const world = new LinkedStores(makeRoot, retention, levels);
    await world.#open();
    return world;
  }

  /** The store at the end. */
  get store(): Store {
    return this.#stores.at(-1)!; // there is one until the end
  }

  /** The store at the root. */
  get root(): Store {
    return this.#stores[0]!; // there is one until the end
  }

  /** The store one level below the root. */
  get middle(): ParentStore {
    return this.#stores[1] as ParentStore; // it is linked to the root
  }

  /** Makes one more store that is linked to the one before the last. */
  async sibling(): Promise<ParentStore> {
    return await this.#link(this.#levels - 1);
  }

  /** Closes the links of a level, as one that is lost. */
  cut(level = 0): void {
    for (const peer of this.#links[level]?.peers ?? []) peer.close();
  }

  /** Ends the root, as a process that is stopped, until {@linkcode startRoot}. */
  async stopRoot(): Promise<void> {
    await this.#links[0]?.[Symbol.asyncDispose]();
    await this.root[Symbol.asyncDispose]();
  }

  /** Begins the root again, with what has outlived the process. */
  async startRoot(): Promise<void> {
    this.#stores[0] = await this.#openRoot();
    this.#links[0] = await this.#serve(0);
  }

  /** Closes all. */
  async close(): Promise<void> {
    for (const store of this.#stores.splice(1).reverse()) {
      await store[Symbol.asyncDispose]();
    }
    for (const links of this.#links.splice(0)) {
      await links[Symbol.asyncDispose]();
    }
    for (const store of this.#stores.splice(0)) {
      await store[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.folder[Symbol.asyncDispose]();
  }

  async #open(): Promise<void> {
    this.#stores.push(await this.#openRoot());
    for (let level = 0; level < this.#levels; level++) {
      this.#links.push(await this.#serve(level));
      this.#stores.push(await this.#link(level));
    }
  }

  async #openRoot(): Promise<Store> {
    const { clock } = this;
    const own = this.#makeRoot(this.#retention, clock, this.folder.path);
    const root = shareStore(own, { clock });
    await root.open();
    return root;
  }

  #serve(level: number): Promise<ServedLinks> {
    return serveLinks({
      store: this.#stores[level]!, // it is opened first
      clock: this.clock,
      path: this.#path(level),
      secret: SECRET,
      deletesEnded: true,
    });
  }

  async #link(level: number): Promise<ParentStore> {
    const address = parseParentAddress(`unix:${this.#path(level)}`)!; // it is one
    const store = new ParentStore({
      address,
      token: SECRET,
      clock: this.clock,
    });
    await store.open();
    return store;
  }

  #path(level: number): string {
    return `${this.folder.path}/${level}.sock`;
  }
}
