import { STATUS_CODE } from "@std/http/status";
import type { Clock } from "../../src/fetch/clock.ts";
import { wait } from "../../src/fetch/retry.ts";
import { isSecretShape } from "../../src/fetch/secrets/definition.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { RunOutcome } from "../metrics/upstream_metrics.ts";
import { Problem } from "../problem.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import type { TopicEnd } from "../topics/end.ts";
import { LeaseHeldError, LeaseLostError } from "../topics/lease.ts";
import type { Hold } from "../topics/leases.ts";
import type { RunFacts } from "../topics/run_facts.ts";
import type { Topic } from "../topics/topic.ts";
import type { FilledBy } from "../topics/topic_source.ts";
import type { UpstreamState } from "../topics/upstream_state.ts";
import { TopicBusyError } from "../topics/topic_busy_error.ts";
import { type ResponseFilling, writeFilling } from "../topics/filling.ts";
import { StoreError } from "../topics/store.ts";
import { TopicWriter } from "../topics/topic_writer.ts";
import type { HeldTopics } from "./held_topics.ts";
import { outcomeOf, patienceFor, type Refusal } from "./refusal.ts";

/** The parts and settings that the topics of all runs share. */
export interface RunTopicContext {
  /** All topics. */
  readonly topics: TopicRegistry;
  /** The topics of refused runs. */
  readonly held: HeldTopics;
  /** The time after which a run is cancelled that nobody follows and whose caller has left, in milliseconds. */
  readonly idleCancel: number;
  /**
   * Returns for how long nobody has followed a topic at other workers of the relay, in
   * milliseconds. Default: there are none.
   */
  readonly idleElsewhere?: ((topic: Topic) => Promise<number>) | undefined;
  /** The clock. */
  readonly clock: Clock;
  /** Aborted when the relay closes. */
  readonly closing: AbortSignal;
}

/**
 * The filling that the store keeps of most runs: their provider does not go on
 * for another relay.
 */
const LOST = writeFilling({ kind: "lost" });

/** The reason of a topic whose store keeps no more of its run. */
const NOT_KEPT =
  "The relay could not store the rest, which the caller alone has";

/** The topic that a run is to fill. */
export interface RunTopicPlan {
  /** The name of the topic. */
  readonly name: string;
  /** Whether the caller has chosen the name, so that others may know it. */
  readonly isNamed: boolean;
  /** Whether a new epoch of the topic begins if it has ended. */
  readonly renews: boolean;
  /** The owner of the topic: the subject of the caller's token. */
  readonly owner: string | undefined;
  /** The words that say what fills the topic. */
  readonly source: string;
  /** The same as data. */
  readonly filledBy: FilledBy | undefined;
  /** Returns the model that the request names. */
  model(): string | undefined;
  /** Whether the run goes on when its caller leaves. */
  readonly onDisconnect: "continue" | "cancel";
  /**
   * The events that the relay puts before those of the stream, as soon as the topic is
   * there. Default: none.
   */
  readonly opening?: readonly ServerSentEvent[];
}

/** The most retries of a run that are told of: the newest ones. */
const MAX_RETRIES = 5;

/** The longest reason of a retry, in UTF-16 code units: the store may keep it in a header. */
const MAX_REASON = 200;

/**
 * The first thing that becomes of a run: a stream that others can follow, a refusal
 * after which another run may begin, or a cancel after which none may.
 */
export type RunFate = "streaming" | "refused" | "cancelled";

/**
 * The topic of one run, from its name to its end.
 *
 * Only this object makes the topic, ends it while the run goes on, and hears that
 * somebody else has ended it. A topic ends as the run says ({@linkcode conclude},
 * {@linkcode breakOff}, {@linkcode refuse}) or by a cancel from any side: then this object tells the run,
 * which stops. Whichever comes first is the end. Between a refused run and the next
 * one, {@linkcode HeldTopics} has the topic.
 */
