import type { Access } from "../../../rights/access.ts";
import { slices, type Steps } from "../../../slices.ts";
import { type ListedTopic, stageOf } from "../../../topics/listed_topics.ts";
import type { TopicRegistry } from "../../../topics/registry.ts";
import { type Stored, whenStored } from "../../../topics/stored.ts";
import { Topic } from "../../../topics/topic.ts";
import type { Sort, TopicListQuery } from "./topic_query.ts";

/** The numbers of topics among those that a list might have. */
export interface TopicCounts {
  /** Those that wait for an event, whatever else the list asks for. */
  readonly pending: number;
  /** Those that are open. */
  readonly open: number;
  /** Those that have ended. */
  readonly ended: number;
  /** Those that are all that the list asks for. */
  readonly matching: number;
  /** Whether not all topics were looked at, as there are too many to fetch. */
  readonly isPartial?: true;
}

/** The part of a list that was asked for. */
export interface TopicWindow {
  /** The topics, in the order of the list. */
  readonly topics: readonly ListedTopic[];
  /** The `after` of the rest, if there is one. */
  readonly next: string | undefined;
  /** The numbers of topics, if they were asked for. */
  readonly counts: TopicCounts | undefined;
}

/** The topics to look through. */
export interface TopicWindowContext {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** The rights of the caller. */
  readonly access: Access;
  /** The list. */
  readonly query: TopicListQuery;
  /** Whether the topics have to be as any relay has acknowledged. */
  readonly isFresh: boolean;
  /** Returns the events that a topic gets in a second, if that is known. */
  rateOf?(topic: Topic): number | undefined;
}

/** The number of topics that are looked at in a step: some 100 µs. */
const STEP = 128;

/** The most topics that are looked at where each of them has to be fetched. */
const MAX_FETCHED = 10_000;

/** Returns what a topic is sorted by; `undefined` comes last. */
function valueOf(
  topic: ListedTopic,
  by: Sort["by"],
  rateOf: TopicWindowContext["rateOf"],
): string | number | undefined {
  const isLive = topic instanceof Topic;
  const log = isLive ? topic.log : topic;
  switch (by) {
    case "name":
      return topic.name;
    case "created":
      return log.createdAt;
    case "lastEvent":
      return log.lastAt;
    case "bytes":
      return log.bytes;
    case "events":
      return log.next - 1;
    case "followers":
      return isLive ? topic.followers : 0;
    case "lag":
      return isLive ? topic.lag : undefined;
    case "rate":
      return isLive ? rateOf?.(topic) : undefined;
  }
}

/** The first topics of a list, in its order, of however many it has. */
class FirstTopics {
  readonly #most: number;
  readonly #sign: 1 | -1;
  #found: { topic: ListedTopic; value: string | number | undefined }[] = [];
  /** Whether the last of those found has all that may be before it. */
  #isSorted = false;

  /** Begins with none. */
  constructor(most: number, isDescending: boolean) {
    this.#most = most;
    this.#sign = isDescending ? -1 : 1;
  }

