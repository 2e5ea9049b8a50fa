import { EventRoom } from "../limits/memory/event_room.ts";
import type { ReceiveBudget } from "../limits/memory/receive_budget.ts";
import type { SendBudget } from "../limits/memory/send_budget.ts";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { STATUS_CODE } from "@std/http/status";
import type { UpstreamSlots } from "../limits/upstream_slots.ts";
import type { RunOutcome } from "../metrics/upstream_metrics.ts";
import { wallTime } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import { draining, Problem } from "../problem.ts";
import { atOnce, slices, type Steps } from "../slices.ts";
import { assertMay } from "../rights/access.ts";
import { isMisleadingPath } from "../forwarding.ts";
import {
  assertLength,
  type BodyLimits,
  wholeBody,
} from "../limits/bounded_body.ts";
import { IncomingReader } from "../limits/incoming_reader.ts";
import { contentCodings, decodeBody } from "../limits/content_coding.ts";
import { endRestarted, type ResponseFilling } from "../topics/filling.ts";
import { LeaseHeldError } from "../topics/lease.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import { topicName } from "../topics/topic_name.ts";
import type { Topic } from "../topics/topic.ts";
import { requestHeaders, requestQuery } from "./headers.ts";
import { CancelledSessions } from "./agents/cancelled_sessions.ts";
import { completeName, isCompleted, namesSession } from "./agents/run_name.ts";
import { sessionInHeaders } from "./agents/session.ts";
import { Caller } from "./caller.ts";
import { type Content, readContent, SMALL } from "./content.ts";
import { HeldTopics } from "./held_topics.ts";
import { Joining, joinKey, type RunReplay } from "./joining.ts";
import { KeptRuns, type RunStore } from "./kept_runs.ts";
import type { GatewayProvider } from "./provider.ts";
import type { ProviderRequest } from "./provider_request.ts";
import type { Recorder } from "./recording/recorder.ts";
import type { Recording } from "./recording/recording.ts";
import {
  type Asked,
  type AskedCall,
  digest,
  digestOf,
  type GatewayCall,
  type GatewayRequest,
  readRunOptions,
  type RunOptions,
  type Target,
} from "./request.ts";
import { isRunPath, ProviderRights, responseIdIn } from "./provider_rights.ts";
import { responseFilling } from "./kept_response.ts";
import { resumeRun } from "./resume_run.ts";
import { type CallerPlan, Run, type RunContext, type RunPlan } from "./run.ts";
import { RunTopic, type RunTopicContext } from "./run_topic.ts";
import { Upload } from "./upload.ts";

/** The parts and settings of a gateway. */
export interface GatewayContext extends RunContext {
  /** The providers. The first one takes requests that name none. */
  readonly providers: readonly GatewayProvider[];
  /** The topics that event streams fill. */
  readonly topics: TopicRegistry;
  /** Keeps the keys of runs and the ids of responses, if it outlasts the process. */
  readonly store: RunStore;
  /** The limits of a JSON body. */
  readonly bodyLimits: BodyLimits;
  /** The most bytes of any other body. */
  readonly maxUpload: number;
  /** The time after which a run is cancelled that nobody follows and whose caller has left, in milliseconds. */
  readonly idleCancel: number;
  /** Writes runs to files. */
  readonly recorder: Recorder | undefined;
  /** The upstreams that may be read from at a time. */
  readonly slots: UpstreamSlots;
  /** The requests to providers that tokens allow by default, besides runs and models. */
  readonly allowedPaths: readonly string[];
  /** Counts the outcome of each run. */
  runEnded(outcome: RunOutcome): void;
  /** Refuses new requests while the relay is drained, by throwing a {@linkcode Problem}. */
  readonly draining: { assertOpen(): void };
  /** Counts the bytes that wait for callers. */
  readonly budget: SendBudget;
  /** Counts what has come of events that are not whole yet. */
  readonly received: ReceiveBudget;
  /** Counts an event that there was no room for, by the code of the limit. */
  eventRefused(code: string): void;
  /** Refuses new requests while there is little memory. */
  readonly memory: { assertRoom(): void };
  /** Logs and counts a problem that a caller is answered with. */
  refused(problem: Problem, incoming: IncomingMessage): void;
  /** Answers a caller with a run's events, unless it has all of them already. */
  stream(replay: RunReplay): "streaming" | "at end";
}

/** Whether the topic of a request has a session in its name which only the body may tell. */
function isUnnamed(
  { options, target: { provider }, agentSession }: Asked,
): boolean {
  const { topic = provider.topic } = options;
  return agentSession === undefined && topic !== undefined &&
    namesSession(topic);
}

