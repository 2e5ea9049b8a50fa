import type { Clock } from "../../src/fetch/clock.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { Log } from "./log.ts";

/** How a topic may end (protocol, section 1). */
export type EndStatus =
  | "complete"
  | "failed"
  | "truncated"
  | "cancelled"
  | "expired";

/** The verdict on a stream, and the entry that closes its log. */
export interface TopicEnd {
  /** How it ended. */
  readonly status: EndStatus;
  /** Why, in words, where there is more to say than the status. */
  readonly reason?: string;
}

/** Where a topic is in its life. */
export type TopicState =
  | { readonly kind: "pending" }
  | { readonly kind: "open" }
  | { readonly kind: "ended"; readonly end: TopicEnd; readonly at: number };

/** Somebody who wants to know that a topic has something new. */
export interface TopicObserver {
  /** Called after each append and each change of state; must not throw. */
  changed(topic: Topic): void;
}

/** An append or a change of state was asked of a topic that has ended. */
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

/** A named log with a life: pending, open, ended with a verdict. */
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
   * Adds events, one at least; resolves when the log holds what it promises.
   *
   * @returns The offset of the first of them.
   * @throws {TopicEndedError} If the topic has ended.
   */
  append(events: readonly ServerSentEvent[]): number | Promise<number> {
    if (this.#state.kind === "ended") {
      throw new TopicEndedError(this.name, this.#state.end);
    }
    const first = this.log.append(events);
    return first instanceof Promise
      ? first.then((first) => this.#appended(first))
      : this.#appended(first);
  }

  /**
   * Ends the topic. The first verdict stands: a later one changes nothing.
   *
   * @returns Whether this call ended it.
   */
  end(status: EndStatus, reason?: string): boolean {
    if (this.#state.kind === "ended") return false;
    const end = { status, ...(reason !== undefined && { reason }) };
    this.#state = { kind: "ended", end, at: this.#clock.now() };
    this.#ended.resolve(end);
    this.#notify();
    return true;
  }

  /**
   * Counts a subscription as following this topic.
   *
   * @returns Counts it off again; to be called once.
   */
  follow(): () => void {
    this.#followers++;
    return () => {
      this.#followers--;
      this.#idleSince = this.#clock.now();
    };
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

  #appended(first: number): number {
    if (this.#state.kind === "pending") this.#state = { kind: "open" };
    this.#notify();
    return first;
  }

  #notify(): void {
    for (const observer of this.#observers) observer.changed(this);
  }
}
