import { STATUS_CODE } from "@std/http/status";
import { getLogger } from "@logtape/logtape";
import { type Clock, wallTime } from "../../src/fetch/clock.ts";
import { contentEncoding } from "../../src/fetch/content_encoding.ts";
import { isEventStreamType } from "../../src/fetch/media_type.ts";
import {
  backoffDelay,
  type CompleteRetryPolicy,
  wait,
} from "../../src/fetch/retry.ts";
import { Watchdog } from "../../src/fetch/watchdog.ts";
import { requestIdOf } from "../../src/model/failures/answer_failure.ts";
import type { ProviderOutcome } from "../metrics/upstream_metrics.ts";
import { Problem } from "../problem.ts";
import { slices } from "../slices.ts";
import { restarted } from "../topics/filling.ts";
import type { Topic } from "../topics/topic.ts";
import type { UpstreamAnswer } from "../upstream/answer.ts";
import { UpstreamConnectionError } from "../upstream/upstream_connection_error.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import { RunTrace } from "../traces/run_trace.ts";
import type { TracedEnd } from "../traces/span.ts";
import { type CallerOfRun, NO_CALLER } from "./caller.ts";
import { framingFault } from "./headers.ts";
import type { Verdict } from "./judge.ts";
import { passPlainAnswer } from "./plain_answer.ts";
import {
  canBeSentAgain,
  type ProviderRequest,
  sendRequest,
} from "./provider_request.ts";
import { Reasons } from "./reasons.ts";
import { ResponseIdReader } from "./response_id.ts";
import { describeAnswer, refusalOf } from "./refusal.ts";
import { type Death, RunStream, type RunStreamContext } from "./run_stream.ts";
import type { RunTopic } from "./run_topic.ts";
import { Upload } from "./upload.ts";

/** The parts and settings that all runs share. */
export interface RunContext {
  /** Asks the providers. */
  readonly upstreams: Upstreams;
  /** The policy for asking again after an answer that died before its first event. */
  readonly retry: CompleteRetryPolicy;
  /** The longest silence of a provider, in milliseconds. */
  readonly idleTimeout: number;
  /** The clock. */
  readonly clock: Clock;
  /** Counts the outcome of asking a provider once. */
  providerAsked(outcome: ProviderOutcome): void;
}

/** The caller of a run that is about to start. */
export interface CallerPlan {
  /**
   * Begins to wait for the answer.
   *
   * @param onLeave Called if the caller leaves before it has its whole answer.
   */
  open(onLeave: () => void): CallerOfRun;
}

/**
 * The parts of one run. Its topic is reserved, or only planned, or a relay before this
 * one has left it.
 */
export interface RunPlan extends
  Pick<
    RunStreamContext,
    | "request"
    | "topic"
    | "room"
    | "record"
    | "kept"
    | "onResponseId"
    | "onBackground"
  > {
  /** The name under which limits count the client: its runs wait for each other. */
  readonly client: string;
  /** The caller; `undefined` if the run goes on from a relay before this one. */
  readonly caller: CallerPlan | undefined;
  /** Called if somebody else cancels the run while its caller waits. Default: does nothing. */
  onCancelled?(): void;
}

/** The end of a run that is stopped, unless its provider has said another. */
interface Stop {
  /**
   * `cancelled` if nobody wants the answer, `truncated` if it cannot be had, `left` if the
   * relay closes: the next one may go on with it.
   */
  readonly status: "cancelled" | "truncated" | "left";
  /** The reason in words. */
  readonly reason: string;
}

/** The longest time after the verdict for the provider to close, or to send more, in milliseconds. */
const DRAIN_TIMEOUT = 2_000;

/** The reason why a run stops its request. One for all: to make an error, with its stack, takes 5 µs. */
const OVER = new DOMException("The run is over", "AbortError");

const logger = getLogger(["rivulet", "relay", "gateway"]);

