import { messageOf } from "../../src/fetch/message_of.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { EventRoom } from "../limits/memory/event_room.ts";
import { Members } from "../members.ts";
import type { RunOutcome } from "../metrics/upstream_metrics.ts";
import { draining } from "../problem.ts";
import {
  endRestarted,
  type ResponseFilling,
  tellNotGoneOn,
} from "../topics/filling.ts";
import { LeaseHeldError } from "../topics/lease.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import { StoreError } from "../topics/store.ts";
import type { Topic } from "../topics/topic.ts";
import type { FilledBy } from "../topics/topic_source.ts";
import type { CancelledSessions } from "./agents/cancelled_sessions.ts";
import { isCompleted } from "./agents/run_name.ts";
import type { Content } from "./content.ts";
import { requestHeaders } from "./headers.ts";
import { HeldTopics } from "./held_topics.ts";
import type { Joining } from "./joining.ts";
import { responseFilling } from "./kept_response.ts";
import type { ProviderRequest } from "./provider_request.ts";
import type { ReadBody } from "./read_body.ts";
import type { Recorder } from "./recording/recorder.ts";
import type { Recording } from "./recording/recording.ts";
import type { Asked } from "./request.ts";
import { type ResumeContext, resumeRun } from "./resume_run.ts";
import { type CallerPlan, Run, type RunContext, type RunPlan } from "./run.ts";
import { RunTopic, type RunTopicContext } from "./run_topic.ts";

/** The parts and settings of all runs. */
export interface RunsContext extends RunContext, ResumeContext {
  /** The topics that event streams fill. */
  readonly topics: TopicRegistry;
  /** Whether the store of the topics outlasts the process. */
  readonly store: { readonly isLasting: boolean };
  /** The time after which a run is cancelled that nobody follows and whose caller has left, in milliseconds. */
  readonly idleCancel: number;
  /** As {@linkcode RunTopicContext.idleElsewhere}. */
  readonly idleElsewhere?: RunTopicContext["idleElsewhere"];
  /** Writes runs to files. */
  readonly recorder: Recorder | undefined;
  /** Refuses new requests while the relay is drained, by throwing a `Problem`. */
  readonly draining: { assertOpen(): void };
  /** Counts the outcome of each run. */
  runEnded(outcome: RunOutcome): void;
}

/** The runs of a gateway that have not ended. */
export class Runs implements AsyncDisposable {
  readonly #context: RunsContext;
  readonly #cancelled: CancelledSessions;
  readonly #joining: Joining;
  readonly #runs = new Members<Run>();
  /** The runs that go on from a relay before this one, also before their provider is asked. */
  readonly #resumed = new Set<Promise<void>>();
  readonly #held: HeldTopics;
  readonly #topicContext: RunTopicContext;
  readonly #closing = new AbortController();

