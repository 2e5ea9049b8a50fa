import { abortable } from "../../src/fetch/abortable.ts";
import type {
  ListQuery,
  StoredTopic,
  TopicNews,
  WatchQuery,
} from "../topics/store.ts";
import type { Stored } from "../topics/stored.ts";
import { Wakes } from "./follow_log.ts";

/** News of one topic. */
type TopicChange = Extract<TopicNews, { kind: "made" | "ended" | "deleted" }>;

/** The topics with changes that a watcher has not taken, beyond which it gets the list anew. */
const MAX_CHANGES = 10_000;

/** One who watches. */
interface Watcher {
  readonly prefix: string;
  /** The changes that it has not taken, by name: those that came first come first. */
  changes: Map<string, TopicChange>;
  isBehind: boolean;
  readonly wakes: Wakes;
}

/** Those who watch the topics of a store of this process. */
export class Watchers {
  readonly #watchers = new Set<Watcher>();
  readonly #maxChanges: number;

  /** Begins with nobody. */
  constructor(maxChanges: number = MAX_CHANGES) {
    this.#maxChanges = maxChanges;
  }

  /** Tells of a topic that was made, or has ended. */
  tell(kind: "made" | "ended", describe: () => StoredTopic): void {
    if (this.#watchers.size === 0) return;
    const topic = describe();
    this.#tell(topic.name, { kind, topic });
  }

  /** Tells of a topic that was deleted. */
  deleted(name: string): void {
    this.#tell(name, { kind: "deleted", name });
  }

  /** Lists may have been wrong: all watchers get the list anew. */
  reset(): void {
    for (const watcher of this.#watchers) this.#reset(watcher);
  }

  /** Watches the topics of a store. */
  async *watch(
    list: (query: ListQuery) => Stored<readonly StoredTopic[]>,
    { prefix, limit }: WatchQuery,
    signal: AbortSignal,
  ): AsyncGenerator<TopicNews, void> {
    const watcher: Watcher = {
      prefix,
      changes: new Map(),
      isBehind: true,
      wakes: new Wakes(),
    };
    this.#watchers.add(watcher);
    try {
      for (;;) {
        signal.throwIfAborted();
        if (watcher.isBehind) {
          watcher.isBehind = false;
          yield { kind: "reset" };
          yield* pages(list, { prefix, limit }, signal);
          if (!watcher.isBehind) yield { kind: "current" };
          continue;
        }
        const [change] = watcher.changes.values();
        if (!change) {
          await abortable(watcher.wakes.next, signal);
          continue;
        }
        watcher.changes.delete(nameOf(change));
        yield change;
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  #tell(name: string, change: TopicChange): void {
    for (const watcher of this.#watchers) {
      if (!name.startsWith(watcher.prefix) || watcher.isBehind) continue;
      // The last change of a name counts, and its place is that of the last.
      watcher.changes.delete(name);
      watcher.changes.set(name, change);
      if (watcher.changes.size > this.#maxChanges) this.#reset(watcher);
      watcher.wakes.wake();
    }
  }

  #reset(watcher: Watcher): void {
    watcher.changes = new Map();
    watcher.isBehind = true;
    watcher.wakes.wake();
  }
}

function nameOf(change: TopicChange): string {
  return change.kind === "deleted" ? change.name : change.topic.name;
}

async function* pages(
  list: (query: ListQuery) => Stored<readonly StoredTopic[]>,
  { prefix, limit }: WatchQuery,
  signal: AbortSignal,
): AsyncGenerator<TopicNews, void> {
  for (let after = "";;) {
    signal.throwIfAborted();
    const listed = list({ after, prefix, limit });
    const topics = listed instanceof Promise ? await listed : listed;
    const last = topics.at(-1);
    if (!last) return;
    yield { kind: "listed", topics };
    after = last.name;
  }
}
