import { rm } from "node:fs/promises";
import type { Clock } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import { serveLinks } from "../doors/links/serve_links.ts";
import type { CommandOptions } from "../options/schema.ts";
import { shareStore } from "../stores/shared/share_store.ts";
import type { CommitReport } from "../stores/slow_commits.ts";
import {
  type CountedStore,
  createStore,
  parseStoreAddress,
} from "../stores/store_address.ts";
import type { Store } from "../topics/store.ts";
import type { StartOrder } from "./messages.ts";
import { makeSocketFolder } from "./socket_folder.ts";
import { WorkersError } from "./workers_error.ts";

/** A store that workers use together. */
export interface KeptStore extends AsyncDisposable {
  /** The store, as workers share it. */
  readonly store: Store;
  /** Returns the figures of the store, if it is in a file. */
  readonly counts: () => CountedStore["counts"];
  /** Where workers find it. */
  readonly link: StartOrder["link"];
  /** Takes note that the worker with a store of this id is dead. */
  forget(id: string): void;
}

/**
 * Opens the store of a relay, and serves links to workers.
 *
 * @param onCommit Is told of transactions.
 * @throws {StoreError} If it cannot be opened.
 * @throws {WorkersError} If there can be no links.
 */
export async function openKeptStore(
  options: CommandOptions,
  onCommit: (report: CommitReport) => void,
): Promise<KeptStore> {
  const { store: address, retention, limits, storeToken, linkName, clock } =
    options;
  // The command line has no other.
  if (typeof address !== "string") throw new TypeError("Expected an address");
  const own = createStore(parseStoreAddress(address), {
    retention,
    maxStore: retention.maxStore,
    token: storeToken,
    linkName,
    clock,
    onCommit,
  });
  // Workers have ended with the process before: nobody but an edge below them still fills.
  const grace = options.links ? undefined : 0;
  const store = shareStore(own, { clock, limits, grace });
  await using stack = new AsyncDisposableStack();
  stack.use(store);
  await store.open();
  const link = await serve(store, own.isShared === true, clock, stack);
  const opened = stack.move();
  return {
    store,
    counts: () => own.counts,
    ...link,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Serves links over a Unix socket that only this user can reach. */
async function serve(
  store: Store,
  hasOthers: boolean,
  clock: Clock,
  stack: AsyncDisposableStack,
): Promise<Pick<KeptStore, "link" | "forget">> {
  try {
    const { folder, path } = await makeSocketFolder();
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const secret = crypto.randomUUID() + crypto.randomUUID();
    const links = stack.use(
      await serveLinks({ store, clock, path, secret, deletesEnded: true }),
    );
    return {
      link: { path, secret, hasOthers },
      forget: (id) => links.forget(id),
    };
  } catch (cause) {
    throw new WorkersError(
      `--workers: expected to make a Unix socket in a folder of temporary files (TMPDIR): ${
        messageOf(cause)
      }. Deno needs --allow-net, --allow-env=TMPDIR,TMP,TEMP and the folder in --allow-read and --allow-write`,
      false,
      { cause },
    );
  }
}
