import { STATUS_CODE } from "@std/http/status";
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import type { Clock } from "../../src/fetch/clock.ts";
import { isEventStreamType } from "../../src/fetch/media_type.ts";
import { Redactor } from "../../src/fetch/redact.ts";
import {
  backoffDelay,
  type CompleteRetryPolicy,
  parseRetryAfter,
  wait,
} from "../../src/fetch/retry.ts";
import { Watchdog } from "../../src/fetch/watchdog.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { ProviderOutcome } from "../metrics/upstream_metrics.ts";
import { Problem } from "../problem.ts";
import type { BodyLimitError } from "../sources/bounded_body.ts";
import type { Topic, UpstreamState } from "../topics/topic.ts";
import { RunTrace } from "../traces/run_trace.ts";
import type { Caller } from "./caller.ts";
import { EventBody } from "./event_body.ts";
import { EventGate } from "./event_gate.ts";
import { EventScrubber } from "./event_scrubber.ts";
import { keysIn, responseHeaders, streamHeaders } from "./headers.ts";
import { type Judge, judgeFor, type Verdict } from "./judge.ts";
import type { Recording } from "./recorder.ts";
import { Upload } from "./upload.ts";

/** What is asked of a provider. */
export interface RunRequest {
  /** What the provider is called here. */
  readonly provider: string;
  /** Where: not to be shown. */
  readonly url: string;
  /** The path below the provider's URL, without query: `responses`. */
  readonly path: string;
  /** The method. */
  readonly method: string;
  /** As the provider is told them. */
  readonly headers: Headers;
  /** Bytes can be sent again, an upload cannot. */
  readonly body: Uint8Array<ArrayBuffer> | Upload | null;
}

/** What every run shares. */
export interface RunContext {
  /** When a request is made again whose answer died before its first event. */
  readonly retry: CompleteRetryPolicy;
  /** How long a provider may say nothing, in milliseconds. */
  readonly idleTimeout: number;
  /** Where time comes from. */
  readonly clock: Clock;
  /** Is told what has come of asking the provider once. */
  providerAsked(outcome: ProviderOutcome): void;
}

/** How a run tells what becomes of it. */
export interface RunEvents {
  /** The answer is an event stream. Called once, before anything of it is passed on. */
  onStream(): Begun;
  /** The answer is no event stream, or there is none. */
  onRefused(refusal: Refusal): void;
  /** There is news of how the provider is. */
  onUpstream(upstream: UpstreamState): void;
  /** The response has an id, and can be asked for by it. */
  onResponseId(topic: Topic, id: string): void;
}

/** Where an event stream goes, besides to the caller. */
export interface Begun {
  /** What it fills. */
  readonly topic: Topic;
  /** What the caller is told of that. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where it is recorded, if it is. */
  readonly recording: Recording | undefined;
}

/** Why there is no event stream. */
export interface Refusal {
  /** What the provider has answered, if it has answered. */
  readonly status: number | undefined;
  /** In words, without secrets. */
  readonly reason: string;
  /** How long the provider wants to be left alone, in milliseconds, if it says so. */
  readonly retryAfter: number | undefined;
}

/** Why a run is stopped that has not ended by itself. */
export type Stop =
  /** Somebody has ended its topic. */
  | { readonly kind: "ended" }
  /** Nobody is there to have the answer. */
  | { readonly kind: "left" }
  /** The relay is closed. */
  | { readonly kind: "closed" }
  /** The provider has said nothing for too long. */
  | { readonly kind: "silent" };

/** How an answer has come to its end. */
interface Death {
  readonly how: "clean" | "broken";
  readonly reason: string;
}

/** After its last word a provider has so long to close, or to say what else there is, in milliseconds. */
const DRAIN_TIMEOUT = 2_000;

/** The most of an error's body that is looked at for its message. */
const MAX_ERROR_BODY = 16 * 1024;

/** The longest event, in UTF-16 code units. */
const MAX_EVENT_SIZE = 64 * 1024 * 1024;

