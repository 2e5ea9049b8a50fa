import type { ServerResponse } from "node:http";
import { STATUS_CODE } from "@std/http/status";
import { type Route, route } from "@std/http/unstable-route";
import type { Gateway } from "../../gateway/gateway.ts";
import { Problem } from "../../problem.ts";
import { assertAdmin, assertMay, type Right } from "../../rights/access.ts";
import { decodeName } from "../subscription_request.ts";
import type { Call } from "./call.ts";
import type { Entrance } from "./entrance.ts";
import { problemOf } from "./problem_of.ts";
import { TopicReader, type TopicReaderContext } from "./topics/topic_reader.ts";
import { TopicWriter, type TopicWriterContext } from "./topics/topic_writer.ts";

/** What the routes work on. */
export interface RouteContext extends TopicReaderContext, TopicWriterContext {
  /** Says who has made a request. */
  readonly entrance: Entrance;
  /** Stands in front of the providers of models. */
  readonly gateway: Gateway;
  /** Whether the relay's figures are for everybody. */
  readonly publicMetrics: boolean;
  /** Tells the relay's figures. */
  metrics(): Promise<Response>;
}

/** Answers one request; `response` is for an answer that is written as it comes. */
export type RequestHandler = (
  request: Request,
  response: ServerResponse,
) => Promise<Response>;

/** What a caller has to have: a right, for the topic that the path names. */
type Needs = "nothing" | "token" | "admin" | Right;

/** One verb at one path. */
interface Endpoint {
  readonly path: string;
  readonly method: string;
  readonly needs: Needs;
  answer(call: Call, topic: string): Response | Promise<Response>;
}

function topicOf(match: URLPatternResult): string {
  return decodeName(match.pathname.groups["topic"] ?? "");
}

/** Makes the relay's HTTP interface (PROTOCOL.md, sections 3 and 4). */
export function createRequestHandler(context: RouteContext): RequestHandler {
  const { entrance, gateway, refusal } = context;
  const reader = new TopicReader(context);
  const writer = new TopicWriter(context);
  const responses = new WeakMap<Request, ServerResponse>();

  function ready(): Response {
    const problem = refusal();
    if (problem) throw problem;
    return Response.json({ status: "ok" });
  }

  const TOPIC = "/topics/:topic";
  const endpoints: readonly Endpoint[] = [
    {
      path: "/healthz",
      method: "GET",
      needs: "nothing",
      answer: () => Response.json({ status: "ok" }),
    },
    { path: "/readyz", method: "GET", needs: "nothing", answer: ready },
    {
      path: "/metrics",
      method: "GET",
      needs: context.publicMetrics ? "nothing" : "admin",
      answer: () => context.metrics(),
    },
    {
      path: "/topics",
      method: "GET",
      needs: "token",
      answer: (call) => reader.list(call),
    },
    {
      path: TOPIC,
      method: "GET",
      needs: "read",
      answer: (call, topic) => reader.get(call, topic),
    },
    {
      path: TOPIC,
      method: "HEAD",
      needs: "read",
      answer: (call, topic) => reader.head(call, topic),
    },
    {
      path: TOPIC,
      method: "PUT",
      needs: "write",
      answer: (call, topic) => writer.put(call, topic),
    },
    {
      path: TOPIC,
      method: "POST",
      needs: "write",
      answer: (call, topic) => writer.post(call, topic),
    },
    {
      path: TOPIC,
      method: "DELETE",
      needs: "write",
      answer: (call, topic) => writer.remove(call, topic),
    },
    {
      path: `${TOPIC}/end`,
      method: "POST",
      needs: "write",
      answer: (call, topic) => writer.end(call, topic),
    },
    {
      path: `${TOPIC}/cancel`,
      method: "POST",
      needs: "cancel",
      answer: (call, topic) => writer.cancel(call, topic),
    },
  ];

  async function answer(
    { needs, answer }: Endpoint,
    request: Request,
    topic: string,
  ): Promise<Response> {
    const response = responses.get(request)!; // put there for every request
    const call = needs === "nothing"
      ? entrance.open(request, response)
      : await entrance.admit(request, response);
    switch (needs) {
      case "nothing":
      case "token":
        break;
      case "admin":
        assertAdmin(call.access);
        break;
      default:
        assertMay(call.access, needs, topic);
    }
    return await answer(call, topic);
  }

  const routes: Route[] = endpoints.map((endpoint) => ({
    pattern: new URLPattern({ pathname: endpoint.path }),
    method: endpoint.method,
    handler: (request, match) => answer(endpoint, request, topicOf(match)),
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
  return async (request, response) => {
    responses.set(request, response);
    try {
      const greeting = entrance.greet(response);
      if (greeting) return greeting;
      const { pathname } = new URL(request.url);
      return gateway.handles(pathname)
        ? await gateway.handle(
          await entrance.admit(request, response, "gateway"),
        )
        : await handle(request);
    } catch (error) {
      const problem = problemOf(error);
      if (!problem) throw error;
      entrance.refused(problem, response.req);
      return problem.toResponse();
    }
  };
}
