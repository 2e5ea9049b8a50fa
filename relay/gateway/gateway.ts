import type { IncomingMessage } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { STATUS_CODE } from "@std/http/status";
import { wallTime } from "../../src/fetch/clock.ts";
import { HeaderList } from "../header_list.ts";
import { assertLength } from "../limits/bounded_body.ts";
import { assertUtf8 } from "../limits/charset.ts";
import type { Elsewhere } from "../limits/elsewhere.ts";
import type { SendBudget } from "../limits/memory/send_budget.ts";
import { Problem } from "../problem.ts";
import { assertMay } from "../rights/access.ts";
import { CancelledSessions } from "./agents/cancelled_sessions.ts";
import { topicsOf } from "./agents/run_name.ts";
import { Caller } from "./caller.ts";
import { applicationHeaders } from "./chat/application_headers.ts";
import type { ChatRoute } from "./chat/chat_route.ts";
import { Chats } from "./chat/chats.ts";
import { readTurn } from "./chat/turn_request.ts";
import { type Content, readContent } from "./content.ts";
import { requestHeaders } from "./headers.ts";
import { Joining, joinKey, type RunReplay } from "./joining.ts";
import { KeptRuns, type RunStore } from "./kept_runs.ts";
import { isRunPath, ProviderRights, responseIdIn } from "./provider_rights.ts";
import {
  type BodiesLimits,
  inSteps,
  type ReadBody,
  readBody,
} from "./read_body.ts";
import { referencesInQuery } from "./references.ts";
import {
  type Asked,
  type AskedCall,
  digest,
  digestOf,
  type GatewayCall,
  type GatewayRequest,
  type RunOptions,
  TOPIC_HEADER,
} from "./request.ts";
import {
  BETA,
  betaOfPost,
  type ResponseRequest,
  ResponsesConnection,
} from "./responses/connection.ts";
import type { MessageSink } from "./responses/message_caller.ts";
import { isUnnamed, Routing, type RoutingContext } from "./routing.ts";
import type { CallerPlan } from "./run.ts";
import { Runs, type RunsContext } from "./runs.ts";

