import type { Clock } from "../../src/fetch/clock.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import {
  END_STATUSES,
  type EndStatus,
  type StoredEnd,
  type TopicEnd,
} from "./end.ts";
import { type RunFacts, storedRun } from "./run_facts.ts";
import { type Lease, LeaseLostError } from "./lease.ts";
import { StaleWriterError, StoreError } from "./store.ts";
import type { FilledBy } from "./topic_source.ts";
import { assertLines } from "./event_lines.ts";
import {
  type Appended,
  type GapReason,
  type Log,
  type LogAppendOptions,
  type LogProgress,
  MAX_OFFSET,
  type TopicFacts,
} from "./log.ts";
import type { UpstreamState } from "./upstream_state.ts";

/**
 * The state of a topic.
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

/** Somebody who wants to know that a topic has something new. */
export interface TopicObserver {
  /**
   * Called after each append, with what it has added, and after each change of
   * state, or of the upstream's; must not throw.
   */
  changed(topic: Topic, appended?: Appended): void;
  /**
   * Resolves once more should be added, for an observer that cannot keep up;
   * `undefined` if it can. Must not reject.
   */
  caughtUp?(topic: Topic): Promise<void> | undefined;
}

/**
 * A topic takes no more events because it has ended.
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
  /** The error's code, for programs. */
  readonly code = "topic_ended";
  /** The topic. */
  readonly topic: string;
  /** The end of the topic. */
  readonly end: TopicEnd;

  /** Names the topic and its end. */
  constructor(topic: string, { status, reason }: TopicEnd) {
    const end = { status, ...(reason !== undefined && { reason }) };
    super(
      `Cannot add to topic '${topic}' as it has ended: ${end.status}. ` +
        "Publish to a topic of another name, or delete this one first.",
    );
    this.name = "TopicEndedError";
    this.topic = topic;
    this.end = end;
  }
}

/** The filler of a topic, which changes its facts and ends it with its lease. */
export interface Ender {
  /** The lease on the topic, if it is there. */
  readonly lease: Lease | undefined;
  /** Called when the log has refused facts or the end, since another filler has the lease. */
  lose(): void;
}

/** The places of readers of a topic, which is told of them once. */
export interface ReaderPlaces {
  /** The offset of the reader that is furthest behind; `Infinity` if there is no reader. */
  readonly first: number;
}

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

/**
 * The limits for appended events that the log does not keep yet. Writers wait
 * beyond it.
 */
const MAX_UNKEPT = { events: 1_024, units: 256 * 1024 };

/** A named log with a life: for the engine, the doors and the sources too. */
export class Topic {
  /** The name that subscribers ask for. */
  readonly name: string;
  /** The events. */
  readonly log: Log;
  readonly #clock: Clock;
  readonly #observers = new Set<TopicObserver>();
  #ended: PromiseWithResolvers<TopicEnd> = Promise.withResolvers();
  #state: TopicState = { kind: "pending" };
  /** The facts as last set, which the log may not keep yet. */
  #facts: TopicFacts;
  /** The verdict, which stands before the log keeps it. */
  #verdict: StoredEnd | undefined;
  #endFailure: StoreError | undefined;
  /** The filler whose verdict it is, until the log keeps it. */
  #ender: Ender | undefined;
  /** The filler here, which the facts are of: one that has lost its lease, too. */
  #filler: Ender | undefined;
  /** Resolves once the log has kept or refused the verdict. */
  #ending: PromiseWithResolvers<void> | undefined;
  #hasUnkeptFacts = false;
  /** The facts that were changed since the log was told of them. */
  #changes: Partial<TopicFacts> = {};
  /** The changes of which the log was told, and which it does not keep yet, in order. */
  readonly #keeping: Partial<TopicFacts>[] = [];
  /**
   * The numbers of events, and of UTF-16 code units, appended and not kept yet.
   */
  #unkeptEvents = 0;
  #unkeptUnits = 0;
  /** The offset after what is under way. */
  #tail = 1;
  /** The offset after those that the observers were told of. */
  #told = 1;
  /** Resolves when there is room for more that is not kept. */
  #room: PromiseWithResolvers<void> | undefined;
  #isLost = false;
  /** Whether those who read it here are waited for, to tell the log of them. */
  #isBehind = false;
  #upstream: UpstreamState | undefined;
  #upstreamVersion = 0;
  /**
   * The facts of its run as this relay has them. The log has them as of the
   * last change of the topic's facts.
   */
  #run: RunFacts | undefined;
  /** Called before the topic ends, by whomever: its run says what is known of it. */
  onEnding: () => void = () => {};
  #followers = 0;
  /** The places of those who follow; most topics have one format of them, or none. */
  #places: ReaderPlaces[] | undefined;
  #idleSince: number;