const MAX_REASON = 1_000;

const logger = getLogger(["rivulet", "relay", "gateway"]);

/** `duplex` is in the Fetch Standard, and not in the types. */
interface StreamingRequestInit extends RequestInit {
  duplex: "half";
}

/**
 * One request to a provider, and its answer: passed on to the caller as it
 * comes, and, where it is an event stream, into a topic too, which it fills
 * whether the caller stays or not.
 */
export class Run {
  /** Resolves when it is over. */
  readonly finished: Promise<void>;
  readonly #request: RunRequest;
  readonly #caller: Caller;
  readonly #context: RunContext;
  readonly #events: RunEvents;
  readonly #judge: Judge;
  readonly #redactor: Redactor;
  readonly #scrubber: EventScrubber;
  readonly #watchdog: Watchdog;
  readonly #trace: RunTrace;
  readonly #gate = new EventGate();
  readonly #abort = new AbortController();
  #stop: Stop | undefined;
  #topic: Topic | undefined;
  #recording: Recording | undefined;
  /** Whether it has ended its topic itself. */
  #hasEnded = false;
  #delivered = 0;
  #hasResponseId = false;

  /**
   * Begins.
   *
   * @param request What is asked.
   * @param caller Who asks.
   * @param context What all runs share.
   * @param events Who is told.
   */
  constructor(
    request: RunRequest,
    caller: Caller,
    context: RunContext,
    events: RunEvents,
  ) {
    this.#request = request;
    this.#caller = caller;
    this.#context = context;
    this.#events = events;
    this.#redactor = new Redactor(request.url, request.headers);
    this.#scrubber = new EventScrubber(keysIn(request.headers, request.url));
    this.#judge = judgeFor(
      request.path,
      (text) => this.#redactor.text(text),
    );
    this.#watchdog = new Watchdog(
      () => this.#said ? DRAIN_TIMEOUT : context.idleTimeout,
      () => this.stop({ kind: "silent" }),
      context.clock,
    );
    this.#trace = new RunTrace(request);
    this.finished = this.#run();
  }

  /** Whether it fills a topic. */
  get isStreaming(): boolean {
    return this.#topic !== undefined;
  }

  /** Stops asking the provider. The first reason counts, and its own end is none. */
  stop(stop: Stop): void {
    if (stop.kind === "ended" && this.#hasEnded) return;
    this.#stop ??= stop;
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    try {
      await this.#attempts();
    } catch (error) {
      if (error instanceof Problem) {
        this.#trace.verdict({ error: error.code });
        return this.#caller.refuse(error);
      }
      // Nothing above throws what else is foreseen.
      logger.error("A run has failed: {error}", {
        error: this.#redactor.thrown(error),
      });
      this.#fail({ status: "failed", reason: "The relay has failed" });
    } finally {
      this.#watchdog.close();
      // Of an answer that nobody was let have, the connection is still open.
      this.#abort.abort();
      this.#trace.end(this.#delivered, this.#judge.responseId);
    }
  }

  async #attempts(): Promise<void> {
    const { retry, clock } = this.#context;
    let start = clock.now();
    for (let failures = 0;;) {
      const before = this.#delivered;
      const death = await this.#attempt();
      if (!death) return;
      if (this.#stop) return this.#stopped(this.#stop);
      const { body } = this.#request;
      if (body instanceof Upload && body.failure) {
        return this.#refuse(bodyProblem(body.failure));
      }
      if (this.#delivered > before) {
        failures = 0;
        start = clock.now();
      }
      failures++;
      const delay = backoffDelay(failures - 1, retry);
      const isSpent = failures >= retry.maxAttempts ||
        clock.now() - start + delay > retry.maxElapsed;
      if (isSpent || !this.#canAskAgain()) {
        const { how, reason } = death;
        // What has ended without a last word ends so for the caller too.
        return how === "clean" && this.#topic
          ? this.#finish({ status: "truncated", reason })
          : this.#giveUp(reason);
      }
      logger.info("A provider is asked again in {delay} ms: {reason}", {
        delay,
        reason: this.#shorten(death.reason),
      });
      const attempt = failures + 1;
      this.#trace.retrying(attempt, delay);
      this.#events.onUpstream({
        state: "retrying",
        attempt,
        retryIn: Math.ceil(delay),
      });
      try {
        await wait(delay, clock, this.#abort.signal);
      } catch {
        return this.#stopped(this.#stop!); // or it would not have been aborted
      }
      this.#events.onUpstream({ state: "connecting", attempt });
    }
  }

  /** Whether an answer that has died can be had once more, or the rest of it. */
  #canAskAgain(): boolean {
    if (this.#delivered > 0) return this.#rest() !== undefined;
    const { body, method } = this.#request;
    return body instanceof Uint8Array ||
      (body === null && (method === "GET" || method === "HEAD"));
  }

  /** Where the rest of a background response is to be had. */
  #rest(): string | undefined {
    const { responseId, sequenceNumber, background } = this.#judge;
    if (!background || !responseId || sequenceNumber === undefined) {
      return undefined;
    }
    // The caller may have half an event, which no other answer goes on with.
    if (this.#gate.isOpen) return undefined;
    const url = new URL(this.#request.url);
    // Where it was asked for by its id already, that is in the path.
    url.pathname = url.pathname.replace(
      /\/responses$/,
      () => `/responses/${encodeURIComponent(responseId)}`,
    );
    url.searchParams.set("stream", "true");
    url.searchParams.set("starting_after", String(sequenceNumber));
    return url.href;
  }

  /** Asks once; returns how the answer died, if there may be another. */
  async #attempt(): Promise<Death | undefined> {
    let response: Response;
    this.#watchdog.start();
    try {
      response = await this.#trace.within(() => this.#ask());
    } catch (error) {
      this.#context.providerAsked(this.#stop ? "stopped" : "unreachable");
      return { how: "broken", reason: this.#messageOf(error) };
    } finally {
      this.#watchdog.stop();
    }
    const { headers } = response;
    this.#trace.answered(response.status);
    // What is packed cannot be read: nobody has asked for that.
    const isStream = response.body !== null &&
      isEventStreamType(headers.get("content-type")) &&
      (headers.get("content-encoding") ?? "identity") === "identity";
    this.#context.providerAsked(
      response.ok && isStream
        ? "stream"
        : response.status < 400
        ? "answered"
        : "refused",
    );
    if (response.ok && isStream) return await this.#follow(response);
    if (this.#topic) {
      // The caller has the head of a stream, and takes no other answer now.
      await response.body?.cancel();
      return { how: "broken", reason: describe(response) };
    }
    await this.#pass(response);
    return undefined;
  }

  #ask(): Promise<Response> {
    const { url, method, body } = this.#request;
    const headers = this.#trace.headers(this.#request.headers);
    const { signal } = this.#abort;
    // What is sent and what comes back is for the caller to see as it is.
    const init = { method, headers, signal, redirect: "manual" } as const;
    const rest = this.#delivered > 0 ? this.#rest() : undefined;
    if (rest !== undefined) {
      headers.delete("content-type");
      return fetch(rest, { ...init, method: "GET", headers });
    }
    if (body === null) return fetch(url, init);
    const streaming: StreamingRequestInit = {
      ...init,
      // As a stream, so that the runtime cannot send it twice by itself.
      body: body instanceof Upload
        ? body.stream(() => this.#watchdog.touch(), signal)
        : ReadableStream.from([body]),
      duplex: "half",
    };
    return fetch(url, streaming);
  }

  /** Passes on an answer that is no event stream. */
  async #pass(response: Response): Promise<void> {
    const { status, statusText, headers } = response;
    const caller = this.#caller;
    caller.head(status, statusText, responseHeaders(headers));
    let error = "";
    const decoder = new TextDecoder();
    try {
      this.#watchdog.start();
      for await (const bytes of response.body ?? []) {
        this.#watchdog.stop();
        if (!response.ok && error.length < MAX_ERROR_BODY) {
          error += decoder.decode(bytes, { stream: true });
        }
        caller.write(bytes);
        await caller.drained();
        this.#watchdog.start();
      }
      caller.end();
      this.#trace.verdict(status < 400 ? {} : { error: String(status) });
    } catch {
      const isUnwanted = this.#stop?.kind === "left" ||
        this.#stop?.kind === "ended";
      this.#trace.verdict({ status: isUnwanted ? "cancelled" : "truncated" });
      caller.cut(); // it must not take a part for the whole
    }
    this.#events.onRefused({
      status,
      reason: this.#shorten(describe(response, errorMessage(error))),
      retryAfter: parseRetryAfter(headers, this.#context.clock.now()),
    });
  }

  /** Passes on an event stream; returns how it died, if there may be more of it. */
  async #follow(response: Response): Promise<Death | undefined> {
    this.#begin(response);
    const isResumed = this.#delivered > 0;
    await using body = new EventBody(response.body!, { // it was looked at
      maxEventSize: MAX_EVENT_SIZE,
      // Only the provider's own silence counts; and after its last word that
      // was begun to be waited for in `#take`.
      onWait: () => {
        if (!this.#said) this.#watchdog.start();
      },
      onBytes: (bytes) => this.#caller.write(this.#gate.push(bytes)),
    });
    let death: Death = {
      how: "clean",
      reason: "The stream has ended without a last word",
    };
    try {
      for (let isFirst = true;; isFirst = false) {
        const events = await body.nextBatch();
        if (!events) break;
        if (isFirst && isResumed && !this.#goesOn(events[0])) {
          death = {
            how: "broken",
            reason: "The provider did not go on where its stream broke off",
          };
          break;
        }
        await this.#take(events);
      }
    } catch (error) {
      death = { how: "broken", reason: this.#messageOf(error) };
    }
    const { how, reason } = death;
    const said = this.#said;
    if (said) {
      // Whatever came after the last word: it has been said.
      this.#finish(said);
      return undefined;
    }
    const verdict = this.#judge.end(how, reason);
    if (verdict.status === "truncated") return death;
    this.#finish(verdict);
    return undefined;
  }

  #begin({ status, statusText, headers }: Response): void {
    if (this.#topic) {
      this.#gate.reset();
      this.#topic.setUpstream({ state: "open" });
      return;
    }
    const { topic, headers: ours, recording } = this.#events.onStream();
    this.#topic = topic;
    this.#trace.streaming(topic.name);
    this.#recording = recording;
    recording?.response(status, headers);
    void topic.ended.then(({ status, reason }) =>
      recording?.end(status, reason)
    );
    topic.open();
    // Where nothing was told before, that goes without saying.
    if (topic.upstream) topic.setUpstream({ state: "open" });
    this.#caller.head(status, statusText, streamHeaders(headers, ours));
  }

  /** Whether what is read begins with the event after the last one. */
  #goesOn(event: ServerSentEvent | undefined): boolean {
    const before = this.#judge.sequenceNumber;
    if (!event || before === undefined) return false;
    const judge = judgeFor(this.#request.path);
    judge.take(event);
    return judge.sequenceNumber === before + 1;
  }

  /** What the provider has said of the end, or left unsaid for good. */
  get #said(): Verdict | undefined {
    const judge = this.#judge;
    return judge.verdict ?? (judge.isOver ? judge.end("clean") : undefined);
  }

  async #take(events: ServerSentEvent[]): Promise<void> {
    const wasOver = this.#judge.isOver;
    if (!wasOver) this.#watchdog.stop();
    for (const event of events) this.#judge.take(event);
    this.#delivered += events.length;
    // The rest of a background response may be had by another request.
    this.#caller.write(
      this.#judge.background ? this.#gate.release() : this.#gate.open(),
    );
    const topic = this.#topic!; // there since the stream began
    if (topic.state.kind === "ended") return;
    this.#recording?.events(events);
    await topic.append(this.#scrubber.scrub(events));
    const { responseId, isOver } = this.#judge;
    if (!this.#hasResponseId && responseId) {
      this.#hasResponseId = true;
      this.#events.onResponseId(topic, responseId);
    }
    const verdict = this.#said;
    if (!verdict) return;
    this.#watchdog.start();
    // Those who follow need not wait for the provider to close.
    if (isOver) this.#endTopic(verdict);
  }

  #stopped(stop: Stop): void {
    switch (stop.kind) {
      case "ended":
        return this.#cancel("The run was cancelled");
      case "left":
        return this.#cancel("Nobody is there to have the answer");
      case "closed":
        return this.#giveUp("The relay was closed");
      case "silent":
        return this.#giveUp(
          `The provider has said nothing for ${this.#context.idleTimeout} ms`,
        );
    }
  }

  #cancel(reason: string): void {
    this.#trace.verdict({ status: "cancelled" });
    if (this.#topic) this.#endTopic({ status: "cancelled", reason });
    // With a status that no client takes for a reason to ask once more.
    this.#caller.refuse(new Problem(STATUS_CODE.Gone, "cancelled", reason));
  }

  #giveUp(reason: string): void {
    this.#fail({ status: "truncated", reason: this.#shorten(reason) });
  }

  /** Ends without a last word of the provider. */
  #fail({ status, reason = "" }: Verdict): void {
    this.#trace.verdict({ status });
    if (this.#topic) this.#endTopic({ status, reason });
    const problem = new Problem(
      STATUS_CODE.BadGateway,
      "provider_unreachable",
      `Expected an answer of the provider, and there is none: ${reason}`,
    );
    this.#refuse(problem, reason);
  }

  #refuse(problem: Problem, reason: string = problem.message): void {
    this.#trace.verdict({ error: problem.code });
    if (!this.#topic) {
      this.#events.onRefused({
        status: undefined,
        reason,
        retryAfter: undefined,
      });
    }
    this.#caller.refuse(problem);
  }

  /** Ends as the provider's answer has ended, which the caller gets whole. */
  #finish(verdict: Verdict): void {
    this.#endTopic(verdict);
    this.#caller.write(this.#gate.open());
    this.#caller.end();
  }

  #endTopic({ status, reason }: Verdict): void {
    const topic = this.#topic!; // looked at by who calls this
    this.#hasEnded = true;
    this.#trace.verdict({ status });
    const text = reason && this.#shorten(reason);
    topic.end(status, text);
  }

  #messageOf(error: unknown): string {
    const clean = this.#redactor.thrown(error);
    if (!(clean instanceof Error)) return String(clean);
    const { message, cause } = clean;
    // `fetch` itself says no more than that it has failed.
    return cause instanceof Error ? `${message}: ${cause.message}` : message;
  }

  #shorten(reason: string): string {
    return this.#redactor.text(reason).slice(0, MAX_REASON);
  }
}

/** What is said of a body that was too long, or too slow. */
function bodyProblem({ code, message }: BodyLimitError): Problem {
  const status = code === "body_timeout"
    ? STATUS_CODE.RequestTimeout
    : STATUS_CODE.ContentTooLarge;
  return new Problem(status, code, message);
}

const errorBody = z.object({
  error: z.union([z.string(), z.looseObject({ message: z.string() })]),
});

/** What the body of an error says, if it says it as providers do. */
function errorMessage(body: string): string {
  try {
    const { error } = errorBody.parse(JSON.parse(body));
    return typeof error === "string" ? error : error.message;
  } catch {
    return ""; // then its status has to do
  }
}

function describe(
  { status, statusText, headers }: Response,
  message = "",
): string {
  const type = [headers.get("content-encoding"), headers.get("content-type")]
    .filter(Boolean).join(" ") || "nothing";
  if (status < 400) {
    return `Expected an event stream, and the provider has answered ${status} with ${type}`;
  }
  return `The provider has answered ${status} ${statusText}`.trim() +
    (message && `: ${message}`);
}