/** The parts and settings of a gateway. */
export interface GatewayContext
  extends RunsContext, RoutingContext, BodiesLimits {
  /** The chat routes of applications. */
  readonly chats: readonly ChatRoute[];
  /** Keeps the keys of runs and the ids of responses, if it outlasts the process. */
  readonly store: RunStore;
  /** Other workers of the relay. Default: there are none. */
  readonly elsewhere?: Elsewhere | undefined;
  /** The requests to providers that tokens allow by default, besides runs and models. */
  readonly allowedPaths: readonly string[];
  /** Counts the bytes that wait for callers. */
  readonly budget: SendBudget;
  /** Logs and counts a problem that a caller is answered with. */
  refused(problem: Problem, incoming: IncomingMessage): void;
  /** Answers a caller with a run's events, unless it has all of them already. */
  stream(replay: RunReplay): "streaming" | "at end";
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

/**
 * Stands between clients of model providers and the providers (PROTOCOL.md,
 * section 4): answers a request with a run that began before, or starts a new one.
 */
export class Gateway {
  /** The chat routes of applications. */
  readonly chats: Chats;
  /** The runs that are going on. */
  readonly runs: Runs;
  readonly #context: GatewayContext;
  readonly #routing: Routing;
  readonly #rights: ProviderRights;
  readonly #joining: Joining;

  /** Makes a gateway without runs. */
  constructor(context: GatewayContext) {
    const { topics, store, clock } = context;
    const cancelled = new CancelledSessions(clock, context.elsewhere);
    this.#context = context;
    this.chats = new Chats(context.chats);
    this.#routing = new Routing(context, cancelled);
    this.#rights = new ProviderRights(context.allowedPaths);
    this.#joining = new Joining(
      topics,
      new KeptRuns(store, clock),
      clock,
      (replay) => context.stream(replay),
    );
    this.runs = new Runs(context, cancelled, this.#joining);
  }

  /** Whether a path is a provider's. */
  handles(pathname: string): boolean {
    return this.#routing.match(pathname) !== undefined;
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
    const planned = this.#routing.plan(call);
    // If the name has the session in it, the body may decide the name.
    if (!isUnnamed(planned)) assertMay(call.access, "write", planned.topicName);
    const id = responseIdIn(planned.target.path);
    const known = id === undefined
      ? undefined
      : await this.#joining.responseAsked(planned, id);
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
    const asked = this.#routing.complete(planned, content);
    await this.#assertMayUse(asked, read);
    const caller = this.#callerOf(asked);
    if (content?.isStream && call.request.method === "POST") {
      await this.#joinOrStart(asked, read, content, caller);
    } else {
      using _slot = this.runs.takeSlot(asked);
      const topic = this.runs.topicOf(asked, content);
      await this.runs.start(asked, read, topic, caller);
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
    assertUtf8(headers.get("content-type"));
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
    // First of all: a turn that is refused leaves no topic.
    using _slot = this.runs.takeSlot(asked);
    await this.#prepare(asked);
    const topic = this.runs.topicOf(asked, read.content, {
      kind: "chat",
      chat: name,
    }, [opening]);
    topic.reserve();
    const { subject } = access;
    await this.runs.start(asked, read, topic, this.#callerOf(asked), {
      peer: "application",
      headers: applicationHeaders(headers, { route, subject, id, topicName }),
    });
    return RESPONSE_ALREADY_SENT;
  }

  /** Whether a path is one at which responses are made over a WebSocket. */
  hasWebSocket(pathname: string): boolean {
    return this.#routing.match(pathname)?.path === "responses";
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
    const { provider } = this.#routing.target(asked);
    if (!headers.has(TOPIC_HEADER) && provider.topic === undefined) {
      headers.set(TOPIC_HEADER, `run-${crypto.randomUUID()}-*`);
    }
    const call = { ...asked, headers, request: { method: "POST" } };
    const planned = this.#routing.plan(call);
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
    const planned = this.#routing.plan(call);
    assertLength(String(body.length), this.#context.bodyLimits);
    const content = await inSteps(
      call.client,
      body,
      readContent(body, { isRun: true, isCoded: false }),
    );
    const asked = this.#routing.complete(planned, content);
    assertMay(asked.access, "write", asked.topicName);
    this.#rights.assertMayAsk(asked, undefined);
    const read = { body, content };
    await this.#assertMayUse(asked, read);
    // As in `turn`.
    using _slot = this.runs.takeSlot(asked);
    await this.#prepare(asked);
    const topic = this.runs.topicOf(asked, content);
    topic.reserve();
    await this.runs.start(asked, read, topic, caller, {
      peer: "provider",
      headers: requestHeaders(asked.headers, asked.target.provider),
      other,
    });
  }

  /** Has the topic of a run at hand; returns `undefined` if it is. */
  #prepare(
    { options, topicName, access }: Asked,
  ): Promise<void> | undefined {
    // No other run has a topic that its caller has not named.
    if (options.topic === undefined) return undefined;
    return this.#context.topics.prepare(topicName, {
      makes: true,
      owner: access.identity,
      isFresh: true,
      renews: options.renews,
    });
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

  /**
   * Refuses a run that uses something at the provider (a response, a conversation, a
   * file) that its caller neither made nor may get, and one that may do so unread.
   */
  async #assertMayUse(
    asked: Asked,
    { body, content }: ReadBody,
  ): Promise<void> {
    const { request, access, target } = asked;
    if (request.method !== "POST") return;
    const isEmpty = body === null ||
      body instanceof Uint8Array && body.length === 0;
    const inBody = isEmpty ? [] : content?.references;
    if (!inBody) return this.#rights.assertMayGoUnread(asked);
    const inQuery = referencesInQuery(
      target.url.search,
      isRunPath(target.path),
    );
    for (const path of [...inBody, ...inQuery]) {
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
    for (let isPrepared = false;;) {
      const found = key ? this.#joining.find(key) : undefined;
      // At once, if it is at hand: see below.
      const earlier = found instanceof Promise ? await found : found;
      if (earlier) {
        if (await this.#joining.join(asked, earlier, fingerprint)) return;
        continue;
      }
      const preparing = isPrepared ? undefined : this.#prepare(asked);
      if (!preparing) break;
      await preparing;
      isPrepared = true;
    }
    // Nothing is waited for from here until the run can be found: of two callers
    // with one key, only one may start it.
    using _slot = this.runs.takeSlot(asked);
    const topic = this.runs.topicOf(asked, content);
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
    await this.runs.start(asked, read, topic, caller);
  }
}