  /**
   * Has none yet.
   *
   * @param context The parts and settings.
   * @param cancelled Is told of the sessions of runs that are cancelled.
   * @param joining Is told of the responses that runs make.
   */
  constructor(
    context: RunsContext,
    cancelled: CancelledSessions,
    joining: Joining,
  ) {
    const { topics, clock, idleCancel, idleElsewhere } = context;
    this.#context = context;
    this.#cancelled = cancelled;
    this.#joining = joining;
    this.#held = new HeldTopics(topics, clock);
    this.#topicContext = {
      topics,
      held: this.#held,
      idleCancel,
      idleElsewhere,
      clock,
      closing: this.#closing.signal,
    };
  }

  /** The number of runs. */
  get size(): number {
    return this.#runs.size;
  }

  /** The runs that are going on now, and their topics. */
  get going(): {
    readonly topics: Set<Topic>;
    readonly over: Promise<unknown>;
  } {
    const runs = [...this.#runs];
    return {
      topics: new Set(runs.flatMap(({ topic }) => topic ? [topic] : [])),
      over: Promise.all(runs.map(({ finished }) => finished)),
    };
  }

  /**
   * Takes an upstream for a client's run.
   *
   * @returns Gives it back.
   * @throws {Problem} If the client has as many as it may, or the relay takes no runs now.
   */
  takeSlot({ client }: Asked): Disposable {
    // The relay may have been closed since the request came.
    this.#context.draining.assertOpen();
    if (this.#closing.signal.aborted) throw draining(0);
    return this.#context.slots.take(client);
  }

  /**
   * Plans the topic of a run.
   *
   * @param asked The request.
   * @param content Its body, as far as it could be read.
   * @param filledBy What fills the topic. Default: a run of the provider.
   * @param opening The events before those of the answer. Default: none.
   */
  topicOf(
    { target, topicName, options, access }: Asked,
    content: Content | undefined,
    filledBy: FilledBy = {
      kind: "run",
      provider: target.provider.name,
      endpoint: target.path,
    },
    opening: readonly ServerSentEvent[] = [],
  ): RunTopic {
    return new RunTopic({
      name: topicName,
      isNamed: options.topic !== undefined && !isCompleted(options.topic),
      renews: options.renews,
      owner: access.identity,
      source: `${target.provider.name} ${target.path}`.trimEnd(),
      filledBy,
      model: () => content?.model(),
      onDisconnect: options.onDisconnect ?? target.provider.onDisconnect ??
        "continue",
      opening,
    }, this.#topicContext);
  }

  /** Starts a run; resolves when it is over. */
  async start(
    asked: Asked,
    { body, content }: ReadBody,
    topic: RunTopic,
    caller: CallerPlan,
    sent: Pick<ProviderRequest, "peer" | "headers" | "other"> = {
      peer: "provider",
      headers: requestHeaders(asked.headers, asked.target.provider),
    },
  ): Promise<void> {
    const { request, target, client } = asked;
    const { received, eventRefused } = this.#context;
    using room = new EventRoom(received, client, eventRefused);
    const providerRequest = {
      asked,
      provider: target.provider.name,
      url: target.url,
      path: target.path,
      method: request.method,
      ...sent,
      body,
      content,
      isRepeatable: target.provider.idempotent === true &&
        asked.options.idempotencyKey !== undefined,
    };
    await this.#run({
      request: providerRequest,
      client,
      caller,
      onCancelled: () => this.#cancelled.add(asked),
      topic,
      room,
      kept: undefined,
      record: (name) => this.#record(asked, content, name, topic),
      onResponseId: (id) => this.#joining.addResponse(asked, id, topic),
      onBackground: (id) => {
        if (!this.#context.store.isLasting) return;
        const filling = responseFilling(providerRequest, target, id);
        if (filling) topic.keep(filling);
      },
    });
  }

  /**
   * Goes on with a background response that a relay before this one has left, or ends its
   * topic if that cannot be.
   *
   * @param topic The topic.
   * @param filling The response, as the store has kept it.
   */
  resume(topic: Topic, filling: ResponseFilling): void {
    const resumed = this.#resume(topic, filling)
      .finally(() => this.#resumed.delete(resumed));
    this.#resumed.add(resumed);
  }

  async #resume(topic: Topic, filling: ResponseFilling): Promise<void> {
    try {
      await resumeRun(
        topic,
        filling,
        this.#context,
        this.#topicContext,
        (plan) => this.#run(plan),
      );
    } catch (error) {
      // Another relay has gone on with it.
      if (error instanceof LeaseHeldError) return;
      // Another relay may have it: it is found again as nobody's if none has.
      if (error instanceof StoreError && topic.log.isShared) {
        return tellNotGoneOn(topic.name, error);
      }
      endRestarted(topic, messageOf(error));
    }
  }

  /** Starts a run; resolves when it is over. */
  async #run(plan: RunPlan): Promise<void> {
    const run = Run.start(plan, this.#context);
    const { topic } = plan;
    const place = this.#runs.add(run);
    try {
      await run.finished;
    } finally {
      this.#runs.delete(place);
      this.#context.runEnded(topic.outcome);
    }
  }

  #record(
    { request: { method }, headers, url: { search }, target }: Asked,
    content: Content | undefined,
    topic: string,
    run: RunTopic,
  ): Recording | undefined {
    const { provider, url: { pathname } } = target;
    return this.#context.recorder?.begin({
      topic,
      provider: provider.name,
      method,
      path: `${pathname}${search}`,
      headers,
      body: content?.bytes,
      secrets: provider.key === undefined ? [] : [provider.key],
      verdict: () => run.verdict,
    });
  }

  /** Stops every run, and waits until all is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#held[Symbol.dispose]();
    const runs = [...this.#runs];
    for (const run of runs) run.close();
    await Promise.all(runs.map(({ finished }) => finished));
    await Promise.all(this.#resumed);
    await this.#context.recorder?.[Symbol.asyncDispose]();
  }
}