/** Returns a name for an agent's session: another caller's session never has it. */
function sessionKey(
  { access, client, target }: Asked,
  session: string,
): string {
  return JSON.stringify([
    access.identity,
    client,
    target.provider.name,
    session,
  ]);
}

/** A body as far as the relay has read it. */
type ReadBody = Pick<ProviderRequest, "body" | "content">;

/** Longer bodies are read one after the other: nothing counts what they are meanwhile. In bytes. */
const LONG = 1024 * 1024;

/** Returns the body of a request as a stream. */
function bodyOf(
  request: Request,
  response: ServerResponse,
): ReadableStream<Uint8Array> {
  // A `Request` with the method GET or HEAD has no body, whatever came.
  return request.body ??
    Readable.toWeb(response.req) as ReadableStream<Uint8Array>; // other types
}

/** Does work on a body in steps, after what the client has asked for before. */
function inSteps<T>(
  client: string,
  { length }: Uint8Array,
  steps: Steps<T>,
): T | Promise<T> {
  // What is small keeps its place among the requests.
  if (length <= SMALL) return atOnce(steps);
  const lane = length > LONG ? "long requests" : `requests of ${client}`;
  return slices.run(lane, steps);
}

/** `/{provider}/v1/{path}`, or `/v1/{path}`. */
const PATH = /^\/(?:(?!v1\/)([^/]+)\/)?v1\/(.+)$/;

/** The beginning of paths that a provider's URL ends with in most cases. */
const VERSION = "v1/";

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\b/i;

/**
 * Stands between clients of model providers and the providers (PROTOCOL.md,
 * section 4): finds out where a request goes, and answers it with a run that began
 * before, or starts a new one.
 */
export class Gateway implements AsyncDisposable {
  readonly #context: GatewayContext;
  readonly #runs = new Set<Run>();
  /** The runs that go on from a relay before this one, also before their provider is asked. */
  readonly #resumed = new Set<Promise<void>>();
  readonly #joining: Joining;
  readonly #held: HeldTopics;
  readonly #topicContext: RunTopicContext;
  readonly #rights: ProviderRights;
  readonly #cancelled: CancelledSessions;
  readonly #closing = new AbortController();

  /** Makes a gateway without runs. */
  constructor(context: GatewayContext) {
    const { topics, store, clock, idleCancel } = context;
    this.#context = context;
    this.#cancelled = new CancelledSessions(clock);
    this.#rights = new ProviderRights(context.allowedPaths);
    this.#joining = new Joining(
      topics,
      new KeptRuns(store, clock),
      (replay) => context.stream(replay),
    );
    this.#held = new HeldTopics(topics, clock);
    this.#topicContext = {
      topics,
      held: this.#held,
      idleCancel,
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

  /** Whether a path is a provider's. */
  handles(pathname: string): boolean {
    return this.#match(pathname) !== undefined;
  }

  /**
   * Answers a request with the answer of its provider.
   *
   * @param call The request: its path is a provider's.
   * @returns The answer, or what stands for one that is written already.
   * @throws {Problem} If the request cannot be passed on.
   * @throws {BodyLimitError} If its body is too long, or too slow.
   */
  async handle(call: GatewayCall): Promise<Response> {
    const planned = this.#plan(call);
    // What has the session in its name may be named by the body.
    if (!isUnnamed(planned)) assertMay(call.access, "write", planned.topicName);
    const id = responseIdIn(planned.target.path);
    const known = id === undefined
      ? undefined
      : await this.#joining.response(planned, id);
    this.#rights.assertMayAsk(planned, known?.topicName);
    const retained = id === undefined
      ? undefined
      : await this.#joining.topicOf(planned, id);
    const resumed = retained && await this.#joining.resume(planned, retained);
    if (resumed) return resumed;
    const read = await this.#readBody(planned);
    const { content } = read;
    const asked = this.#complete(planned, content);
    await this.#assertMayUse(asked, read);
    const caller = this.#callerOf(asked);
    if (content?.isStream && call.request.method === "POST") {
      await this.#joinOrStart(asked, read, content, caller);
    } else {
      using _slot = this.#takeSlot(asked);
      await this.#start(asked, read, this.#topicOf(asked), caller);
    }
    return RESPONSE_ALREADY_SENT;
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

  #match(
    pathname: string,
  ): { provider: GatewayProvider; path: string } | undefined {
    const [, name, path] = PATH.exec(pathname) ?? [];
    const { providers } = this.#context;
    const provider = name === undefined
      ? providers[0]
      : providers.find((provider) => provider.name === name);
    if (path === undefined || !provider) return undefined;
    // Some SDKs put a /v1 of their own behind the base URL that they are given.
    const isDoubled = path.startsWith(VERSION) &&
      `${provider.url}/`.endsWith(`/${VERSION}`);
    return { provider, path: isDoubled ? path.slice(VERSION.length) : path };
  }

