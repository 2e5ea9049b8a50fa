import { FakeClock } from "../../../src/testing/fake_clock.ts";
import type { SqliteStoreOptions } from "../../../relay/stores/sqlite/open_store.ts";
import { SqliteStore } from "../../../relay/stores/sqlite/sqlite_store.ts";

/** A folder that is removed at the end of its scope. */
export class TemporaryFolder implements AsyncDisposable {
  /** Its path. */
  readonly path: string = Deno.makeTempDirSync({ prefix: "rivulet-store-" });

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** A store in a file of its own, which can be opened again. */
export class SqliteWorld implements AsyncDisposable {
  readonly clock: FakeClock = new FakeClock(1_000_000);
  readonly folder = new TemporaryFolder();
  readonly #options: Partial<SqliteStoreOptions>;
  #store: SqliteStore | undefined;

  private constructor(options: Partial<SqliteStoreOptions>) {
    this.#options = options;
  }

  /** Opens an empty store. */
  static async open(
    options: Partial<SqliteStoreOptions> = {},
  ): Promise<SqliteWorld> {
    const world = new SqliteWorld(options);
    await world.#open();
    return world;
  }

  /** The path of the file. */
  get path(): string {
    return `${this.folder.path}/store.db`;
  }

  /** The store that is open. */
  get store(): SqliteStore {
    return this.#store!; // there is one until the end
  }

  /** Closes the store, and opens it again. */
  async reopen(options: Partial<SqliteStoreOptions> = {}): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await this.#open(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await this.folder[Symbol.asyncDispose]();
  }

  async #open(options: Partial<SqliteStoreOptions> = {}): Promise<void> {
    this.#store = new SqliteStore({
      path: this.path,
      sync: "full",
      retention: {
        maxEvents: Infinity,
        maxBytes: Infinity,
        maxAge: Infinity,
      },
      clock: this.clock,
      ...this.#options,
      ...options,
    });
    await this.#store.open();
  }
}