  /** Makes a topic of a log: pending, unless the log knows better. */
  constructor(name: string, log: Log, clock: Clock) {
    this.name = name;
    this.log = log;
    this.#clock = clock;
    this.#idleSince = clock.now();
    const { ended, facts } = log;
    this.#facts = facts;
    this.#told = log.next;
    if (!ended) log.taken?.(log.next);
    if (ended) {
      this.#verdict = ended;
      this.#conclude(ended);
    } else if (facts.isOpen || log.next > 1) this.#state = { kind: "open" };
  }

  /**
   * The source of the topic, in words that are safe to show: a URL without its
   * secrets, or the name of a file.
   */
  get source(): string | undefined {
    return this.#facts.source;
  }

  set source(source: string | undefined) {
    this.#update({ source });
  }

  /** The same as data. */
  get filledBy(): FilledBy | undefined {
    return this.#facts.filledBy;
  }

  /** Says what fills it: in words, as data, and for whoever goes on with it. */
  fillBy(facts: Pick<TopicFacts, "source" | "filledBy" | "filling">): void {
    this.#update(facts);
  }

  /**
   * The facts of the run that fills it, or has filled it. Whether the caller is
   * connected is known of a run of this relay alone.
   */
  get run(): RunFacts | undefined {
    if (this.#run) return this.#run;
    const { run } = this.#facts;
    return run && storedRun(run);
  }

  /**
   * Says what is known of the run now. Nobody is told of that, and the log keeps it
   * with the next change of the facts, and with the end: runs change often.
   */
  set run(run: RunFacts | undefined) {
    this.#run = run;
  }

  /** The place at which a subscription without a position begins. */
  get from(): "start" | "now" {
    return this.#facts.from ?? "start";
  }

  set from(from: "start" | "now") {
    this.#update({ from: from === "now" ? from : undefined });
  }

  /** The owner of the topic: the subject of a token. */
  set owner(owner: string | undefined) {
    this.#update({ owner });
  }

  /**
   * Whether the topic is there only because somebody has asked for it, as this relay has
   * said, or the log if this relay has said nothing since.
   */
  get isAwaited(): boolean {
    return this.#withOwnChanges(this.log.facts).isAwaited === true;
  }

  set isAwaited(isAwaited: boolean) {
    this.#update({ isAwaited: isAwaited || undefined });
  }

  /**
   * The way to go on filling the topic after a restart, in the words of its
   * filler.
   */
  get filling(): string | undefined {
    return this.#facts.filling;
  }

  set filling(filling: string | undefined) {
    this.#update({ filling });
  }

  /** Says who fills it here, with a lease: the facts are theirs from now on. */
  isFilledBy(filler: Ender): void {
    this.#filler = filler;
  }

  /** Takes note that a filler has given its lease up. */
  isLeftBy(filler: Ender): void {
    if (this.#filler === filler) this.#filler = undefined;
  }

  /** The epoch of the log that had the name before, if the topic was renewed. */
  get follows(): string | undefined {
    return this.#facts.follows;
  }

  /** The number of subscriptions that follow it. */
  get followers(): number {
    return this.#followers;
  }

  /**
   * The number of events that the slowest of these has not been given yet; `undefined`
   * if nobody follows.
   */
  get lag(): number | undefined {
    if (this.#followers === 0 || !this.#places) return undefined;
    const { next } = this.log;
    return this.#places.reduce(
      (most, { first }) => Math.max(most, next - first),
      0,
    );
  }

  /** Takes note of the places of readers, for as long as there is the topic. */
  isReadFrom(places: ReaderPlaces): void {
    (this.#places ??= []).push(places);
  }

  /**
   * The time since which nobody has followed it, in milliseconds since the
   * epoch; `undefined` while somebody does.
   */
  get idleSince(): number | undefined {
    return this.#followers === 0 ? this.#idleSince : undefined;
  }

  /** The state of the topic, as far as the log keeps it. */
  get state(): TopicState {
    return this.#state;
  }

  /** The end as it was said: nothing can be added any more, though the log may not keep it yet. */
  get verdict(): TopicEnd | undefined {
    return this.#verdict;
  }

  /**
   * Whether the topic has ended with all that its upstream had to say. Readers who
   * are not told the end must not take another topic for whole.
   */
  get isWhole(): boolean {
    return this.#state.kind === "ended" && this.#verdict?.isWhole === true;
  }

  /** The state of its upstream, if one was reported. */
  get upstream(): UpstreamState | undefined {
    return this.#upstream;
  }

  /**
   * The number of changes of that state. Whoever remembers it can tell whether
   * there is news.
   */
  get upstreamVersion(): number {
    return this.#upstreamVersion;
  }

  /** Resolves when the topic has ended. */
  get ended(): Promise<TopicEnd> {
    return this.#ended.promise;
  }

  /**
   * Resolves once more may be added without outrunning those who read, or the log;
   * `undefined` if that is now.
   */
  get ready(): Promise<void> | undefined {
    let waits = this.#observersBehind();
    const { caughtUp } = this.log;
    if (caughtUp) (waits ??= []).push(caughtUp);
    if (this.#hasTooMuchUnkept) {
      this.#room ??= Promise.withResolvers();
      (waits ??= []).push(this.#room.promise);
    }
    return waits && Promise.all(waits).then(() => {});
  }

  /** The offset that the next events to be added will have, once all that is under way is kept. */
  get tail(): number {
    return this.#unkeptEvents === 0 ? this.log.next : this.#tail;
  }

  /** Says that the source is there, before its first event. */
  open(): void {
    if (this.#verdict || this.#state.kind !== "pending") return;
    this.#state = { kind: "open" };
    this.#update({ isOpen: true });
    this.#notify();
  }

  /**
   * Says how the upstream is. Only the latest is kept, for those who follow; a
   * topic that has ended has none any more.
   */
  setUpstream(upstream: UpstreamState): void {
    if (this.#verdict) return;
    this.log.tellUpstream?.(upstream);
    this.#setUpstream(upstream);
  }

  /**
   * Adds events, one at least; many may be under way. Whoever adds more waits for
   * {@linkcode ready} in between.
   *
   * @returns The offset of the first of them, once the log keeps them.
   * @throws {TopicEndedError} If the topic has ended.
   * @throws {TypeError} If there is no event, or one is not as {@linkcode EventInput}
   * has it, or a name or an id has a CR or an LF, or data a CR.
   */
  append(
    given: readonly EventInput[],
    options?: LogAppendOptions,
  ): number | Promise<number> {
    const events = completeEvents(given);
    if (this.#verdict) throw new TopicEndedError(this.name, this.#verdict);
    for (const event of events) assertLines(event);
    // With events and without the facts, nobody would know what fills the topic.
    if (this.#hasUnkeptFacts) this.#keepFacts();
    const appended = this.log.append(events, options);
    return appended instanceof Promise
      ? this.#keep(events, appended)
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
    if (this.#verdict) return;
    // Whatever an upstream claims: there have to be offsets left for events.
    const isPossible = count <= MAX_OFFSET - this.log.next;
    const skipped = this.log.skip?.(isPossible ? count : 1, reason);
    whenDone(skipped, () => this.#notify());
  }

  /**
   * Ends the topic, after all that was added to it. The first verdict stands: a later
   * one changes nothing.
   *
   * @param status The verdict.
   * @param reason The reason in words.
   * @param isWhole Whether the events are all that the upstream had to say. Default:
   * if the topic is `complete`.
   * @param ender The filler that ends it. If another one has its lease, the topic goes on.
   * Default: anybody may end it.
   * @returns Whether this call ended it, as far as is known by then.
   */
  end(
    status: EndStatus,
    reason?: string,
    isWhole = status === "complete",
    ender?: Ender,
  ): boolean {
    if (!STATUSES.has(status)) {
      throw new TypeError(
        `Cannot end topic '${this.name}': expected a status of ${
          END_STATUSES.join(", ")
        }, got ${typeof status === "string" ? `'${status}'` : kindOf(status)}`,
      );
    }
    if (this.#verdict) return false;
    this.onEnding();
    const end = this.#verdict = {
      status,
      ...(reason !== undefined && { reason }),
      isWhole,
      at: this.#clock.now(),
    };
    // After the end, nothing more is said of the run to others.
    if (this.#run && this.#run !== this.#facts.run) this.#update({});
    this.#ender = ender;
    whenDone(this.#keepEnd(end), () => {
      // Another filler has the topic, or another end was first.
      if (this.#verdict !== end) return;
      if (this.#endFailure && this.log.isShared) {
        // Subscribers are told where it has ended once the store says so.
        this.#ended.resolve(toldEnd(end));
      } else this.#concludeKept(end);
    });
    return this.#verdict === end;
  }

  /**
   * Resolves once the log has kept or refused the end that a filler has said: until then,
   * the filler needs its lease. `undefined` if it has said none, or that was done.
   *
   * @param ender The filler.
   */
  ending(ender: Ender): Promise<void> | undefined {
    if (this.#ender !== ender || !this.#verdict) return undefined;
    return (this.#ending ??= Promise.withResolvers()).promise;
  }

  /** Has the log not keep the end again that it could not keep: nothing here has the topic any more. */
  forgetEnd(): void {
    this.#ender = undefined;
    this.#ending?.resolve();
    this.#ending = undefined;
  }

  /** Takes over an end that the log has, and that is about to be told. */
  catchUp(): void {
    const { ended: end, next } = this.log;
    if (!end || this.#verdict || this.#state.kind === "ended") return;
    this.takeOver({ kind: "ended", next, end });
  }

  /** Takes over what others have done to the log: appended to it, changed its facts, told of its upstream, ended it. */
  takeOver(progress: Exclude<LogProgress, { kind: "deleted" | "lost" }>): void {
    if (this.#state.kind === "ended") return;
    if (progress.kind === "upstream") {
      // This relay's own reports are known already.
      if (progress.upstream === this.#upstream || this.#verdict) return;
      return this.#setUpstream(progress.upstream);
    }
    if (progress.kind === "ended") {
      this.#verdict = progress.end;
      // The last facts of a run come with the end, and are told by nothing else.
      this.#facts = this.log.facts;
      this.#conclude(progress.end);
    } else {
      // This relay's own appends were reported already.
      const { next } = progress;
      const facts = this.#withOwnChanges(this.log.facts);
      const first = this.#told;
      if (next <= first && facts === this.#facts) return;
      this.#told = next;
      this.#facts = facts;
      if ((facts.isOpen || next > 1) && this.#state.kind === "pending") {
        this.#state = { kind: "open" };
      }
      if (next > first) return this.#notify(this.#estimate(first, next));
    }
    this.#notify();
  }

  /** Whether its log is there no more: who reads it has to look for another one. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /**
   * Its log is there no more: nobody can go on with it.
   *
   * @param reason The reason, for what fills it.
   */
  lose(reason: string): void {
    this.#isLost = true;
    this.#notify();
    this.end("cancelled", reason);
  }

  /** Whether the store keeps all that was said. */
  get isSettled(): boolean {
    return this.#unkeptEvents === 0 && !this.#hasUnkeptFacts &&
      this.#endFailure === undefined && !this.#verdict === !this.log.ended;
  }

  /**
   * The reason why the store could not keep the end, which was reported all the
   * same unless other relays share the store.
   */
  get endFailure(): StoreError | undefined {
    return this.#endFailure;
  }

  /** Has the store keep an end or facts that it could not keep before. */
  keepAgain(): void {
    if (this.#hasUnkeptFacts) this.#keepFacts();
    if (this.#endFailure && this.#verdict) void this.#keepEnd(this.#verdict);
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

  get #hasTooMuchUnkept(): boolean {
    return this.#unkeptEvents >= MAX_UNKEPT.events ||
      this.#unkeptUnits >= MAX_UNKEPT.units;
  }

  #keepEnd(end: StoredEnd): void | Promise<void> {
    let kept: void | Promise<void>;
    try {
      kept = this.log.end(end, { lease: this.#ender?.lease });
    } catch (error) {
      return this.#onEndRefused(end, error);
    }
    if (!kept) return this.#onEndKept(end);
    return kept.then(
      () => this.#onEndKept(end),
      (error) => this.#onEndRefused(end, error),
    );
  }

  #onEndKept(end: StoredEnd): void {
    const wasFailing = this.#endFailure !== undefined;
    this.#endFailure = undefined;
    this.forgetEnd();
    if (wasFailing) this.#concludeKept(end);
  }

  #onEndRefused(end: StoredEnd, error: unknown): void {
    const wasFailing = this.#endFailure !== undefined;
    // One that came second is another relay's business.
    this.#endFailure = error instanceof StoreError ? error : undefined;
    if (this.#endFailure) return;
    const ender = this.#ender;
    const isAnothers = error instanceof LeaseLostError &&
      this.#state.kind !== "ended" && this.#verdict === end;
    if (isAnothers) {
      // Another filler has the topic, which goes on.
      this.#verdict = undefined;
      if (wasFailing) this.#ended = Promise.withResolvers();
    }
    this.forgetEnd();
    if (error instanceof LeaseLostError) ender?.lose();
  }

  #setUpstream(upstream: UpstreamState): void {
    this.#upstream = upstream;
    this.#upstreamVersion++;
    this.#notify();
  }

  /** Ends with what the log keeps: a verdict is told although a private store cannot keep it. */
  #concludeKept(end: StoredEnd): void {
    if (this.#state.kind === "ended") return;
    // Of two relays that have ended it, one was first.
    this.#conclude(this.log.ended ?? end);
    this.#notify();
  }

  #conclude(stored: StoredEnd): void {
    const end = toldEnd(stored);
    this.#state = { kind: "ended", end, at: stored.at };
    this.#ended.resolve(end);
  }

  #update(facts: Partial<TopicFacts>): void {
    const changes = { ...(this.#run && { run: this.#run }), ...facts };
    this.#facts = { ...this.#facts, ...changes };
    this.#changes = { ...this.#changes, ...changes };
    this.#keepFacts();
  }

  #keepFacts(): void {
    this.#hasUnkeptFacts = false;
    const filler = this.#filler;
    const changes = this.#changes;
    this.#changes = {};
    const refused = (error: unknown): void =>
      this.#onFactsRefused(error, changes, filler);
    try {
      const kept = this.log.update(this.#facts, {
        lease: filler?.lease,
        changes,
      });
      if (!kept) return;
      const keeping = this.#keeping;
      keeping.push(changes);
      const settled = (): void =>
        void keeping.splice(keeping.indexOf(changes), 1);
      kept.then(settled, (error) => {
        settled();
        refused(error);
      });
    } catch (error) {
      refused(error);
    }
  }

  /**
   * Returns facts of the log with the changes that it does not keep yet: the next change
   * is one of all facts.
   */
  #withOwnChanges(facts: TopicFacts): TopicFacts {
    if (this.#keeping.length === 0 && !this.#hasUnkeptFacts) return facts;
    return Object.assign({ ...facts }, ...this.#keeping, this.#changes);
  }

  #onFactsRefused(
    error: unknown,
    changes: Partial<TopicFacts>,
    filler: Ender | undefined,
  ): void {
    if (error instanceof StoreError) {
      this.#hasUnkeptFacts = true;
      this.#changes = { ...changes, ...this.#changes };
    }
    if (!(error instanceof LeaseLostError)) return;
    // Another filler has the topic, and says what is known of it.
    this.#facts = this.log.facts;
    filler?.lose();
  }

  async #keep(
    events: readonly ServerSentEvent[],
    appended: Promise<Appended>,
  ): Promise<number> {
    let units = 0;
    for (const { event, data, id } of events) {
      units += event.length + data.length + id.length;
    }
    this.#tail = this.tail + events.length;
    this.#unkeptEvents += events.length;
    this.#unkeptUnits += units;
    try {
      return this.#appended(await appended);
    } catch (error) {
      throw this.#endedElsewhere(error) ?? error;
    } finally {
      this.#unkeptEvents -= events.length;
      this.#unkeptUnits -= units;
      if (!this.#hasTooMuchUnkept) {
        this.#room?.resolve();
        this.#room = undefined;
      }
    }
  }

  /** Another relay has ended the topic, or deleted it: this one has heard of that, or is about to. */
  #endedElsewhere(error: unknown): TopicEndedError | undefined {
    const isOver = error instanceof StaleWriterError &&
      error.next === undefined;
    if (!isOver) return undefined;
    return new TopicEndedError(
      this.name,
      this.#verdict ?? this.log.ended ??
        { status: "cancelled", reason: "The topic was deleted" },
    );
  }

  #appended(appended: Appended): number {
    if (this.#state.kind === "pending") this.#state = { kind: "open" };
    this.#told = appended.first + appended.count;
    this.#notify(appended);
    return appended.first;
  }

  #notify(appended?: Appended): void {
    for (const observer of this.#observers) observer.changed(this, appended);
    if (appended) this.#tellTaken();
  }

  /** Returns what others have appended. Its size is that of as many events that are retained. */
  #estimate(first: number, next: number): Appended {
    const { log } = this;
    const count = next - first;
    const retained = Math.max(1, log.next - log.first);
    return { first, count, bytes: count * log.bytes / retained };
  }

  #observersBehind(): Promise<void>[] | undefined {
    let waits: Promise<void>[] | undefined;
    for (const observer of this.#observers) {
      const wait = observer.caughtUp?.(this);
      if (wait) (waits ??= []).push(wait);
    }
    return waits;
  }

  /** Tells the log how far those are who read it here: others who fill it wait for them. */
  #tellTaken(): void {
    const { log } = this;
    if (!log.taken || this.#isBehind) return;
    const waits = this.#observersBehind();
    if (!waits) return log.taken(this.#told);
    this.#isBehind = true;
    void Promise.all(waits).then(() => {
      this.#isBehind = false;
      this.#tellTaken();
    });
  }
}

function toldEnd({ status, reason }: StoredEnd): TopicEnd {
  return { status, ...(reason !== undefined && { reason }) };
}

/** Goes on at once, or when a store has done what it was told, or could not. */
function whenDone(done: void | Promise<void>, next: () => void): void {
  if (done instanceof Promise) void done.then(next, next);
  else next();
}
