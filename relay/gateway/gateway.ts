import { EventRoom } from "../limits/memory/event_room.ts";
import type { ReceiveBudget } from "../limits/memory/receive_budget.ts";
import type { Elsewhere } from "../limits/elsewhere.ts";
import type { SendBudget } from "../limits/memory/send_budget.ts";
import type { IncomingMessage } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { STATUS_CODE } from "@std/http/status";
import type { UpstreamSlots } from "../limits/upstream_slots.ts";
import type { RunOutcome } from "../metrics/upstream_metrics.ts";
import { wallTime } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { draining, Problem } from "../problem.ts";
import { assertMay } from "../rights/access.ts";
import { isMisleadingPath } from "../forwarding.ts";
import { endRestarted, type ResponseFilling } from "../topics/filling.ts";
import { LeaseHeldError } from "../topics/lease.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import { topicName } from "../topics/topic_name.ts";
import type { Topic } from "../topics/topic.ts";
import type { FilledBy } from "../topics/topic_source.ts";
import { applicationHeaders } from "./chat/application_headers.ts";
import type { ChatRoute } from "./chat/chat_route.ts";
import { Chats } from "./chat/chats.ts";
import { readTurn } from "./chat/turn_request.ts";
import { HeaderList } from "../header_list.ts";
import { requestHeaders, requestQuery } from "./headers.ts";
import { CancelledSessions } from "./agents/cancelled_sessions.ts";
import {
  completeName,
  isCompleted,
  namesSession,
  topicsOf,
} from "./agents/run_name.ts";
import { sessionInHeaders } from "./agents/session.ts";
import { Caller } from "./caller.ts";
import { type Content, readContent } from "./content.ts";
import { HeldTopics } from "./held_topics.ts";
import { Joining, joinKey, type RunReplay } from "./joining.ts";
import { KeptRuns, type RunStore } from "./kept_runs.ts";
import type { GatewayProvider } from "./provider.ts";
import {
  type BodiesLimits,
  inSteps,
  type ReadBody,
  readBody,
} from "./read_body.ts";
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
  TOPIC_HEADER,
} from "./request.ts";
import { isRunPath, ProviderRights, responseIdIn } from "./provider_rights.ts";
import { responseFilling } from "./kept_response.ts";
import {
  BETA,
  betaOfPost,
  type ResponseRequest,
  ResponsesConnection,
} from "./responses/connection.ts";
import type { MessageSink } from "./responses/message_caller.ts";
import { resumeRun } from "./resume_run.ts";
import { type CallerPlan, Run, type RunContext, type RunPlan } from "./run.ts";
import { assertLength } from "../limits/bounded_body.ts";
import { RunTopic, type RunTopicContext } from "./run_topic.ts";

