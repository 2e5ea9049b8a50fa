import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { STATUS_CODE } from "@std/http/status";
import type { Clock } from "../../src/fetch/clock.ts";
import { type CompleteRetryPolicy, wait } from "../../src/fetch/retry.ts";
import { draining, Problem } from "../problem.ts";
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
  /** Why new requests are refused, if they are. */
  refusal(): Problem | undefined;
  /** Answers with a topic's events. */
  stream(
    response: ServerResponse,
    topic: Topic,
    after: After,
    raw: boolean,
  ): "streaming" | "at end";
}

/** A request, and where it goes. */
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

/** Stands between clients of model providers and these (protocol, section 4). */
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
   * @param request The request: its path is a provider's.
   * @param response Where the answer goes.
   * @returns What stands for an answer that was written by itself, or one that is none of the provider's.
   * @throws {Problem} If it cannot be passed on.
   * @throws {BodyLimitError} If its body is too long, or too slow.
   */
  async handle(request: Request, response: ServerResponse): Promise<Response> {
    const refusal = this.#context.refusal();
    if (refusal) throw refusal;
    assertOwnOrigin(request);
    const target = this.#target(request);
    const options = readRunOptions(request.headers);
    const resumed = await this.#resume(request, response, target);
    if (resumed) return resumed;
    const body = await this.#readBody(request);
    const isRun = body instanceof Uint8Array && request.method === "POST" &&
      asksForStream(body);
    if (!isRun) {
      this.#assertOpen();
      await this.#start(request, response, target, options, body);
      return RESPONSE_ALREADY_SENT;
    }
    const key = options.idempotencyKey && digest(JSON.stringify([
      target.provider.name,
      target.path,
      identityOf(request.headers),
      options.idempotencyKey,
    ]));
    const fingerprint = digest(body);
    for (;;) {
      const earlier = key ? this.#joinable.get(key) : undefined;
      if (!earlier) break;
      if (await this.#join(response, earlier, fingerprint)) {
        return RESPONSE_ALREADY_SENT;
      }
    }
    this.#assertOpen();
    const topic = this.#createTopic(target, options);
    const { promise, resolve } = Promise.withResolvers<
      Awaited<Joinable["outcome"]>
    >();
    const joinable = { topic, fingerprint, outcome: promise };
    if (key) this.#joinable.set(key, joinable);
    await this.#start(
      request,
      response,
      target,
      options,
      body,
      topic,
      (outcome) => {
        if (key && outcome !== "streaming") {
          this.#joinable.delete(key, joinable);
        }
        resolve(outcome);
      },
    );
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

  #target({ url }: Request): Target {
    const { pathname, search } = new URL(url);
    const { provider, path } = this.#match(pathname)!; // asked with `handles`
    return { provider, path, url: new URL(`${provider.url}/${path}${search}`) };
  }

  /** The relay may have been closed since a request came. */
  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw draining(0);
  }

  async #readBody(
    { body, headers }: Request,
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
  async #resume(
    request: Request,
    response: ServerResponse,
    { provider, path, url: { searchParams } }: Target,
  ): Promise<Response | undefined> {
    const [, id] = RESPONSE_PATH.exec(path) ?? [];
    if (request.method !== "GET" || id === undefined) return undefined;
    if (searchParams.get("stream") !== "true") return undefined;
    const startingAfter = searchParams.get("starting_after") ?? "-1";
    if (!/^(?:-1|[0-9]{1,15})$/.test(startingAfter)) return undefined;
    const key = this.#responseKey(provider, request.headers, id);
    const topic = this.#byResponse.get(key)?.topic;
    if (!topic) return undefined;
    const offset = await offsetAfter(topic.log, Number(startingAfter));
    if (offset === undefined || offset < topic.log.first) return undefined;
    if (response.destroyed) return RESPONSE_ALREADY_SENT;
    this.#tellTopic(response, topic);
    const after = { epoch: topic.log.epoch, offset: offset - 1 };
    const from = after.offset === 0 ? "start" : after;
    return this.#context.stream(response, topic, from, true) === "streaming"
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
  #responseKey(
    { name, key }: GatewayProvider,
    headers: Headers,
    id: string,
  ): string {
    return JSON.stringify([name, key ? "" : identityOf(headers), id]);
  }

  /** Answers with a run that was begun before; returns whether it could be had. */
  async #join(
    response: ServerResponse,
    { topic, fingerprint, outcome }: Joinable,
    asked: string,
  ): Promise<boolean> {
    if (fingerprint !== asked) {
      throw new Problem(
        STATUS_CODE.UnprocessableEntity,
        "idempotency_mismatch",
        "Expected the request that this Idempotency-Key was used for before, and got another: use a key of its own",
      );
    }
    const became = await outcome;
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
    this.#context.stream(response, topic, "start", true);
    return true;
  }

  #tellTopic(response: ServerResponse, topic: Topic): void {
    for (const [name, value] of Object.entries(topicHeaders(topic))) {
      response.setHeader(name, value);
    }
  }

  /** Makes the topic of a run. */
  #createTopic(
    { provider, path }: Target,
    { topic: name = `run-${crypto.randomUUID()}` }: RunOptions,
  ): Topic {
    const { topics } = this.#context;
    const before = topics.get(name);
    // Whoever waited for it may have ended it too.
    if (
      before && (!topics.isAwaited(before) || before.state.kind === "ended")
    ) {
      this.#replace(before);
    }
    const topic = topics.create(name);
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
    request: Request,
    response: ServerResponse,
    target: Target,
    options: RunOptions,
    body: Uint8Array<ArrayBuffer> | Upload | null,
    planned?: Topic,
    onOutcome?: (outcome: Awaited<Joinable["outcome"]>) => void,
  ): Promise<void> {
    let topic = planned;
    const bind = (topic: Topic): void => {
      void topic.ended.then(() => run.stop({ kind: "ended" }));
    };
    const caller = new Caller(response, () => {
      if (!topic) run.stop({ kind: "left" });
      else if (options.onDisconnect === "cancel") {
        topic.end("cancelled", "The caller has left");
      } else void this.#cancelWhenIdle(topic);
    });
    const run = new Run(
      {
        url: target.url.href,
        path: target.path,
        method: request.method,
        headers: requestHeaders(request.headers, target.provider),
        body,
      },
      caller,
      this.#context,
      {
        onStream: (): Begun => {
          if (!topic) bind(topic = this.#createTopic(target, options));
          onOutcome?.("streaming");
          return {
            topic,
            headers: topicHeaders(topic),
            recording: this.#record(request, target, body, topic),
          };
        },
        onRefused: (refusal) => {
          onOutcome?.("refused");
          if (topic) this.#refused(topic, refusal, options);
        },
        onUpstream: (upstream) => topic?.setUpstream(upstream),
        onResponseId: (topic, id) => {
          const { provider } = target;
          const key = this.#responseKey(provider, request.headers, id);
          this.#byResponse.set(key, { topic });
        },
      },
    );
    if (planned) bind(planned);
    this.#runs.add(run);
    try {
      await run.finished;
    } finally {
      this.#runs.delete(run);
      if (!run.isStreaming) onOutcome?.("cancelled"); // if it was not refused
    }
  }

  #record(
    { method, headers }: Request,
    { provider, url }: Target,
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

/** Any page can have a browser send requests here, which would be paid for with the relay's key. */
function assertOwnOrigin({ headers, url }: Request): void {
  const origin = headers.get("origin");
  if (origin === null) return;
  if (URL.canParse(origin) && new URL(origin).host === new URL(url).host) {
    return;
  }
  throw new Problem(
    STATUS_CODE.Forbidden,
    "origin_not_allowed",
    "Expected a request of the relay's own origin, or of no web page: pages of other origins ask a server of theirs",
  );
}

function topicHeaders({ name, log }: Topic): Record<string, string> {
  return {
    "Rivulet-Topic": name,
    "Rivulet-Epoch": log.epoch,
    Link: `</topics/${name}>; rel="events"`,
  };
}
