import { STATUS_CODE } from "@std/http/status";
import { type Clock, wallTime } from "../../src/fetch/clock.ts";
import { isMisleadingPath } from "../forwarding.ts";
import { Problem } from "../problem.ts";
import { assertMay } from "../rights/access.ts";
import { topicName } from "../topics/topic_name.ts";
import type { CancelledSessions } from "./agents/cancelled_sessions.ts";
import { completeName, namesSession } from "./agents/run_name.ts";
import { sessionInHeaders } from "./agents/session.ts";
import type { Content } from "./content.ts";
import { requestQuery } from "./headers.ts";
import type { GatewayProvider } from "./provider.ts";
import { isRunPath } from "./provider_rights.ts";
import {
  type Asked,
  type GatewayRequest,
  readRunOptions,
  type RunOptions,
  type Target,
} from "./request.ts";

/** The parts and settings that decide where requests go. */
export interface RoutingContext {
  /** The providers. The first one takes requests that name none. */
  readonly providers: readonly GatewayProvider[];
  /** The clock. */
  readonly clock: Clock;
  /** Refuses new requests while the relay is drained, by throwing a {@linkcode Problem}. */
  readonly draining: { assertOpen(): void };
  /** Refuses new requests while there is little memory. */
  readonly memory: { assertRoom(): void };
}

/** `/{provider}/v1/{path}`, or `/v1/{path}`. */
const PATH = /^\/(?:(?!v1\/)([^/]+)\/)?v1\/(.+)$/;

/** The beginning of paths that a provider's URL ends with in most cases. */
const VERSION = "v1/";

/** Whether the topic of a request has a session in its name which only the body may tell. */
export function isUnnamed(
  { options, target: { provider }, agentSession }: Asked,
): boolean {
  const { topic = provider.topic } = options;
  return agentSession === undefined && topic !== undefined &&
    namesSession(topic);
}

/** Says where each request goes, and the topic that its answer fills. */
export class Routing {
  readonly #context: RoutingContext;
  readonly #cancelled: CancelledSessions;

  /**
   * Knows the providers.
   *
   * @param context The parts and settings.
   * @param cancelled The sessions of agents whose requests are refused for now.
   */
  constructor(context: RoutingContext, cancelled: CancelledSessions) {
    this.#context = context;
    this.#cancelled = cancelled;
  }

  /** Returns the provider of a path, and the path there; `undefined` if it is nobody's. */
  match(
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

  /**
   * Returns the place that a request goes to, whose path {@linkcode match} knows.
   *
   * @throws {Problem} 400 `invalid_path`.
   */
  target({ url: { pathname, search } }: Pick<GatewayRequest, "url">): Target {
    const { provider, path } = this.match(pathname)!; // the caller has asked
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
   * Says where a request goes, and what it fills: before its body is read.
   *
   * @throws {Problem} If the relay takes none now, or something is wrong with its head.
   */
  plan<T extends GatewayRequest>(call: T): T & Asked {
    this.#context.draining.assertOpen();
    this.#context.memory.assertRoom();
    const target = this.target(call);
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
  complete<T extends Asked>(planned: T, content: Content | undefined): T {
    const { target, options, access } = planned;
    if (isRunPath(target.path)) this.#cancelled.assertOpen(planned);
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
}