  /** Takes a topic, unless there are enough before it. */
  add(topic: ListedTopic, value: string | number | undefined): void {
    const found = this.#found;
    const entry = { topic, value };
    const last = found[this.#most - 1];
    if (this.#isSorted && last && this.#compare(entry, last) > 0) return;
    found.push(entry);
    // Sorted now and then, each topic costs no more than a few comparisons.
    if (found.length >= 2 * this.#most + STEP) this.#cut();
  }

  /** Returns them, without some at the front. */
  after(skip: number): ListedTopic[] {
    this.#cut();
    return this.#found.slice(skip).map(({ topic }) => topic);
  }

  #cut(): void {
    this.#found.sort(this.#compare);
    this.#found.length = Math.min(this.#found.length, this.#most);
    this.#isSorted = true;
  }

  readonly #compare = (
    a: { topic: ListedTopic; value: string | number | undefined },
    b: { topic: ListedTopic; value: string | number | undefined },
  ): number => {
    if (a.value !== b.value) {
      if (a.value === undefined) return 1;
      if (b.value === undefined) return -1;
      return a.value < b.value ? -this.#sign : this.#sign;
    }
    return a.topic.name < b.topic.name ? -1 : 1;
  };
}

/** Whether a topic is of a kind that a list asks for, whatever its state. */
function isOfList(
  topic: ListedTopic,
  { search, source, provider }: TopicListQuery,
): boolean {
  if (search && !topic.name.toLowerCase().includes(search)) return false;
  if (source === undefined && provider === undefined) return true;
  const { filledBy } = topic instanceof Topic ? topic : topic.facts;
  if (source !== undefined && (filledBy?.kind ?? "none") !== source) {
    return false;
  }
  return provider === undefined ||
    filledBy?.kind === "run" && filledBy.provider === provider;
}

function endOf(topic: ListedTopic): string | undefined {
  if (!(topic instanceof Topic)) return topic.end?.status;
  return topic.state.kind === "ended" ? topic.state.end.status : undefined;
}

/**
 * Looks for the topics of a list.
 *
 * @returns Yields where others may have their turn, and a promise where the store has to
 * be waited for.
 */
function* lookFor(
  { topics, access, query, isFresh, rateOf }: TopicWindowContext,
): Generator<Promise<unknown> | void, TopicWindow> {
  const { limit, skip, state, status, sort } = query;
  const asked = { ...query, search: query.search.toLowerCase() };
  const isByName = sort.by === "name" && !sort.isDescending;
  const states = { pending: 0, open: 0, ended: 0 };
  const inOrder: ListedTopic[] = [];
  const first = new FirstTopics(skip + limit, sort.isDescending);
  const most = topics.areFetched ? MAX_FETCHED : Infinity;
  let matching = 0;
  let looked = 0;
  let isPartial = false;
  let next: string | undefined;
  for (const topic of topics.inOrder({ ...query, isFresh })) {
    if (topic instanceof Promise) {
      yield topic;
      continue;
    }
    if (query.isOfOne && topic.name !== query.prefix) break;
    if (++looked % STEP === 0) yield;
    isPartial = looked > most;
    if (isPartial) break;
    if (!access.may("read", topic.name) || !isOfList(topic, asked)) continue;
    const kind = stageOf(topic);
    states[kind]++;
    if (state !== undefined && kind !== state) continue;
    if (status !== undefined && endOf(topic) !== status) continue;
    matching++;
    if (!isByName) first.add(topic, valueOf(topic, sort.by, rateOf));
    else if (matching <= skip) continue;
    else if (inOrder.length < limit) inOrder.push(topic);
    else {
      next = inOrder.at(-1)?.name;
      if (!query.counts) break;
    }
  }
  return {
    topics: isByName ? inOrder : first.after(skip),
    next,
    counts: query.counts
      ? { ...states, matching, ...(isPartial && { isPartial }) }
      : undefined,
  };
}

/**
 * The progress of a look: its result, or the point at which it waits for the
 * store.
 */
type Looked =
  | { readonly window: TopicWindow }
  | { readonly stored: Promise<unknown> };

/** Goes on with a look. */
function* goOn(
  look: ReturnType<typeof lookFor>,
  onTime: (elapsed: number) => void,
): Steps<Looked> {
  for (;;) {
    const start = performance.now();
    const { done, value } = look.next();
    onTime(performance.now() - start);
    if (done) return { window: value };
    if (value instanceof Promise) return { stored: value };
    yield;
  }
}

/** The reader that waits for the topics of a list. */
export interface TopicWindowReader {
  /** The lane of the work among that of the process. */
  readonly lane: string;
  /** Whether it still waits: if not, nothing is answered any more. Default: always. */
  isWaiting?(): boolean;
  /** Is told how long each step of the work took, in milliseconds. Default: nobody is. */
  onTime?(elapsed: number): void;
}

/**
 * Finds the topics of a list that a caller may read: in steps, as there may be 100,000 to
 * be looked at. At once, if they are few and at hand.
 */
export function findWindow(
  context: TopicWindowContext,
  { lane, isWaiting, onTime = () => {} }: TopicWindowReader,
): Stored<TopicWindow> {
  const look = lookFor(context);
  const take = (looked: Looked): Stored<TopicWindow> =>
    "window" in looked ? looked.window : looked.stored.then(run);
  const run = (): Stored<TopicWindow> =>
    whenStored(slices.run(lane, goOn(look, onTime), isWaiting), take);
  return run();
}
