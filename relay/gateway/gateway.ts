import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { STATUS_CODE } from "@std/http/status";
import type { Clock } from "../../src/fetch/clock.ts";
import { type CompleteRetryPolicy, wait } from "../../src/fetch/retry.ts";
import type { UpstreamSlots } from "../limits/upstream_slots.ts";
import type {
  ProviderOutcome,
  RunOutcome,
} from "../metrics/upstream_metrics.ts";
import { draining, Problem } from "../problem.ts";
import { type Access, assertMay } from "../rights/access.ts";
import { type BodyLimits, boundedBody } from "../sources/bounded_body.ts";
import type { After } from "../topics/position.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import type { Topic } from "../topics/topic.ts";
import { Caller } from "./caller.ts";
import { requestHeaders } from "./headers.ts";
import type { GatewayProvider } from "./provider.ts";
import type { Recorder, Recording } from "./recorder.ts";
import {
  asksForStream,
  digest,
  identityOf,
  readRunOptions,
  type RunOptions,
} from "./request.ts";
import { type Begun, type Refusal, Run } from "./run.ts";
import { offsetAfter } from "./starting_after.ts";
import { TopicIndex } from "./topic_index.ts";
import { Upload } from "./upload.ts";

/** A caller that is to be answered with the events of a run that began before. */
export interface RunReplay {
  /** The response to write to: it has not begun. */
  readonly response: ServerResponse;
  /** The topic of the run. */
  readonly topic: Topic;
  /** The position after which the caller reads. */
  readonly after: After;
  /** Whether to leave out the relay's own events: the caller gets only the provider's. */
  readonly raw: true;
  /** The address of the caller. */
  readonly address: string;
  /** The time when the caller's token expires, in milliseconds since the epoch. */
  readonly expires: number;
}

/** What a gateway works with. */
export interface GatewayContext {
  /** Where requests go; the first one takes those that name none. */
  readonly providers: readonly GatewayProvider[];
  /** Where event streams go. */
  readonly topics: TopicRegistry;
  /** How much of a body of JSON is taken, and how fast it has to come. */
  readonly bodyLimits: BodyLimits;
  /** The most bytes of any other body. */
  readonly maxUpload: number;
  /** When a provider is asked again whose answer died before its first event. */
  readonly retry: CompleteRetryPolicy;
  /** How long a provider may say nothing, in milliseconds. */
  readonly idleTimeout: number;
  /** After how long without anybody a run is cancelled, in milliseconds. */
  readonly idleCancel: number;
  /** Writes runs to files. */
  readonly recorder: Recorder | undefined;
  /** Where time comes from. */
  readonly clock: Clock;
  /** Is told what has become of a run. */
  runEnded(outcome: RunOutcome): void;
  /** Is told what has come of asking a provider. */
  providerAsked(outcome: ProviderOutcome): void;
  /** Is told of a refusal that a caller is told as it comes. */
  refused(problem: Problem, incoming: IncomingMessage): void;
  /** Why new requests are refused, if they are. */
  refusal(): Problem | undefined;
  /** How many providers may be asked at a time. */
  readonly slots: UpstreamSlots;
  /** Answers a caller with a run's events, unless it has all of them already. */
  stream(replay: RunReplay): "streaming" | "at end";
}

/** A request, and who has made it. */
export interface GatewayCall {
  /** The request. */
  readonly request: Request;
  /** Where it goes, without a token of the relay's. */
  readonly url: URL;
  /** What it says, without a token of the relay's. */
  readonly headers: Headers;
  /** Where the answer goes. */
  readonly response: ServerResponse;
  /** What the caller may do. */
  readonly access: Access;
  /** Where the caller is. */
  readonly address: string;
}

/** A request that is being answered. */
interface Asked extends GatewayCall {
  readonly target: Target;
  readonly options: RunOptions;
  /** What its topic is called, if it comes to have one. */
  readonly topicName: string;
}

