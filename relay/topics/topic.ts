import type { Clock } from "../../src/fetch/clock.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { Appended, GapReason, Log } from "./log.ts";

/**
 * The end status of a topic (PROTOCOL.md, section 1). `complete`: the upstream
 * said that it was done. `failed`: the upstream said that it failed, or could not
 * be reached. `truncated`: the connection died before the upstream said either.
 * The others are `cancelled` and `expired`.
 *
 * @example One of five
 * ```ts
 * import type { EndStatus } from "@rivulet/rivulet/relay";
 *
 * const status: EndStatus = "truncated";
 * ```
 */
export type EndStatus =
  | "complete"
  | "failed"
  | "truncated"
  | "cancelled"
  | "expired";

/** Every end status. */
export const END_STATUSES = [
  "complete",
  "failed",
  "truncated",
  "cancelled",
  "expired",
] as const satisfies readonly EndStatus[];

/**
 * The verdict on a stream, and the entry that closes its log.
 *
 * @example A verdict with a reason
 * ```ts
 * import type { TopicEnd } from "@rivulet/rivulet/relay";
 *
 * const end: TopicEnd = { status: "failed", reason: "out of tokens" };
 * ```
 */
export interface TopicEnd {
  /** How it ended. */
  readonly status: EndStatus;
  /** Why, in words, where there is more to say than the status. */
  readonly reason?: string;
}

/**
 * Where a topic is in its life.
 *
 * @example Say how it ended
 * ```ts
 * import type { TopicState } from "@rivulet/rivulet/relay";
 *
 * function describe(state: TopicState): string {
 *   return state.kind === "ended" ? state.end.status : state.kind;
 * }
 * describe({ kind: "pending" });
 * ```
 */
export type TopicState =
  | { readonly kind: "pending" }
  | { readonly kind: "open" }
  | { readonly kind: "ended"; readonly end: TopicEnd; readonly at: number };

/**
 * The state of a topic's upstream (PROTOCOL.md, section 2, `upstream`). `open`: it
 * is connected. `retrying`: it waits before it connects again. `connecting`: it
 * connects again. `lost`: it has given up, and the topic ends.
 *
 * @example Attempt 2, in a second, after a status of 503
 * ```ts
 * import type { UpstreamState } from "@rivulet/rivulet/relay";
 *
 * const upstream: UpstreamState = {
 *   state: "retrying",
 *   status: 503,
 *   attempt: 2,
 *   retryIn: 1_000,
 * };
 * ```
 */
export interface UpstreamState {
  /** What it does. */
  readonly state: "connecting" | "open" | "retrying" | "lost";
  /** The status that it has answered with, if that is what went wrong. */
  readonly status?: number;
  /** Which attempt in a row is or will be made: 2 after a first failure. */
  readonly attempt?: number;
  /** In how many milliseconds it will be made. */
  readonly retryIn?: number;
}

/** Somebody who wants to know that a topic has something new. */
export interface TopicObserver {
  /**
   * Called after each append, with what it has added, and after each change of
   * state, or of the upstream's; must not throw.
   */
  changed(topic: Topic, appended?: Appended): void;
  /**
   * Called after each append: resolves once more should be added, for an observer
   * that cannot keep up; must not reject.
   */
  caughtUp?(topic: Topic): Promise<void> | undefined;
}

/**
 * Events were to be added to a topic that has ended.
 *
 * @example Nothing follows an end
 * ```ts
 * import { createRelay, TopicEndedError } from "@rivulet/rivulet/relay";
 * import { assertThrows } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const topic = relay.topics.create("t");
 * topic.end("complete");
 * assertThrows(
 *   () => topic.append([{ event: "message", data: "late", id: "" }]),
 *   TopicEndedError,
 * );
 * ```
 */
export class TopicEndedError extends Error {
  /** What happened, for programs. */
  readonly code = "topic_ended";
  /** The topic. */
  readonly topic: string;
  /** How it ended. */
  readonly end: TopicEnd;

  /** Names the topic and its end. */
  constructor(topic: string, end: TopicEnd) {
    super(
      `Cannot add to topic '${topic}' as it has ended: ${end.status}. ` +
        "Publish to a topic of another name, or delete this one first.",
    );
    this.name = "TopicEndedError";
    this.topic = topic;
    this.end = end;
  }
}

/** The largest offset to which a hole may lead: clients read 15 digits. */
const MAX_OFFSET = 10 ** 14;

