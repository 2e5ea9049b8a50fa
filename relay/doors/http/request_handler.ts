import type { ServerResponse } from "node:http";
import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
import { type Route, route } from "@std/http/unstable-route";
import type { Gateway } from "../../gateway/gateway.ts";
import { sdkProblem } from "../../gateway/sdk_problem.ts";
import { Problem } from "../../problem.ts";
import { assertAdmin, assertMay } from "../../rights/access.ts";
import { InvalidTopicNameError } from "../../topics/topic_errors.ts";
import { isTopicName } from "../../topics/topic_name.ts";
import { decodeName } from "../subscription_request.ts";
import {
  type Endpoint,
  type EndpointContext,
  listEndpoints,
} from "./endpoints.ts";
import type { Entrance } from "./entrance.ts";
import { problemOf } from "./problem_of.ts";
import type { HttpServerHandlers } from "./server.ts";
import type { SlowResponses } from "./slow_responses.ts";

/** The context of the request handler. */
export interface RequestHandlerContext extends EndpointContext {
  /** Says who has made a request. */
  readonly entrance: Entrance;
  /** Cuts responses of which nothing is read. */
  readonly slowResponses: Pick<SlowResponses, "add">;
  /** Stands in front of the providers of models. */
  readonly gateway: Pick<Gateway, "handles" | "handle" | "chats" | "turn">;
}

const logger = getLogger(["rivulet", "relay", "http"]);

/** The codes of errors of a connection that its peer has cut. */
const CUT = /^(?:ECONNRESET|ECONNABORTED|EPIPE|ERR_STREAM_PREMATURE_CLOSE)$/;

/** Whether an error says that the client is gone: nobody is there to be answered. */
function hasLeft(error: unknown, { req }: ServerResponse): boolean {
  return req.destroyed && error instanceof Error && "code" in error &&
    typeof error.code === "string" && CUT.test(error.code);
}

/**
 * Returns the pattern of a path. A name that ends with a star, which some clients encode, is
 * the beginning of names, and no topic's.
 */
function patternOf(path: string): URLPattern {
  return new URLPattern({
    pathname: path
      // Node's classes of characters have the flag "v", by which "/" is escaped.
      .replace(":topic", ":topic([^\\/]*[^\\/*])")
      .replace(":prefix\\*", ":prefix([^\\/]*?)(\\*|%2[aA])"),
  });
}

/** Makes what answers every request: an endpoint of the relay, or a provider. */
export function createRequestHandler(
  context: RequestHandlerContext,
): HttpServerHandlers["request"] {
  const { entrance, gateway, slowResponses, topics } = context;
  // Until a request is routed. No `WeakMap`: values that refer to their keys outlive
  // collections of young objects.
  const responses = new Map<Request, ServerResponse>();

  async function answer(
    { needs, topicOf, prepares, answer }: Endpoint,
    request: Request,
    match: URLPatternResult,
  ): Promise<Response> {
    const response = responses.get(request)!; // put there before it is routed
    const call = needs === "nothing"
      ? entrance.open(request, response)
      : await entrance.admit(request, response);
    using _body = call.incoming;
    const part = (name: string): string =>
      decodeName(match.pathname.groups[name] ?? "");
    const topic = topicOf?.(call.access, part) ?? part("topic");
    switch (needs) {
      case "nothing":
      case "token":
        break;
      case "admin":
        assertAdmin(call.access);
        break;
      default:
        assertMay(call.access, needs, topic);
        if (!isTopicName(topic)) throw new InvalidTopicNameError(topic);
        // Only now: a topic may come to be by this.
        if (topics.areShared) {
          const owner = call.access.identity;
          await topics.prepare(topic, { ...prepares?.(call), owner });
        }
    }
    return await answer(call, topic);
  }

  const routes: Route[] = listEndpoints(context).map((endpoint) => ({
    pattern: patternOf(endpoint.path),
    method: endpoint.method,
    handler: (request, match) => answer(endpoint, request, match),
  }));

  function unrouted({ method, url }: Request): never {
    const allowed = routes.filter(({ pattern }) => pattern.test(url))
      .flatMap(({ method }) => method ?? []);
    if (allowed.length > 0) {
      throw new Problem(
        STATUS_CODE.MethodNotAllowed,
        "method_not_allowed",
        `Expected ${allowed.join(", ")}: got ${method}`,
        { allowed },
        { Allow: allowed.join(", ") },
      );
    }
    throw new Problem(
      STATUS_CODE.NotFound,
      "not_found",
      `There is nothing at ${new URL(url).pathname}`,
    );
  }

  const handle = route(routes, unrouted);

  function answerRouted(
    request: Request,
    response: ServerResponse,
  ): Response | Promise<Response> {
    responses.set(request, response);
    try {
      return handle(request);
    } finally {
      responses.delete(request);
    }
  }

  return async (request, response) => {
    slowResponses.add(response);
    let isOfGateway = false;
    try {
      const greeting = entrance.greet(response);
      if (greeting) return greeting;
      const url = new URL(request.url);
      isOfGateway = gateway.handles(url.pathname);
      if (!isOfGateway) return await answerRouted(request, response);
      const call = await entrance.admit(request, response, "gateway", url);
      using _body = call.incoming;
      return await gateway.handle(call);
    } catch (error) {
      const problem = problemOf(error);
      if (!problem && hasLeft(error, response)) {
        logger.debug("A client left in the middle of its request: {error}", {
          error,
        });
        return new Response(null, { status: STATUS_CODE.BadRequest });
      }
      if (!problem) throw error;
      entrance.refused(problem, response.req);
      return (isOfGateway ? sdkProblem(problem) : problem).toResponse();
    }
  };
}