  /** Says where a request goes, and what it fills: before its body is read. */
  #plan<T extends GatewayRequest>(call: T): T & Asked {
    this.#context.draining.assertOpen();
    this.#context.memory.assertRoom();
    const target = this.#target(call);
    const options = readRunOptions(call.headers);
    const agentSession = sessionInHeaders(call.headers);
    const topicName = this.#nameOf(target, options, agentSession);
    return { ...call, target, options, agentSession, topicName };
  }

  /**
   * Adds what only the body says of the request.
   *
   * @throws {Problem} If its caller may not write its topic, or its session was just
   * cancelled.
   */
  #complete<T extends Asked>(planned: T, content: Content | undefined): T {
    const { target, options, access, agentSession } = planned;
    if (agentSession !== undefined && isRunPath(target.path)) {
      this.#cancelled.assertOpen(sessionKey(planned, agentSession));
    }
    if (!isUnnamed(planned)) return planned;
    const topicName = this.#nameOf(target, options, content?.session);
    assertMay(access, "write", topicName);
    return { ...planned, topicName };
  }

  #nameOf(
    { provider }: Target,
    { topic = provider.topic }: RunOptions,
    session: string | undefined,
  ): string {
    if (topic === undefined) return `run-${crypto.randomUUID()}`;
    const name = completeName(topic, session, wallTime(this.#context.clock));
    if (topicName.safeParse(name).success) return name;
    throw new Problem(
      STATUS_CODE.BadRequest,
      "invalid_topic",
      `Expected a shorter name of the topic: '${name}' has ${name.length} characters`,
    );
  }

  #callerOf({ response, client, address }: AskedCall): CallerPlan {
    const { budget, refused } = this.#context;
    return {
      open: (onLeave) =>
        new Caller(
          response,
          onLeave,
          (problem) => refused(problem, response.req),
          (drop) => budget.open({ client, address, drop }),
        ),
    };
  }

  #target({ url: { pathname, search } }: GatewayRequest): Target {
    const { provider, path } = this.#match(pathname)!; // asked with `handles`
    if (isMisleadingPath(pathname)) {
      throw new Problem(
        STATUS_CODE.BadRequest,
        "invalid_path",
        "Expected a path that is the same for every server: without '..', backslashes and control characters, encoded ones too",
      );
    }
    const query = requestQuery(search, provider);
    return { provider, path, url: new URL(`${provider.url}/${path}${query}`) };
  }

  /**
   * Refuses a run that uses something at the provider (a response, a conversation, a
   * file) that its caller neither made nor may get, and one that may do so unread.
   */
  async #assertMayUse(
    asked: Asked,
    { body, content }: ReadBody,
  ): Promise<void> {
    const { request, access, target } = asked;
    const isEmpty = body === null ||
      body instanceof Uint8Array && body.length === 0;
    if (request.method !== "POST" || isEmpty) return;
    const paths = content?.references;
    if (!paths) return this.#rights.assertMayGoUnread(asked);
    for (const path of paths) {
      const id = responseIdIn(path);
      const known = id === undefined
        ? undefined
        : await this.#joining.response(asked, id);
      if (known?.owner === access.identity) continue;
      if (known) assertMay(access, "read", known.topicName);
      else this.#rights.assertMayGet(access, { ...target, path });
    }
  }

  async #readBody(
    { request, response, headers, client, incoming, target }: AskedCall,
  ): Promise<ReadBody> {
    const length = headers.get("content-length");
    if (length === null && !headers.has("transfer-encoding")) {
      return { body: null, content: undefined };
    }
    // The length came, and is passed on.
    if (length === "0") return { body: new Uint8Array(), content: undefined };
    const { maxUpload } = this.#context;
    const bodyLimits = { ...this.#context.bodyLimits, incoming };
    if (!JSON_TYPE.test(headers.get("content-type") ?? "")) {
      const limits = { ...bodyLimits, maxBytes: maxUpload };
      assertLength(length, limits);
      const size = length === null ? undefined : Number(length);
      const body = bodyOf(request, response);
      return { body: new Upload(body, limits, size), content: undefined };
    }
    const coding = headers.get("content-encoding");
    contentCodings(coding);
    assertLength(length, bodyLimits);
    // Of a client that has left, the server's stream has what came before.
    const body = response.req.destroyed
      ? bodyOf(request, response)
      : new IncomingReader(response.req);
    const bytes = await wholeBody(body, bodyLimits);
    const decoded = await decodeBody(bytes, coding, bodyLimits.maxBytes);
    const isCoded = decoded !== bytes;
    if (isCoded) incoming.add(decoded.byteLength);
    const isRun = isRunPath(target.path);
    const content = await inSteps(
      client,
      decoded,
      readContent(decoded, { isRun, isCoded }),
    );
    // It is kept for as long as the run lasts.
    incoming.whole();
    return { body: bytes, content };
  }

  /** Answers with the run that the caller's Idempotency-Key names, or with a new one. */
  async #joinOrStart(
    asked: AskedCall,
    read: ReadBody,
    { bytes }: Content,
    caller: CallerPlan,
  ): Promise<void> {
    const key = joinKey(asked);
    const { search } = asked.target.url;
    const digested = await inSteps(asked.client, bytes, digestOf(bytes));
    const fingerprint = digest(JSON.stringify([search, digested]));
    const { topics } = this.#context;
    // No other run has a topic that its caller has not named.
    if (asked.options.topic !== undefined && topics.areFetched) {
      await topics.prepare(asked.topicName, { makes: true });
    }
    for (;;) {
      const found = key ? this.#joining.find(key) : undefined;
      // At once, if it is at hand: see below.
      const earlier = found instanceof Promise ? await found : found;
      if (!earlier) break;
      if (await this.#joining.join(asked, earlier, fingerprint)) return;
    }
    // Nothing is waited for from here until the run can be found: of two callers
    // with one key, only one may start it.
    using _slot = this.#takeSlot(asked);
    const topic = this.#topicOf(asked);
    topic.reserve();
    if (key) this.#joining.add(key, topic, fingerprint);
    await this.#start(asked, read, topic, caller);
  }

  #takeSlot({ client }: Asked): Disposable {
    // The relay may have been closed since the request came.
    this.#context.draining.assertOpen();
    if (this.#closing.signal.aborted) throw draining(0);
    return this.#context.slots.take(client);
  }

  #topicOf({ target, topicName, options, access }: Asked): RunTopic {
    return new RunTopic({
      name: topicName,
      isNamed: options.topic !== undefined && !isCompleted(options.topic),
      renews: options.renews,
      owner: access.identity,
      source: `${target.provider.name} ${target.path}`,
      onDisconnect: options.onDisconnect ?? target.provider.onDisconnect ??
        "continue",
    }, this.#topicContext);
  }

  /** Starts a run; resolves when it is over. */
  async #start(
    asked: Asked,
    { body, content }: ReadBody,
    topic: RunTopic,
    caller: CallerPlan,
  ): Promise<void> {
    const { request, headers, target, client, agentSession } = asked;
    const { received, eventRefused } = this.#context;
    using room = new EventRoom(received, client, eventRefused);
    const providerRequest = {
      asked,
      provider: target.provider.name,
      url: target.url,
      path: target.path,
      method: request.method,
      headers: requestHeaders(headers, target.provider),
      body,
      content,
      isRepeatable: target.provider.idempotent === true &&
        asked.options.idempotencyKey !== undefined,
    };
    await this.#finish({
      request: providerRequest,
      caller,
      onCancelled: () => {
        if (agentSession === undefined) return;
        this.#cancelled.add(sessionKey(asked, agentSession));
      },
      topic,
      room,
      kept: undefined,
      record: (topic) => this.#record(asked, content, topic),
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
        (plan) => this.#finish(plan),
      );
    } catch (error) {
      // Another relay has gone on with it.
      if (error instanceof LeaseHeldError) return;
      endRestarted(topic, messageOf(error));
    }
  }

  /** Starts a run; resolves when it is over. */
  async #finish(plan: RunPlan): Promise<void> {
    const run = Run.start(plan, this.#context);
    const { topic } = plan;
    this.#runs.add(run);
    try {
      await run.finished;
    } finally {
      this.#runs.delete(run);
      this.#context.runEnded(topic.outcome);
    }
  }

  #record(
    { request: { method }, headers, url: { search }, target }: Asked,
    content: Content | undefined,
    topic: string,
  ): Recording | undefined {
    const { provider, url: { pathname } } = target;
    return this.#context.recorder?.begin({
      topic,
      provider: provider.name,
      method,
      path: `${pathname}${search}`,
      headers,
      body: content && new TextDecoder().decode(content.bytes),
      secrets: provider.key === undefined ? [] : [provider.key],
    });
  }
}