const LINE_END = /[\r\n]/;

/**
 * An event to append: as little as its data.
 *
 * @example A word
 * ```ts
 * import { createRelay, type EventInput } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const event: EventInput = { data: "hello" };
 * assertEquals(await relay.topics.create("t").append([event]), 1);
 * ```
 */
export interface EventInput {
  /** The data, without CR. */
  readonly data: string;
  /**
   * The type.
   *
   * @default {"message"}
   */
  readonly event?: string | undefined;
  /**
   * The upstream's own id.
   *
   * @default {""}
   */
  readonly id?: string | undefined;
}

const STATUSES: ReadonlySet<unknown> = new Set(END_STATUSES);

/** Programs without types append what they like. */
function completeEvent(event: EventInput, index: number): ServerSentEvent {
  const given: unknown = event;
  if (typeof given !== "object" || given === null) {
    throw notAnEvent(index, `got ${kindOf(given)}`);
  }
  for (const name of Object.keys(given)) {
    if (name === "data" || name === "event" || name === "id") continue;
    throw notAnEvent(index, `got another field, ${JSON.stringify(name)}`);
  }
  const { data, event: type, id } = event;
  for (const [name, value] of [["event", type], ["id", id]] as const) {
    if (value !== undefined && typeof value !== "string") {
      throw notAnEvent(index, `'${name}' is ${kindOf(value)}`);
    }
  }
  if (typeof data !== "string") {
    throw notAnEvent(index, `'data' is ${kindOf(data)}`);
  }
  return { event: type || "message", data, id: id ?? "" };
}

function kindOf(value: unknown): string {
  return value === null
    ? "null"
    : Array.isArray(value)
    ? "an array"
    : typeof value;
}

function notAnEvent(index: number, got: string): TypeError {
  return new TypeError(
    `Cannot append: expected events such as { data: "hello" }, with 'event' and 'id' as strings if there are any; of event ${index}, ${got}`,
  );
}

function isEvent(event: EventInput | null): event is ServerSentEvent {
  return typeof event?.event === "string" && event.event !== "" &&
    typeof event.data === "string" && typeof event.id === "string";
}

/** What cannot be written as lines of an event stream would be another event there. */
function assertLines({ event, data, id }: ServerSentEvent): void {
  const wrong = LINE_END.test(event)
    ? "event"
    : LINE_END.test(id)
    ? "id"
    : data.includes("\r")
    ? "data"
    : undefined;
  if (wrong === undefined) return;
  throw new TypeError(
    `Cannot add the event as '${wrong}' must not contain ${
      wrong === "data" ? "CR" : "CR or LF"
    }`,
  );
}

/** Returns the same events if they are complete, as those of sources are. */
function completeEvents(
  given: readonly EventInput[],
): readonly ServerSentEvent[] {
  if (!Array.isArray(given) || given.length === 0) {
    throw new TypeError(
      `Cannot append: expected an array of one event or more, got ${
        Array.isArray(given) ? "an empty one" : kindOf(given)
      }`,
    );
  }
  return given.every(isEvent) ? given : given.map(completeEvent);
}

/** A named log with a life: for the engine, the doors and the sources too. */
export class Topic {
  /** The name that subscribers ask for. */
  readonly name: string;
  /** The events. */
  readonly log: Log;
  /** What fills it, in words that are safe to show: a URL without its secrets, a file's name. */
  source: string | undefined;
  /** Where a subscription begins that names no position. */
  from: "start" | "now" = "start";
  readonly #clock: Clock;
  readonly #observers = new Set<TopicObserver>();
  readonly #ended: PromiseWithResolvers<TopicEnd> = Promise.withResolvers();
  #state: TopicState = { kind: "pending" };
  #isWhole = false;
  #upstream: UpstreamState | undefined;
  #upstreamVersion = 0;
  #followers = 0;
  #idleSince: number;

  /** Makes a pending topic. */
  constructor(name: string, log: Log, clock: Clock) {
    this.name = name;
    this.log = log;
    this.#clock = clock;
    this.#idleSince = clock.now();
  }

  /** How many subscriptions follow it. */
  get followers(): number {
    return this.#followers;
  }

  /** Since when nobody has followed it, in milliseconds since the epoch; `undefined` while somebody does. */
  get idleSince(): number | undefined {
    return this.#followers === 0 ? this.#idleSince : undefined;
  }