/** Where a request goes. */
interface Target {
  readonly provider: GatewayProvider;
  /** Below the provider's URL, without query. */
  readonly path: string;
  /** At the provider. */
  readonly url: URL;
}

/** A run that others may join who ask for the same. */
interface Joinable {
  readonly topic: Topic;
  /** What was asked. */
  readonly fingerprint: string;
  /** What has come of it first. */
  readonly outcome: Promise<"streaming" | "refused" | "cancelled">;
}

/** `/{provider}/v1/{path}`, or `/v1/{path}`. */
const PATH = /^\/(?:([^/]+)\/)?v1\/(.+)$/;

const RESPONSE_PATH = /^responses\/([^/]+)$/;

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\b/i;

/** After these a client asks again by itself, so that the run may yet begin. */
const RETRYABLE: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/** How long a client waits before it asks again that is not told for how long, in milliseconds. */
const USUAL_RETRY = 8_000;

/** The longest that clients let a provider have them wait, in milliseconds. */
const LONGEST_RETRY = 60_000;

/** What is waited for a client beyond that, in milliseconds. */
const RETRY_GRACE = 10_000;

/** Stands between clients of model providers and these (PROTOCOL.md, section 4). */
export class Gateway implements AsyncDisposable {
  readonly #context: GatewayContext;
  readonly #runs = new Set<Run>();
  readonly #joinable: TopicIndex<Joinable>;
  readonly #byResponse: TopicIndex<{ readonly topic: Topic }>;
  /** Topics whose run was refused, and may be asked for again. */
  readonly #held = new Map<Topic, () => void>();
  readonly #closing = new AbortController();

  /** Makes a gateway that nobody has asked anything yet. */
  constructor(context: GatewayContext) {
    this.#context = context;
    this.#joinable = new TopicIndex(context.topics);
    this.#byResponse = new TopicIndex(context.topics);
  }

  /** How many runs there are. */
  get size(): number {
    return this.#runs.size;
  }

  /** Whether a path is a provider's. */
  handles(pathname: string): boolean {
    return this.#match(pathname) !== undefined;
  }