export class RunTopic {
  readonly #plan: RunTopicPlan;
  readonly #context: RunTopicContext;
  readonly #fate = Promise.withResolvers<RunFate>();
  /** Whether the topic's end is decided, or another run's business. */
  #isDecided = false;
  /** Stops the wait for followers. */
  #idle: AbortController | undefined;
  #topic: Topic | undefined;
  #writer: TopicWriter | undefined;
  /** The lease on the topic. */
  #hold: Hold | undefined;
  #held: Promise<void> | undefined;
  /** Whether another relay fills the topic: nothing of the run gets there any more. */
  #isLost = false;
  /** The end of a run whose topic is lost: it counts as what its caller has got. */
  #callersEnd: TopicEnd | undefined;
  /** The end that waits until the store has kept what comes before it. */
  #said: TopicEnd | undefined;
  #isStreaming = false;
  /** Whether the topic has what stands before the stream. */
  #hasOpening = false;
  #refusal: Refusal | undefined;
  /** Whether another relay can go on with the run. */
  #canGoOn = false;
  #isLeft = false;
  #isGivenUp = false;
  #onCancelled: () => void = () => {};
  #onEnding: () => void = () => {};
  /** The facts of the run. */
  #facts: RunFacts;

  /** Plans a topic, and makes none. */
  constructor(plan: RunTopicPlan, context: RunTopicContext) {
    this.#plan = plan;
    this.#context = context;
    this.#facts = { askedAt: context.clock.now(), attempts: 0 };
  }

  /** Says what is known of the run now, besides what was said before. */
  tell(told: Partial<RunFacts>): void {
    const before = this.#facts;
    this.#facts = { ...before, ...told };
    const topic = this.#topic;
    // One that waits for the next run may have got it.
    if (topic?.run === before) topic.run = this.#facts;
  }

