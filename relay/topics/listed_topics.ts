import { describeLog } from "./describe_log.ts";
import type { Store, StoredTopic } from "./store.ts";
import { Topic, type TopicState } from "./topic.ts";

/** A topic of a list: as it is in memory, or else as its store has it. */
export type ListedTopic = Topic | StoredTopic;

/** Returns the stage of a topic's life. */
export function stageOf(topic: ListedTopic): TopicState["kind"] {
  if (topic instanceof Topic) return topic.state.kind;
  if (topic.end) return "ended";
  return topic.facts.isOpen || topic.next > 1 ? "open" : "pending";
}

/** The parts from which a list is made. */
export interface ListedTopicsContext {
  /** The place where the topics live. */
  readonly store: Store;
  /** Returns the topic of a name that is in memory. */
  known(name: string): Topic | undefined;
  /** Has a topic at hand, of a store that has to be asked. */
  prepare(name: string, isFresh: boolean): Promise<void> | undefined;
}

/** The topics to list. */
export interface ListedTopicsQuery {
  /** The name after which the list begins. */
  readonly after: string;
  /** The beginning of all names. */
  readonly prefix: string;
  /** Whether they have to be as any relay has acknowledged. */
  readonly isFresh: boolean;
}

/** The number of topics that are taken from a store at a time. */
const PAGE = 1_000;

/** The same for a store that has to fetch each of them: about a page of a list. */
const FETCHED_PAGE = 128;

/**
 * Iterates over topics in the order of their names. They may come and go meanwhile: what
 * was not looked at yet is as it is then.
 *
 * @returns Yields a promise where the store has to be waited for before it goes on.
 */
export function* listedTopics(
  { store, known, prepare }: ListedTopicsContext,
  { after, prefix, isFresh }: ListedTopicsQuery,
): Generator<ListedTopic | Promise<unknown>, void> {
  const limit = store.prepare ? FETCHED_PAGE : PAGE;
  for (let last = after;;) {
    const listed = store.list({ after: last, prefix, limit });
    let page: readonly StoredTopic[] = [];
    if (listed instanceof Promise) {
      yield listed.then((topics) => void (page = topics));
    } else page = listed;
    if (store.prepare) {
      yield Promise.all(page.map(({ name }) => prepare(name, isFresh)));
    }
    for (const stored of page) {
      const topic = known(stored.name) ??
        (store.prepare ? fetched(store, stored.name) : stored);
      if (topic) yield topic;
    }
    if (page.length < limit) return;
    last = page.at(-1)!.name; // a page that is gone on from has topics
  }
}

/** Returns a topic as it is once it was prepared. */
function fetched(store: Store, name: string): StoredTopic | undefined {
  using log = store.find(name);
  return log && describeLog(name, log);
}