  /**
   * Answers a request with what its provider answers.
   *
   * @param call The request: its path is a provider's.
   * @returns What stands for an answer that was written by itself, or one that is none of the provider's.
   * @throws {Problem} If it cannot be passed on.
   * @throws {BodyLimitError} If its body is too long, or too slow.
   */
  async handle(call: GatewayCall): Promise<Response> {
    const refusal = this.#context.refusal();
    if (refusal) throw refusal;
    const target = this.#target(call);
    const options = readRunOptions(call.headers);
    const { topic: topicName = `run-${crypto.randomUUID()}` } = options;
    assertMay(call.access, "write", topicName);
    const asked: Asked = { ...call, target, options, topicName };
    const resumed = await this.#resume(asked);
    if (resumed) return resumed;
    const { request: { method } } = call;
    const body = await this.#readBody(asked);
    const isRun = body instanceof Uint8Array && method === "POST" &&
      asksForStream(body);
    if (!isRun) {
      this.#assertOpen();
      using _slot = this.#context.slots.take();
      await this.#start(asked, body);
      return RESPONSE_ALREADY_SENT;
    }
    const key = options.idempotencyKey && digest(JSON.stringify([
      target.provider.name,
      target.path,
      callerOf(asked),
      options.idempotencyKey,
    ]));
    const fingerprint = digest(body);
    for (;;) {
      const earlier = key ? this.#joinable.get(key) : undefined;
      if (!earlier) break;
      if (await this.#join(asked, earlier, fingerprint)) {
        return RESPONSE_ALREADY_SENT;
      }
    }
    this.#assertOpen();
    using _slot = this.#context.slots.take();
    const topic = this.#createTopic(asked);
    const { promise, resolve } = Promise.withResolvers<
      Awaited<Joinable["outcome"]>
    >();
    const joinable = { topic, fingerprint, outcome: promise };
    if (key) this.#joinable.set(key, joinable);
    await this.#start(asked, body, topic, (outcome) => {
      if (key && outcome !== "streaming") {
        this.#joinable.delete(key, joinable);
      }
      resolve(outcome);
    });
    return RESPONSE_ALREADY_SENT;
  }

  /** Stops every run, and waits until all is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    for (const cancel of this.#held.values()) cancel();
    this.#held.clear();
    const runs = [...this.#runs];
    for (const run of runs) run.stop({ kind: "closed" });
    await Promise.all(runs.map(({ finished }) => finished));
    await this.#context.recorder?.[Symbol.asyncDispose]();
  }

  #match(
    pathname: string,
  ): { provider: GatewayProvider; path: string } | undefined {
    const [, name, path] = PATH.exec(pathname) ?? [];
    const { providers } = this.#context;
    const provider = name === undefined
      ? providers[0]
      : providers.find((provider) => provider.name === name);
    return path !== undefined && provider ? { provider, path } : undefined;
  }

  #target({ url: { pathname, search } }: GatewayCall): Target {
    const { provider, path } = this.#match(pathname)!; // asked with `handles`
    return { provider, path, url: new URL(`${provider.url}/${path}${search}`) };
  }

  /** The relay may have been closed since a request came. */
  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw draining(0);
  }

  async #readBody(
    { request: { body }, headers }: Asked,
  ): Promise<Uint8Array<ArrayBuffer> | Upload | null> {
    if (!body) return null;
    const { bodyLimits, maxUpload } = this.#context;
    if (!JSON_TYPE.test(headers.get("content-type") ?? "")) {
      return new Upload(body, { ...bodyLimits, maxBytes: maxUpload });
    }
    const parts: Uint8Array[] = [];
    for await (const part of boundedBody(body, bodyLimits)) parts.push(part);
    return Buffer.concat(parts);
  }

  /** Answers from a topic what is retained of a response that is asked for again. */
  async #resume(asked: Asked): Promise<Response | undefined> {
    const { request, response, target, access } = asked;
    const { path, url: { searchParams } } = target;
    const [, id] = RESPONSE_PATH.exec(path) ?? [];
    if (request.method !== "GET" || id === undefined) return undefined;
    if (searchParams.get("stream") !== "true") return undefined;
    const startingAfter = searchParams.get("starting_after") ?? "-1";
    if (!/^(?:-1|[0-9]{1,15})$/.test(startingAfter)) return undefined;
    const topic = this.#byResponse.get(this.#responseKey(asked, id))?.topic;
    if (!topic) return undefined;
    assertMay(access, "read", topic.name);
    const offset = await offsetAfter(topic.log, Number(startingAfter));
    if (offset === undefined || offset < topic.log.first) return undefined;
    if (response.destroyed) return RESPONSE_ALREADY_SENT;
    this.#tellTopic(response, topic);
    const after = { epoch: topic.log.epoch, offset: offset - 1 };
    const from = after.offset === 0 ? "start" : after;
    return this.#stream(asked, topic, from) === "streaming"
      ? RESPONSE_ALREADY_SENT
      // All was told: a stream without events, as the provider would send.
      : new Response("", {
        headers: {
          ...topicHeaders(topic),
          "Content-Type": "text/event-stream",
        },
      });
  }

  /** Who may ask for a response by its id: everybody who has the same key. */
  #responseKey({ target, headers }: Asked, id: string): string {
    const { name, key } = target.provider;
    return JSON.stringify([name, key ? "" : identityOf(headers), id]);
  }

  #stream(
    { response, address, access: { expires } }: Asked,
    topic: Topic,
    after: After,
  ): "streaming" | "at end" {
    return this.#context.stream({
      response,
      topic,
      after,
      raw: true,
      address,
      expires,
    });
  }

  /** Answers with a run that was begun before; returns whether it could be had. */
  async #join(
    asked: Asked,
    { topic, fingerprint, outcome }: Joinable,
    sent: string,
  ): Promise<boolean> {
    if (fingerprint !== sent) {
      throw new Problem(
        STATUS_CODE.UnprocessableEntity,
        "idempotency_mismatch",
        "Expected the request that this Idempotency-Key was used for before, and got another: use a key of its own",
      );
    }
    const became = await outcome;
    const { response } = asked;
    if (response.destroyed) return true; // nobody is there to have it
    switch (became) {
      case "refused":
        return false;
      case "cancelled":
        // Who has stopped it did not mean that another should take its place.
        throw cancelled(topic.name);
    }
    if (topic.log.first > 1) {
      throw new Problem(
        STATUS_CODE.Gone,
        "run_not_retained",
        `The beginning of this run is not retained any more: what is left is at /topics/${topic.name}`,
      );
    }
    this.#tellTopic(response, topic);
    response.setHeader("Idempotent-Replayed", "true");
    this.#stream(asked, topic, "start");
    return true;
  }

  #tellTopic(response: ServerResponse, topic: Topic): void {
    for (const [name, value] of Object.entries(topicHeaders(topic))) {
      response.setHeader(name, value);
    }
  }

  /** Makes the topic of a run. */
  #createTopic({ target, topicName: name, access }: Asked): Topic {
    const { provider, path } = target;
    const { topics } = this.#context;
    const before = topics.get(name);
    // Whoever waited for it may have ended it too.
    if (
      before && (!topics.isAwaited(before) || before.state.kind === "ended")
    ) {
      this.#replace(before);
    }
    const topic = topics.create(name, access.identity);
    this.#held.get(topic)?.();
    this.#held.delete(topic);
    topic.source = `${provider.name} ${path}`;
    // That of the run before, which was refused, no longer holds.
    if (topic.upstream) topic.setUpstream({ state: "connecting" });
    return topic;
  }

  /** Takes a topic away that another run has left without an event. */
  #replace({ name, state, log }: Topic): void {
    if (state.kind !== "ended") {
      throw new Problem(
        STATUS_CODE.Conflict,
        "topic_exists",
        `There is a topic '${name}' that is being filled: give each run a topic of its own, or an Idempotency-Key to join the one that there is`,
      );
    }
    const { end } = state;
    if (end.status === "cancelled") throw cancelled(name, { end });
    if (end.status !== "failed" || log.next > 1) {
      throw new Problem(
        STATUS_CODE.Conflict,
        "topic_ended",
        `The topic '${name}' has ended: give each run a topic of its own`,
        { end },
      );
    }
    this.#context.topics.delete(name);
  }

  /** Passes a request on; resolves when all is over that came of it. */
  async #start(
    asked: Asked,
    body: Uint8Array<ArrayBuffer> | Upload | null,
    planned?: Topic,
    onOutcome?: (outcome: Awaited<Joinable["outcome"]>) => void,
  ): Promise<void> {
    const { request, headers, response, target, options } = asked;
    let topic = planned;
    let outcome: RunOutcome = "cancelled";
    const bind = (topic: Topic): void => {
      void topic.ended.then(() => run.stop({ kind: "ended" }));
    };
    const caller = new Caller(response, () => {
      if (!topic) run.stop({ kind: "left" });
      else if (options.onDisconnect === "cancel") {
        topic.end("cancelled", "The caller has left");
      } else void this.#cancelWhenIdle(topic);
    }, (problem) => this.#context.refused(problem, response.req));
    const run = new Run(
      {
        provider: target.provider.name,
        url: target.url.href,
        path: target.path,
        method: request.method,
        headers: requestHeaders(headers, target.provider),
        body,
      },
      caller,
      this.#context,
      {
        onStream: (): Begun => {
          if (!topic) bind(topic = this.#createTopic(asked));
          onOutcome?.("streaming");
          return {
            topic,
            headers: topicHeaders(topic),
            recording: this.#record(asked, body, topic),
          };
        },
        onRefused: (refusal) => {
          outcome = outcomeOf(refusal);
          onOutcome?.("refused");
          if (topic) this.#refused(topic, refusal, options);
        },
        onUpstream: (upstream) => topic?.setUpstream(upstream),
        onResponseId: (topic, id) => {
          this.#byResponse.set(this.#responseKey(asked, id), { topic });
        },
      },
    );
    if (planned) bind(planned);
    this.#runs.add(run);
    try {
      await run.finished;
    } finally {
      this.#runs.delete(run);
      if (run.isStreaming && topic?.state.kind === "ended") {
        outcome = topic.state.end.status;
      }
      this.#context.runEnded(outcome);
      if (!run.isStreaming) onOutcome?.("cancelled"); // if it was not refused
    }
  }

  #record(
    { request: { method }, headers, target: { provider, url } }: Asked,
    body: Uint8Array | Upload | null,
    topic: Topic,
  ): Recording | undefined {
    const { pathname, search } = url;
    return this.#context.recorder?.begin({
      topic: topic.name,
      provider: provider.name,
      method,
      path: `${pathname}${search}`,
      headers,
      body: body instanceof Uint8Array
        ? new TextDecoder().decode(body)
        : undefined,
      secrets: provider.key === undefined ? [] : [provider.key],
    });
  }

  /** Ends the topic of a run that has not come about, or waits for the next one. */
  #refused(
    topic: Topic,
    { status, reason, retryAfter }: Refusal,
    options: RunOptions,
  ): void {
    const { topics, clock } = this.#context;
    if (topic.state.kind !== "pending") return;
    // Nobody was told of it.
    if (options.topic === undefined) return void topics.delete(topic.name);
    const mayComeBack = status === undefined || status >= 500 ||
      RETRYABLE.has(status);
    if (!mayComeBack || this.#closing.signal.aborted) {
      return void topic.end("failed", reason);
    }
    topic.setUpstream({
      state: "retrying",
      ...(status !== undefined && { status }),
      ...(retryAfter !== undefined && { retryIn: Math.ceil(retryAfter) }),
    });
    topics.release(topic);
    const patience = Math.min(retryAfter ?? USUAL_RETRY, LONGEST_RETRY) +
      RETRY_GRACE;
    this.#held.set(
      topic,
      clock.setTimeout(() => {
        this.#held.delete(topic);
        topic.end("failed", reason);
      }, patience),
    );
  }

  /** Cancels a run whose caller has left once nobody has followed it for long enough. */
  async #cancelWhenIdle(topic: Topic): Promise<void> {
    const { idleCancel, clock } = this.#context;
    if (idleCancel === Infinity) return;
    const over = new AbortController();
    void topic.ended.then(() => over.abort());
    const signal = AbortSignal.any([over.signal, this.#closing.signal]);
    for (let idle = 0; idle < idleCancel;) {
      try {
        await wait(idleCancel - idle, clock, signal);
      } catch {
        return; // it has ended
      }
      const since = topic.idleSince;
      idle = since === undefined ? 0 : clock.now() - since;
    }
    topic.end("cancelled", `Nobody has followed for ${idleCancel} ms`);
  }
}

/** What an answer without a stream is counted as. */
function outcomeOf({ status }: Refusal): RunOutcome {
  if (status === undefined) return "unreachable";
  return status < 400 ? "answered" : "refused";
}

function cancelled(
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

/** Who asks, as far as that can be told: who is the same gets the same run. */
function callerOf({ access, headers }: Asked): string {
  return JSON.stringify([access.identity, identityOf(headers)]);
}

function topicHeaders({ name, log }: Topic): Record<string, string> {
  return {
    "Rivulet-Topic": name,
    "Rivulet-Epoch": log.epoch,
    Link: `</topics/${name}>; rel="events"`,
  };
}