  /** Where the topic is in its life. */
  get state(): TopicState {
    return this.#state;
  }

  /**
   * Whether the topic has ended with all that its upstream had to say. Readers who
   * are not told the end must not take another topic for whole.
   */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** How its upstream is, as far as that was told. */
  get upstream(): UpstreamState | undefined {
    return this.#upstream;
  }

  /** How often that has changed: who remembers it knows whether there is news. */
  get upstreamVersion(): number {
    return this.#upstreamVersion;
  }

  /** Resolves when the topic has ended. */
  get ended(): Promise<TopicEnd> {
    return this.#ended.promise;
  }

  /** Says that the source is there, before its first event. */
  open(): void {
    if (this.#state.kind !== "pending") return;
    this.#state = { kind: "open" };
    this.#notify();
  }

  /**
   * Says how the upstream is. Only the latest is kept, for those who follow; a
   * topic that has ended has none any more.
   */
  setUpstream(upstream: UpstreamState): void {
    if (this.#state.kind === "ended") return;
    this.#upstream = upstream;
    this.#upstreamVersion++;
    this.#notify();
  }

  /**
   * Adds events, one at least; resolves when the log holds what it promises, and
   * more may be added without outrunning those who read.
   *
   * @returns The offset of the first of them.
   * @throws {TopicEndedError} If the topic has ended.
   * @throws {TypeError} If there is no event, or one is not as {@linkcode EventInput}
   * has it, or a name or an id has a CR or an LF, or data a CR.
   */
  append(given: readonly EventInput[]): number | Promise<number> {
    const events = completeEvents(given);
    if (this.#state.kind === "ended") {
      throw new TopicEndedError(this.name, this.#state.end);
    }
    for (const event of events) assertLines(event);
    const appended = this.log.append(events);
    return appended instanceof Promise
      ? appended.then((appended) => this.#appended(appended))
      : this.#appended(appended);
  }

  /**
   * Leaves out events that the upstream no longer has: whoever reads past them is
   * told so. Changes nothing if the topic has ended.
   *
   * @param count The number of events; at least one.
   * @param reason The reason why they are missing.
   */
  skip(count: number, reason: GapReason): void {
    if (this.#state.kind === "ended") return;
    // Whatever an upstream claims: there have to be offsets left for events.
    const isPossible = count <= MAX_OFFSET - this.log.next;
    this.log.skip?.(isPossible ? count : 1, reason);
    this.#notify();
  }

  /**
   * Ends the topic. The first verdict stands: a later one changes nothing.
   *
   * @param status The verdict.
   * @param reason The reason in words.
   * @param isWhole Whether the events are all that the upstream had to say. Default:
   * if the topic is `complete`.
   * @returns Whether this call ended it.
   */
  end(
    status: EndStatus,
    reason?: string,
    isWhole = status === "complete",
  ): boolean {
    if (!STATUSES.has(status)) {
      throw new TypeError(
        `Cannot end topic '${this.name}': expected a status of ${
          END_STATUSES.join(", ")
        }, got ${typeof status === "string" ? `'${status}'` : kindOf(status)}`,
      );
    }
    if (this.#state.kind === "ended") return false;
    this.#isWhole = isWhole;
    const end = { status, ...(reason !== undefined && { reason }) };
    this.#state = { kind: "ended", end, at: this.#clock.now() };
    this.#ended.resolve(end);
    this.#notify();
    return true;
  }

  /** Counts a subscription as following this topic. */
  follow(): void {
    this.#followers++;
  }

  /** Counts it off again; to be called once for each {@linkcode follow}. */
  unfollow(): void {
    this.#followers--;
    this.#idleSince = this.#clock.now();
  }

  /**
   * Tells an observer of every change from now on.
   *
   * @returns Stops that.
   */
  observe(observer: TopicObserver): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  #appended(appended: Appended): number | Promise<number> {
    if (this.#state.kind === "pending") this.#state = { kind: "open" };
    this.#notify(appended);
    const { first } = appended;
    const waits: Promise<void>[] = [];
    for (const observer of this.#observers) {
      const wait = observer.caughtUp?.(this);
      if (wait) waits.push(wait);
    }
    return waits.length > 0 ? Promise.all(waits).then(() => first) : first;
  }

  #notify(appended?: Appended): void {
    for (const observer of this.#observers) observer.changed(this, appended);
  }
}