/** The parts and settings of a gateway. */
export interface GatewayContext extends RunContext, BodiesLimits {
  /** The providers. The first one takes requests that name none. */
  readonly providers: readonly GatewayProvider[];
  /** The chat routes of applications. */
  readonly chats: readonly ChatRoute[];
  /** The topics that event streams fill. */
  readonly topics: TopicRegistry;
  /** Keeps the keys of runs and the ids of responses, if it outlasts the process. */
  readonly store: RunStore;
  /** The time after which a run is cancelled that nobody follows and whose caller has left, in milliseconds. */
  readonly idleCancel: number;
  /** Other workers of the relay. Default: there are none. */
  readonly elsewhere?: Elsewhere | undefined;
  /** As {@linkcode RunTopicContext.idleElsewhere}. */
  readonly idleElsewhere?: RunTopicContext["idleElsewhere"];
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

/** Returns the options of a turn of a chat: its answer is there for all who are in the chat. */
function optionsOf(topic: string): RunOptions {
  return {
    topic,
    renews: true,
    onDisconnect: "continue",
    idempotencyKey: undefined,
  };
}

function notOfChat(): Problem {
  return new Problem(
    STATUS_CODE.UnsupportedMediaType,
    "unsupported_media_type",
    "Expected a body with the Content-Type application/json, as a chat sends it",
  );
}

/** `/{provider}/v1/{path}`, or `/v1/{path}`. */
const PATH = /^\/(?:(?!v1\/)([^/]+)\/)?v1\/(.+)$/;

/** The beginning of paths that a provider's URL ends with in most cases. */
const VERSION = "v1/";

/**
 * Stands between clients of model providers and the providers (PROTOCOL.md,
 * section 4): finds out where a request goes, and answers it with a run that began
 * before, or starts a new one.
 */
export class Gateway implements AsyncDisposable {
  /** The chat routes of applications. */
  readonly chats: Chats;
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
    const { topics, store, clock, idleCancel, idleElsewhere } = context;
    this.#context = context;
    this.#cancelled = new CancelledSessions(clock, context.elsewhere);
    this.chats = new Chats(context.chats);
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
    // If the name has the session in it, the body may decide the name.
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
    const read = await readBody(
      planned,
      isRunPath(planned.target.path),
      this.#context,
    );
    const { content } = read;
    const asked = this.#complete(planned, content);
    await this.#assertMayUse(asked, read);
    const caller = this.#callerOf(asked);
    if (content?.isStream && call.request.method === "POST") {
      await this.#joinOrStart(asked, read, content, caller);
    } else {
      using _slot = this.#takeSlot(asked);
      const topic = this.#topicOf(asked, content);
      await this.#start(asked, read, topic, caller);
    }
    return RESPONSE_ALREADY_SENT;
  }