  /** Says that the provider is asked. */
  tellAttempt(): void {
    this.tell({ attempts: this.#facts.attempts + 1 });
  }

  /** Says that the provider will be asked again, and why. */
  tellRetry(reason: string): void {
    const { retries = [] } = this.#facts;
    const retry = {
      at: this.#context.clock.now(),
      reason: reason.slice(0, MAX_REASON).toWellFormed(),
    };
    this.tell({ retries: [...retries, retry].slice(-MAX_RETRIES) });
  }

  /** Says that the first token has come. */
  tellFirstToken(): void {
    if (this.#facts.firstTokenAfter !== undefined) return;
    const now = this.#context.clock.now();
    this.tell({ firstTokenAfter: now - this.#facts.askedAt });
  }

  /** Says that the caller has been given all that it gets, if it is still there. */
  tellAnswered(): void {
    if (this.#facts.caller === "connected") this.tell({ caller: "answered" });
  }

  /** The topic, once it is made. */
  get topic(): Topic | undefined {
    return this.#topic;
  }

  /** Resolves with the first thing that becomes of the run. */
  get fate(): Promise<RunFate> {
    return this.#fate.promise;
  }

  /** Whether it has events, or an event stream that may bring some. */
  get hasBegun(): boolean {
    return this.#isStreaming || this.#hasOpening;
  }

  /** The events that stand before those of the stream. */
  get opening(): readonly ServerSentEvent[] {
    return this.#plan.opening ?? [];
  }

  /** Whether an event stream of the provider's fills it, or has filled it. */
  get isStreaming(): boolean {
    return this.#isStreaming;
  }

  /**
   * Resolves once the topic is this run's alone to fill; `undefined` if it is.
   *
   * @throws {Problem} If another relay fills it.
   */
  get held(): Promise<void> | undefined {
    return this.#held;
  }

  /** Whether a run of another relay has taken its place. */
  get isGivenUp(): boolean {
    return this.#isGivenUp;
  }

  /** Takes {@linkcode reserve} back: another relay has begun the same run. */
  giveUp(): void {
    this.#isGivenUp = true;
    this.#decide();
    this.#release();
    this.#fate.resolve("refused");
    const topic = this.#topic;
    if (topic?.state.kind !== "pending") return;
    const { topics } = this.#context;
    if (this.#plan.isNamed) topics.release(topic);
    else topics.delete(topic.name);
  }

  /** The end that was said of it, which the store may not have kept yet. */
  get verdict(): TopicEnd | undefined {
    return this.#said ?? this.#topic?.verdict;
  }

  /** Whether nothing of the run gets to a topic any more: its caller alone has it. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Whether its end was said. */
  get isEnded(): boolean {
    return this.verdict !== undefined;
  }

  /** Whether somebody has cancelled the run, and not ended its topic in another way. */
  get isCancelled(): boolean {
    return this.#topic?.verdict?.status === "cancelled";
  }

  /** Says that somebody else has ended the topic, and why, for the caller. */
  get cancelReason(): string {
    const { status = "cancelled", reason } = this.#topic?.verdict ?? {};
    const what = status === "cancelled"
      ? "The run was cancelled"
      : `The topic of the run was ended as ${status}`;
    return reason ? `${what}: ${reason}` : what;
  }

  /** The outcome that the run counts as when it is over. */
  get outcome(): RunOutcome {
    if (this.#refusal) return outcomeOf(this.#refusal);
    const end = this.#callersEnd ?? this.verdict;
    return this.hasBegun && end ? end.status : "cancelled";
  }

  /** Calls a listener, once, when somebody else than the run has ended the topic, or it is lost. */
  onCancelled(listener: () => void): void {
    this.#onCancelled = listener;
  }

  /** Calls a listener before the topic ends, by whomever: it says what is known by then. */
  onEnding(listener: () => void): void {
    this.#onEnding = listener;
  }

  /**
   * Makes the topic, pending, before the provider is asked.
   *
   * @throws {Problem} If another run fills the topic, or has filled it, or it was
   * cancelled; if it is to be renewed, and has not ended.
   * @throws {TopicLimitError} If there are too many topics.
   */
  reserve(): Topic {
    return this.#take(this.#create(), true);
  }

  /** Takes over a topic that a relay before this one was filling, and has not ended. */
  takeOver(topic: Topic): void {
    this.#isStreaming = true;
    this.#canGoOn = true;
    this.#fate.resolve("streaming");
    const { run } = topic;
    topic.run = this.#facts = run ?? this.#facts;
    this.#take(topic, false);
  }

  /** Keeps what the next relay needs to go on with the run, unless it ends with its caller. */
  keep(filling: ResponseFilling): void {
    const topic = this.#topic;
    if (!topic || this.#plan.onDisconnect === "cancel") return;
    this.#canGoOn = true;
    topic.filling = writeFilling(filling);
  }

  #take(topic: Topic, isNew: boolean): Topic {
    this.#topic = topic;
    topic.onEnding = () => this.#onEnding();
    const { leases } = this.#context.topics;
    const hold = leases.hold(topic, { onLost: () => this.#lose() });
    this.#hold = hold;
    if (hold.ready) {
      this.#held = this.#beHeld(topic, hold, isNew);
      // Whoever waits for it is told.
      this.#held.catch(() => {});
    } else if (isNew) this.#fill(topic);
    this.#writer = new TopicWriter(topic, { hold: this.#hold });
    void topic.ended.then(() => {
      this.#release();
      if (!this.#decide()) return;
      // Nobody has stopped the run: its log is gone with the memory of another relay.
      if (topic.isLost) this.#isLost = true;
      this.#onCancelled();
    });
    return topic;
  }

  /**
   * Opens the topic: the provider's event stream has begun, or begun again. Makes
   * the topic if it was not reserved, and throws then as {@linkcode reserve} does.
   */
  open(): Topic {
    const topic = this.#topic ?? this.#reserveLate();
    this.#isStreaming = true;
    this.#fate.resolve("streaming");
    topic.open();
    // A topic says of its upstream only what has changed.
    if (topic.upstream) topic.setUpstream({ state: "open" });
    return topic;
  }

  /**
   * Adds the events that stand before the stream: the topic is made, and this run's.
   *
   * @param opening The events, without secrets: one at least.
   */
  begin(opening: readonly ServerSentEvent[]): void {
    const topic = this.#topic;
    if (!topic || topic.verdict) return;
    this.#hasOpening = true;
    topic.open();
    void this.append(opening);
  }

  /** Tells followers how the provider is. */
  setUpstream(upstream: UpstreamState): void {
    this.#topic?.setUpstream(upstream);
  }

  /**
   * Adds events; drops them if the topic has ended.
   *
   * @returns Resolves once more may be added; `undefined` if that is now.
   */
  append(events: readonly ServerSentEvent[]): Promise<void> | undefined {
    if (this.isEnded || this.#isLost) return undefined;
    try {
      return this.#writer?.write(events);
    } catch (error) {
      // The run goes on for its caller.
      if (error instanceof LeaseLostError) return undefined;
      if (!(error instanceof StoreError)) throw error;
      this.breakOff({ status: "truncated", reason: NOT_KEPT });
      return undefined;
    }
  }

  /** Ends the topic as its provider's stream has ended, if it has not ended. */
  conclude(end: TopicEnd): void {
    this.#decide();
    const topic = this.#topic;
    const writer = this.#writer;
    if (this.#isLost) this.#callersEnd ??= end;
    if (!topic || this.#isLost || this.#said || topic.verdict) return;
    const { status, reason } = end;
    if (!writer || writer.isSettled) {
      return void topic.end(status, reason, true, this.#hold);
    }
    this.#said = end;
    // A topic that lacks its last events is not whole.
    void writer.settled().then(
      () => topic.end(status, reason, true, this.#hold),
      () => this.breakOff({ status: "truncated", reason: NOT_KEPT }),
    );
  }

  /**
   * Ends the topic, if it has not ended: its provider has not said its last word. A topic
   * that was left to the next relay stays open.
   */
  breakOff(end: TopicEnd): void {
    this.#decide();
    if (this.#isLost) this.#callersEnd ??= end;
    if (this.#isLeft || this.#isLost) return;
    this.#topic?.end(end.status, end.reason, false, this.#hold);
  }

  /** Leaves the topic to the next relay, if that can go on with the run. */
  leaveToNext(): void {
    this.#isLeft = this.#canGoOn;
  }

  /**
   * Lets go of the topic of a run that gets no event stream: it fails, waits for the
   * next run, or is gone if nobody knows its name.
   */
  refuse(refusal: Refusal): void {
    this.#refusal = refusal;
    this.#decide();
    this.#fate.resolve("refused");
    const topic = this.#isLost ? undefined : this.#topic;
    const isOver = topic?.state.kind !== "pending" && !this.#hasOpening;
    if (!topic || isOver) return this.#release();
    const { topics, held, closing } = this.#context;
    const { status, reason, retryAfter } = refusal;
    const patience = this.#hasOpening || closing.aborted
      ? undefined
      : patienceFor(refusal);
    if (patience === undefined && (this.#plan.isNamed || this.#hasOpening)) {
      topic.end("failed", reason, false, this.#hold);
      return this.#release();
    }
    this.#release();
    if (patience === undefined || !this.#plan.isNamed) {
      return void topics.delete(topic.name);
    }
    topic.setUpstream({
      state: "retrying",
      ...(status !== undefined && { status }),
      ...(retryAfter !== undefined && { retryIn: Math.ceil(retryAfter) }),
    });
    topic.filling = undefined;
    held.hold(topic, patience, reason);
  }

  /**
   * The caller has left: the run is cancelled, now or when nobody has followed it
   * for long enough.
   *
   * @returns Whether there is a topic: without one, nobody else can have the answer.
   */
  leave(): boolean {
    const topic = this.#topic;
    if (!topic || this.#isLost) return false;
    // A topic that is held for the next run is no longer this one's.
    if (this.#isDecided) return true;
    if (this.#plan.onDisconnect === "cancel") {
      topic.end("cancelled", "The caller has left", false, this.#hold);
    } else void this.#cancelWhenIdle(topic);
    return true;
  }

  /** The run is over. */
  close(): void {
    this.#decide();
    if (!this.#said) this.#release();
    this.#fate.resolve("cancelled"); // unless it was decided before
    this.#onCancelled = () => {};
  }

  /** Another relay fills the topic: the run goes on for its caller alone. */
  #lose(): void {
    this.#isLost = true;
    this.#decide();
  }

  #release(): void {
    this.#hold?.[Symbol.dispose]();
  }

  /** Returns whether the end was open. */
  #decide(): boolean {
    if (this.#isDecided) return false;
    this.#isDecided = true;
    this.#idle?.abort();
    return true;
  }

  /** Makes the topic of a stream that was not foreseen, which does not wait for the lease. */
  #reserveLate(): Topic {
    const topic = this.#take(this.#create(), false);
    this.#fill(topic);
    return topic;
  }

  #create(): Topic {
    const { held } = this.#context;
    const topic = this.#find();
    held.take(topic);
    const model = this.#plan.model();
    if (model && !isSecretShape(model)) this.tell({ model });
    return topic;
  }

  /** Says that the run fills the topic. */
  #fill(topic: Topic): void {
    const { source, filledBy } = this.#plan;
    topic.run = this.#facts;
    topic.fillBy({ source, filledBy, filling: LOST });
    // The state that the refused run before has left no longer holds.
    if (topic.upstream) topic.setUpstream({ state: "connecting" });
  }

  /**
   * Waits for the lease. Only with it does the relay know all of the log: it may have
   * taken the lease from the run of a relay that is gone, which is not this run's to end.
   */
  async #beHeld(topic: Topic, hold: Hold, isNew: boolean): Promise<void> {
    const { name } = this.#plan;
    try {
      await hold.ready;
    } catch (error) {
      throw error instanceof LeaseHeldError ? filledProblem(name) : error;
    }
    if (!isNew) return;
    const { next, facts } = topic.log;
    if (next === 1 && !facts.isOpen) return this.#fill(topic);
    this.#lose();
    hold.abandon();
    throw filledProblem(name);
  }

  /** Returns the topic that has the name, if the run may fill it, or a new one. */
  #find(): Topic {
    const { topics } = this.#context;
    const { name, owner, renews } = this.#plan;
    if (renews) return this.#renew();
    const before = topics.get(name);
    // A subscriber may have waited for a topic, and then cancelled it.
    if (
      !before || topics.isAwaited(before) && before.state.kind !== "ended"
    ) return topics.create(name, owner);
    this.#assertUnused(before);
    return topics.renew(name, owner);
  }

  #renew(): Topic {
    const { name, owner } = this.#plan;
    try {
      return this.#context.topics.renew(name, owner);
    } catch (error) {
      if (!(error instanceof TopicBusyError)) throw error;
      throw new Problem(STATUS_CODE.Conflict, error.code, error.message);
    }
  }

  /**
   * Refuses a topic, unless another run has left it without an event: it was refused, or
   * its relay is gone.
   */
  #assertUnused({ name, state, log }: Topic): void {
    if (state.kind !== "ended") throw filledProblem(name);
    const { end } = state;
    if (end.status === "cancelled") throw cancelledProblem(name, { end });
    const isLeft = end.status === "failed" || end.status === "truncated";
    if (!isLeft || log.next > 1) {
      throw new Problem(
        STATUS_CODE.Conflict,
        "topic_ended",
        `The topic '${name}' has ended: give each run a topic of its own, or renew this one (Rivulet-If-Ended: renew)`,
        { end },
      );
    }
  }

  async #cancelWhenIdle(topic: Topic): Promise<void> {
    const { idleCancel, idleElsewhere, clock, closing } = this.#context;
    if (idleCancel === Infinity) return;
    this.#idle = new AbortController();
    const signal = AbortSignal.any([this.#idle.signal, closing]);
    for (let idle = 0; idle < idleCancel;) {
      try {
        await wait(idleCancel - idle, clock, signal);
      } catch {
        return; // its end is decided
      }
      const since = topic.idleSince;
      idle = since === undefined ? 0 : clock.now() - since;
      if (idle >= idleCancel && idleElsewhere) {
        idle = Math.min(idle, await idleElsewhere(topic));
      }
    }
    const reason = `Nobody has followed for ${idleCancel} ms`;
    topic.end("cancelled", reason, false, this.#hold);
  }
}

function filledProblem(name: string): Problem {
  return new Problem(
    STATUS_CODE.Conflict,
    "topic_exists",
    `There is a topic '${name}' that is being filled: give each run a topic of its own, or an Idempotency-Key to join the one that there is`,
  );
}

/** Returns the problem of a caller that asks for a run which was cancelled. */
export function cancelledProblem(
  name: string,
  facts?: Readonly<Record<string, unknown>>,
): Problem {
  return new Problem(
    STATUS_CODE.Gone,
    "cancelled",
    `The run of topic '${name}' was cancelled: give a new one a topic of its own`,
    facts,
  );
}

/** Returns the headers that tell a caller which topic has its answer. */
export function topicHeaders({ name, log }: Topic): Record<string, string> {
  return {
    "Rivulet-Topic": name,
    "Rivulet-Epoch": log.epoch,
    Link: `</topics/${name}>; rel="events"`,
  };
}