/**
 * One request to a provider, and its answer. The caller gets the answer as it
 * comes. An event stream fills a topic too, whether the caller stays or not.
 */
export class Run {
  readonly #request: ProviderRequest;
  readonly #context: RunContext;
  readonly #topic: RunTopic;
  readonly #caller: CallerOfRun;
  readonly #reasons: Reasons;
  readonly #trace: RunTrace;
  readonly #watchdog: Watchdog;
  readonly #stream: RunStream;
  readonly #onResponseId: (id: string) => void;
  readonly #client: string;
  readonly #abort = new AbortController();
  readonly #finished = Promise.withResolvers<void>();
  #stop: Stop | undefined;

  private constructor(plan: RunPlan, context: RunContext) {
    const { request, caller, topic } = plan;
    this.#request = request;
    this.#client = plan.client;
    this.#onResponseId = plan.onResponseId;
    this.#context = context;
    this.#topic = topic;
    if (caller) topic.tell({ caller: "connected" });
    this.#caller = caller?.open(() => {
      topic.tell({ caller: "left" });
      this.#left();
    }) ?? NO_CALLER;
    this.#reasons = new Reasons(request);
    this.#trace = new RunTrace(request);
    this.#watchdog = new Watchdog(
      () => this.#stream.said ? DRAIN_TIMEOUT : context.idleTimeout,
      () =>
        this.#halt({
          status: "truncated",
          reason:
            `The ${request.peer} has said nothing for ${context.idleTimeout} ms`,
        }),
      context.clock,
    );
    this.#stream = new RunStream({
      ...plan,
      caller: this.#caller,
      trace: this.#trace,
      watchdog: this.#watchdog,
      reasons: this.#reasons,
    });
  }

  /**
   * Starts a run: asks the provider, and answers the caller.
   *
   * @param plan The run.
   * @param context The parts and settings that all runs share.
   */
  static start(plan: RunPlan, context: RunContext): Run {
    const run = new Run(plan, context);
    plan.topic.onCancelled(() => {
      // Nobody has stopped the run: its caller gets the rest.
      if (plan.topic.isLost && !run.#caller.isGone) return;
      if (!run.#caller.isGone) plan.onCancelled?.();
      run.#halt({ status: "cancelled", reason: plan.topic.cancelReason });
    });
    plan.topic.onEnding(() => run.#stream.tellFacts());
    if (!plan.caller) run.#left();
    run.#finished.resolve(run.#run());
    return run;
  }

  /** The topic of the run, once it is made. */
  get topic(): Topic | undefined {
    return this.#topic.topic;
  }

  /** Resolves when the run is over. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** Stops the run: the relay closes. */
  close(): void {
    this.#halt({ status: "left", reason: "The relay was closed" });
  }

  #left(): void {
    // Of a stream that is not read, nobody else gets anything.
    if (this.#topic.leave() && !this.#stream.isUnread) return;
    this.#halt({
      status: "cancelled",
      reason: "Nobody is there to have the answer",
    });
  }

  /** Stops asking the provider. The first reason counts. */
  #halt(stop: Stop): void {
    this.#stop ??= stop;
    this.#abort.abort(OVER);
  }

  async #run(): Promise<void> {
    try {
      const { held } = this.#topic;
      if (held) await held;
      // To ask a provider takes the relay about a millisecond. The clients take turns, so
      // that a client that begins a thousand runs does not delay the runs of others.
      await slices.run(`runs of ${this.#client}`, {
        next: () => this.#begin(),
      });
    } catch (error) {
      if (error instanceof Problem) {
        this.#trace.verdict({ error: error.code });
        this.#caller.refuse(error);
      } else {
        // Nothing above throws any other error on purpose.
        logger.error("A run has failed: {error}", {
          error: this.#reasons.redactThrown(error),
        });
        this.#fail({ status: "failed", reason: "The relay has failed" });
      }
    } finally {
      this.#watchdog.close();
      // If the caller was not given the answer, its connection is still open.
      this.#abort.abort(OVER);
      this.#trace.end(this.#stream.delivered, this.#stream.responseId);
      this.#topic.tellAnswered();
      this.#topic.close();
    }
  }

  /** Asks the provider, in one step; its value resolves when the run is over. */
  #begin(): IteratorReturnResult<Promise<void>> {
    this.#stream.begin();
    return { done: true, value: this.#attempts() };
  }

  async #attempts(): Promise<void> {
    const { retry, clock } = this.#context;
    const stream = this.#stream;
    let start = clock.now();
    if (stream.hasBegun) this.#topic.setUpstream({ state: "connecting" });
    for (let failures = 0;;) {
      const before = stream.delivered;
      const death = await this.#attempt();
      if (!death) return;
      if (this.#stop) return this.#stopped(this.#stop);
      const { body } = this.#request;
      if (body instanceof Upload && body.problem) {
        return this.#refuse(body.problem);
      }
      if (stream.delivered > before) {
        failures = 0;
        start = clock.now();
      }
      failures++;
      const delay = backoffDelay(failures - 1, retry);
      const isSpent = failures >= retry.maxAttempts ||
        clock.now() - start + delay > retry.maxElapsed;
      if (isSpent || !this.#canAskAgain(death)) {
        // Also if the body has ended well: clients take a clean end for success.
        const isSilent = stream.hasBegun && stream.delivered === 0;
        const reason = isSilent ? restarted(death.reason) : death.reason;
        return this.#fail({ status: "truncated", reason });
      }
      logger.info("Asking the provider again in {delay} ms: {reason}", {
        delay,
        reason: death.reason,
      });
      const attempt = failures + 1;
      this.#trace.retrying(attempt, delay);
      this.#topic.tellRetry(death.reason);
      this.#topic.setUpstream({
        state: "retrying",
        attempt,
        retryIn: Math.ceil(delay),
      });
      try {
        await wait(delay, clock, this.#abort.signal);
      } catch {
        return this.#stopped(this.#stop!); // only `#halt` aborts it
      }
      this.#topic.setUpstream({ state: "connecting", attempt });
    }
  }

  /** Whether an answer that has died can be had once more, or the rest of it. */
  #canAskAgain({ isUnsent = false }: Death): boolean {
    return this.#stream.hasBegun
      ? this.#stream.rest !== undefined
      : canBeSentAgain(this.#request, isUnsent);
  }

  /** Asks once; returns how the answer died, if there may be another. */
  async #attempt(): Promise<Death | undefined> {
    const context = this.#context;
    let response: UpstreamAnswer;
    this.#topic.tellAttempt();
    this.#watchdog.start();
    try {
      response = await this.#trace.within(() => this.#ask());
    } catch (error) {
      context.providerAsked(this.#stop ? "stopped" : "unreachable");
      const isUnsent = error instanceof UpstreamConnectionError &&
        error.isUnsent;
      return { reason: this.#reasons.ofThrown(error), isUnsent };
    } finally {
      this.#watchdog.stop();
    }
    const { ok, status, headers, body } = response;
    this.#trace.answered(status);
    const fault = framingFault(response, this.#request.peer);
    if (fault !== undefined) {
      context.providerAsked("refused");
      // The provider may have done what it was asked for: it is not asked again.
      this.#fail({ status: "failed", reason: this.#reasons.ofText(fault) });
      return undefined;
    }
    // The relay asks for no compression: it cannot read a compressed stream.
    const isStream = ok && body !== null &&
      isEventStreamType(headers.get("content-type")) &&
      contentEncoding(headers) === undefined;
    context.providerAsked(
      isStream ? "stream" : status < 400 ? "answered" : "refused",
    );
    // Most short requests have no topic.
    if (isStream || this.#topic.topic) this.#tellAnswer(response);
    if (isStream) return await this.#stream.follow(response, body);
    if (this.#topic.isStreaming) {
      // The caller has the head of a stream, and takes no other answer now.
      body?.cancel();
      return { reason: this.#describe(response) };
    }
    await this.#pass(response);
    return undefined;
  }

  #tellAnswer({ status, headers }: UpstreamAnswer): void {
    const requestId = requestIdOf(headers);
    this.#topic.tell({
      status,
      ...(requestId && { requestId: this.#reasons.ofId(requestId) }),
    });
  }

  #ask(): Promise<UpstreamAnswer> {
    const { hasBegun, rest } = this.#stream;
    return sendRequest(this.#request, {
      headers: this.#trace.headers(this.#request.headers),
      rest: hasBegun ? rest : undefined,
      signal: this.#abort.signal,
      upstreams: this.#context.upstreams,
      onUpload: () => this.#watchdog.touch(),
    });
  }

  /** Passes on an answer that is no event stream. */
  async #pass(response: UpstreamAnswer): Promise<void> {
    const { status } = response;
    const reader = response.ok && ResponseIdReader.reads(this.#request)
      ? new ResponseIdReader(this.#onResponseId)
      : undefined;
    const { isWhole, message } = await passPlainAnswer(
      response,
      this.#caller,
      this.#watchdog,
      (bytes) => reader?.push(bytes),
    );
    const isUnwanted = this.#stop?.status === "cancelled";
    if (!isWhole) {
      this.#trace.verdict({ status: isUnwanted ? "cancelled" : "truncated" });
    } else this.#trace.verdict(status < 400 ? {} : { error: String(status) });
    this.#topic.refuse(
      refusalOf(
        response,
        () => this.#describe(response, message),
        wallTime(this.#context.clock),
      ),
    );
  }

  #describe(response: UpstreamAnswer, message?: string): string {
    const { peer } = this.#request;
    return this.#reasons.ofText(describeAnswer(response, peer, message));
  }

  #stopped({ status, reason }: Stop): void {
    // Clients may ask again if the topic was lost to another relay, which has ended it.
    const isEndedOtherwise = this.#topic.isEnded && !this.#topic.isCancelled;
    if (status !== "cancelled" || isEndedOtherwise) {
      if (status === "left") this.#topic.leaveToNext();
      return this.#fail({ status: "truncated", reason });
    }
    this.#trace.verdict({ status });
    this.#stream.tellFacts();
    this.#topic.breakOff({ status, reason });
    if (this.#stream.breakOff({ status, reason })) return;
    // A cut alone would look like a bad network, after which clients ask again.
    this.#stream.tellCancelled(reason);
    // Clients do not ask again after this status.
    this.#caller.refuse(new Problem(STATUS_CODE.Gone, "cancelled", reason));
  }

  /** Ends without a last word of the provider. */
  #fail(end: Verdict & { readonly reason: string }): void {
    const problem = new Problem(
      STATUS_CODE.BadGateway,
      "provider_unreachable",
      `Expected an answer of the ${this.#request.peer}, and there is none: ${end.reason}`,
    );
    this.#refuse(problem, end, { status: end.status });
  }

  /** Tells the caller a problem, or cuts off its answer; ends the topic or lets go of it. */
  #refuse(
    problem: Problem,
    end: Verdict & { readonly reason: string } = {
      status: "truncated",
      reason: problem.message,
    },
    traced: TracedEnd = { error: problem.code },
  ): void {
    const { reason } = end;
    this.#trace.verdict(traced);
    this.#stream.tellFacts();
    const isBrokenOff = this.#topic.isStreaming || this.#stop !== undefined;
    if (isBrokenOff && this.#topic.hasBegun) this.#topic.breakOff(end);
    else {
      this.#topic.refuse({ status: undefined, reason, retryAfter: undefined });
    }
    if (!this.#stream.breakOff(end)) this.#caller.refuse(problem);
  }
}