  /**
   * Answers a turn of a chat with the answer of its application, which fills the chat's
   * topic: the turn is an epoch of it.
   *
   * @param call The request.
   * @param name The name of the chat's route.
   * @returns A response that stands for one that is written already.
   * @throws {Problem} If there is no such route, the request is not a chat's, its caller
   * may not begin turns in it, or a turn is under way.
   */
  async turn(call: GatewayCall, name: string): Promise<Response> {
    const { chats } = this;
    const route = chats.route(name);
    this.#context.draining.assertOpen();
    this.#context.memory.assertRoom();
    const { access, client, headers, url: { search } } = call;
    const target = {
      provider: { name, url: route.url, keyHeader: "authorization" },
      path: "",
      url: new URL(`${route.url}${search}`),
    } as const;
    const read = await readBody(call, false, this.#context);
    if (!read.content) throw notOfChat();
    const { bytes } = read.content;
    const { id, opening } = await inSteps(client, bytes, readTurn(bytes));
    const topicName = chats.topicOf(name, access, id);
    assertMay(access, "send", topicName);
    const asked = {
      ...call,
      target,
      options: optionsOf(topicName),
      agentSession: undefined,
      topicName,
    };
    const { topics } = this.#context;
    if (topics.areFetched) await topics.prepare(topicName, { makes: true });
    using _slot = this.#takeSlot(asked);
    const topic = this.#topicOf(asked, read.content, {
      kind: "chat",
      chat: name,
    }, [opening]);
    topic.reserve();
    const { subject } = access;
    await this.#start(asked, read, topic, this.#callerOf(asked), {
      peer: "application",
      headers: applicationHeaders(headers, { route, subject, id, topicName }),
    });
    return RESPONSE_ALREADY_SENT;
  }

  /** Whether a path is one at which responses are made over a WebSocket. */
  hasWebSocket(pathname: string): boolean {
    return this.#match(pathname)?.path === "responses";
  }

  /**
   * Lets a client make responses over a WebSocket.
   *
   * @param asked The upgrade: its path has a WebSocket.
   * @param sink Takes the messages for the client.
   * @returns The connection, and the name of the topics of its responses.
   * @throws {Problem} If the client may make no responses there.
   */
  connect(
    asked: Omit<GatewayRequest, "request">,
    sink: MessageSink,
  ): { readonly connection: ResponsesConnection; readonly topic: string } {
    const { upstreams, received, bodyLimits, clock } = this.#context;
    const headers = new HeaderList(asked.headers);
    const beta = headers.get(BETA);
    // Of the upgrade. A key would make one response of all.
    for (const name of ["idempotency-key", BETA]) headers.delete(name);
    const others = betaOfPost(beta);
    if (others !== null) headers.set(BETA, others);
    headers.set("content-type", "application/json");
    headers.set("accept", "text/event-stream");
    const { provider } = this.#target(asked);
    if (!headers.has(TOPIC_HEADER) && provider.topic === undefined) {
      headers.set(TOPIC_HEADER, `run-${crypto.randomUUID()}-*`);
    }
    const call = { ...asked, headers, request: { method: "POST" } };
    const planned = this.#plan(call);
    if (!isUnnamed(planned)) {
      assertMay(call.access, "write", planned.topicName);
    }
    this.#rights.assertMayAsk(planned, undefined);
    const connection = new ResponsesConnection({
      call,
      beta,
      sink,
      asksOverWebSocket: provider.websocket === true,
      upstreams,
      maxBytes: bodyLimits.maxBytes,
      account: received.open(call.client, "what responses go on from"),
      now: () => clock.now(),
      wallTime: () => wallTime(clock),
      run: (request) => this.#respond(request),
    });
    const template = planned.options.topic ?? provider.topic!; // set above
    const topic = isUnnamed(planned)
      ? template
      : topicsOf(template, planned.agentSession);
    return { connection, topic };
  }

  /** Makes a run of a message that has come over a WebSocket. */
  async #respond(
    { call, body, caller, other }: ResponseRequest,
  ): Promise<void> {
    const planned = this.#plan(call);
    assertLength(String(body.length), this.#context.bodyLimits);
    const content = await inSteps(
      call.client,
      body,
      readContent(body, { isRun: true, isCoded: false }),
    );
    const asked = this.#complete(planned, content);
    assertMay(asked.access, "write", asked.topicName);
    this.#rights.assertMayAsk(asked, undefined);
    const read = { body, content };
    await this.#assertMayUse(asked, read);
    const { topics } = this.#context;
    if (asked.options.topic !== undefined && topics.areFetched) {
      await topics.prepare(asked.topicName, { makes: true });
    }
    using _slot = this.#takeSlot(asked);
    const topic = this.#topicOf(asked, content);
    topic.reserve();
    await this.#start(asked, read, topic, caller, {
      peer: "provider",
      headers: requestHeaders(asked.headers, asked.target.provider),
      other,
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

  #target(
    { url: { pathname, search } }: Pick<GatewayRequest, "url">,
  ): Target {
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

  /** Answers with the run that the caller's Idempotency-Key names, or with a new one. */
  async #joinOrStart(
    asked: AskedCall,
    read: ReadBody,
    content: Content,
    caller: CallerPlan,
  ): Promise<void> {
    const { bytes } = content;
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
    const topic = this.#topicOf(asked, content);
    topic.reserve();
    if (key) {
      this.#joining.add(key, topic, fingerprint);
      const other = await this.#joining.claim(key, topic, fingerprint);
      if (other) {
        topic.giveUp();
        if (await this.#joining.join(asked, other, fingerprint)) return;
        return await this.#joinOrStart(asked, read, content, caller);
      }
    }
    await this.#start(asked, read, topic, caller);
  }

  #takeSlot({ client }: Asked): Disposable {
    // The relay may have been closed since the request came.
    this.#context.draining.assertOpen();
    if (this.#closing.signal.aborted) throw draining(0);
    return this.#context.slots.take(client);
  }

  #topicOf(
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
  async #start(
    asked: Asked,
    { body, content }: ReadBody,
    topic: RunTopic,
    caller: CallerPlan,
    sent: Pick<ProviderRequest, "peer" | "headers" | "other"> = {
      peer: "provider",
      headers: requestHeaders(asked.headers, asked.target.provider),
    },
  ): Promise<void> {
    const { request, target, client, agentSession } = asked;
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
