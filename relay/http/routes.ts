import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { accepts } from "@std/http/negotiation";
import { STATUS_CODE } from "@std/http/status";
import { type Handler, type Route, route } from "@std/http/unstable-route";
import { z } from "zod";
import { afterText, endReason } from "../delivery/client_message.ts";
import type { Gateway } from "../gateway/gateway.ts";
import {
  BodyLimitError,
  type BodyLimits,
  readBody,
} from "../sources/bounded_body.ts";
import {
  type Publisher,
  PublishError,
  type PublishType,
} from "../sources/publish.ts";
import {
  type SourceReconnect,
  sourceReconnect,
} from "../sources/source_reconnect.ts";
import type { Sources, SourceSpec } from "../sources/sources.ts";
import type { ReadBudget } from "../topics/log.ts";
import { type After, parseAfter } from "../topics/position.ts";
import {
  InvalidTopicNameError,
  type TopicRegistry,
} from "../topics/registry.ts";
import {
  type EndStatus,
  type Topic,
  TopicEndedError,
} from "../topics/topic.ts";
import { Problem, unknownTopic } from "../problem.ts";
import { describeTopic } from "./describe_topic.ts";

/** What the routes work on. */
export interface RouteContext {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** What fills them from elsewhere. */
  readonly sources: Sources;
  /** What fills them by `POST`. */
  readonly publisher: Publisher;
  /** How much of a body is taken, and how fast it has to come. */
  readonly bodyLimits: BodyLimits;
  /** Whether an unknown topic can be waited for. */
  readonly awaitTopics: boolean;
  /** Stands in front of the providers of models. */
  readonly gateway: Gateway;
  /** Beginnings of the URLs that topics may be made from by request. */
  readonly allowSources: readonly string[];
  /** Why new subscribers are refused, if they are. */
  refusal(): Problem | undefined;
  /** Answers with a topic's events. */
  stream(
    response: ServerResponse,
    topic: Topic,
    after: After,
    raw: boolean,
  ): "streaming" | "at end";
}

/** Answers one request; `response` is for an answer that is written as it comes. */
export type RequestHandler = (
  request: Request,
  response: ServerResponse,
) => Promise<Response>;

const PAGE: ReadBudget = { events: 1_000, bytes: 1024 * 1024 };

const PUBLISH_TYPES: ReadonlySet<string> = new Set<PublishType>([
  "text/event-stream",
  "application/json",
  "text/plain",
]);

const pageQuery = z.object({
  after: afterText.optional(),
  limit: z.coerce.number().int().min(1).max(PAGE.events).optional(),
});

/** Who may make a topic may still not have the relay beat on its upstream; in milliseconds. */
const MIN_TIMEOUT = 100;

function isSlowEnough(reconnect: boolean | SourceReconnect): boolean {
  return typeof reconnect === "boolean" ||
    (reconnect.minTimeout ?? MIN_TIMEOUT) >= MIN_TIMEOUT;
}

const putBody = z.strictObject({
  source: z.strictObject({
    url: z.url({ protocol: /^https?$/ }),
    headers: z.record(z.string(), z.string()).optional(),
    reconnect: sourceReconnect.refine(isSlowEnough, {
      message: `Expected a 'minTimeout' of at least ${MIN_TIMEOUT} ms`,
    }),
    repeats: z.enum(["keep", "drop"]).default("keep"),
  }).optional(),
});

const endBody = z.strictObject({
  status: z.enum(["complete", "failed", "truncated", "cancelled", "expired"])
    .default("complete"),
  reason: endReason.optional(),
});

const cancelBody = endBody.pick({ reason: true });

/** Headers that belong to the connection, or would change where a request goes. */
const FORBIDDEN_HEADERS =
  /^(connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i;

function parseWith<T>(schema: z.ZodType<T>, value: unknown, code: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Problem(
    STATUS_CODE.BadRequest,
    code,
    z.prettifyError(parsed.error),
  );
}

function parseJson(text: string): unknown {
  try {
    return text === "" ? {} : JSON.parse(text);
  } catch {
    throw new Problem(
      STATUS_CODE.BadRequest,
      "invalid_body",
      "Expected a body of JSON",
    );
  }
}

/** Turns what was thrown into what is told; what is not foreseen is not told. */
function toProblem(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  if (error instanceof InvalidTopicNameError) {
    return new Problem(STATUS_CODE.BadRequest, error.code, error.message);
  }
  if (error instanceof TopicEndedError) {
    return new Problem(STATUS_CODE.Conflict, error.code, error.message, {
      end: error.end,
    });
  }
  if (error instanceof BodyLimitError) {
    const status = error.code === "body_timeout"
      ? STATUS_CODE.RequestTimeout
      : STATUS_CODE.ContentTooLarge;
    return new Problem(status, error.code, error.message);
  }
  if (error instanceof PublishError) {
    const status = {
      invalid_body: STATUS_CODE.BadRequest,
      body_incomplete: STATUS_CODE.BadRequest,
      body_too_large: STATUS_CODE.ContentTooLarge,
      key_in_use: STATUS_CODE.Conflict,
    }[error.code];
    const added = error.added && { added: error.added };
    return new Problem(status, error.code, error.message, added);
  }
  return undefined;
}

/** Makes the relay's HTTP interface (protocol, sections 3 and 4). */
export function createRequestHandler(context: RouteContext): RequestHandler {
  const { topics, sources, publisher, bodyLimits, gateway } = context;
  const responses = new WeakMap<Request, ServerResponse>();

  function named(match: URLPatternResult): string {
    const name = match.pathname.groups["topic"] ?? "";
    try {
      return decodeURIComponent(name);
    } catch {
      return name; // refused as it is
    }
  }

  function known(match: URLPatternResult): Topic {
    const name = named(match);
    const topic = topics.get(name);
    if (!topic) throw unknownTopic(name);
    return topic;
  }

  function ready(): Response {
    const refusal = context.refusal();
    if (refusal) throw refusal;
    return Response.json({ status: "ok" });
  }

  function stream(request: Request, match: URLPatternResult): Response {
    const refusal = context.refusal();
    if (refusal) throw refusal;
    const url = new URL(request.url);
    const query = parseWith(
      z.object({ after: afterText.optional() }),
      Object.fromEntries(url.searchParams),
      "invalid_position",
    );
    const { searchParams } = url;
    if (
      (searchParams.get("mode") ?? "all") !== "all" ||
      searchParams.has("window") || searchParams.has("snapshot")
    ) {
      throw new Problem(
        STATUS_CODE.BadRequest,
        "unsupported",
        "An event stream is delivered in mode 'all', without 'window' and 'snapshot': use a WebSocket for these",
      );
    }
    const name = named(match);
    const topic = context.awaitTopics ? topics.await(name) : known(match);
    // A reconnecting EventSource repeats its URL: what it has read since is in the header.
    const lastEventId = request.headers.get("last-event-id");
    const after = lastEventId
      // An id that no relay gave is a position of another log.
      ? parseAfter(lastEventId) ?? { epoch: "", offset: 1 }
      : query.after ?? topic.from;
    const outcome = context.stream(
      responses.get(request)!, // put there for every request
      topic,
      after,
      searchParams.has("raw"),
    );
    return outcome === "at end"
      ? new Response(null, { status: STATUS_CODE.NoContent })
      : RESPONSE_ALREADY_SENT;
  }

  async function page(
    request: Request,
    match: URLPatternResult,
  ): Promise<Response> {
    const { log, state } = known(match);
    const { after = "start", limit = PAGE.events } = parseWith(
      pageQuery,
      Object.fromEntries(new URL(request.url).searchParams),
      "invalid_query",
    );
    const { epoch, first, next } = log;
    let from = first;
    let recovered = true;
    if (after === "now") {
      from = next;
    } else if (after !== "start") {
      const last = state.kind === "ended" ? next : next - 1;
      recovered = after.epoch === epoch && after.offset + 1 >= first &&
        after.offset <= last;
      if (recovered) from = Math.min(after.offset + 1, next);
    }
    const entries = from < next
      ? (await log.read(from, { ...PAGE, events: limit })).entries
      : [];
    const to = from + entries.length;
    const end = state.kind === "ended" && to === next
      ? { offset: next, ...state.end }
      : undefined;
    const facts = JSON.stringify({
      epoch,
      offset: from,
      next: to,
      recovered,
      state: state.kind,
      end,
    });
    const events = entries.map(({ json }) => json).join(",");
    return new Response(`${facts.slice(0, -1)},"events":[${events}]}`, {
      headers: {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
      },
    });
  }

  const get: Handler = (request, match) => {
    switch (accepts(request, "text/event-stream", "application/json")) {
      case "text/event-stream":
        return stream(request, match);
      case "application/json":
        return page(request, match);
      default:
        throw new Problem(
          STATUS_CODE.NotAcceptable,
          "not_acceptable",
          "Expected an Accept of text/event-stream or application/json",
        );
    }
  };

  const head: Handler = (_request, match) => {
    const { epoch, next, state, upstream, end } = describeTopic(known(match));
    return new Response(null, {
      headers: {
        "Rivulet-Epoch": epoch,
        "Rivulet-Next": String(next),
        "Rivulet-State": state,
        ...(upstream && { "Rivulet-Upstream": upstream.state }),
        ...(end && { "Rivulet-End": end.status }),
        "Cache-Control": "no-store",
      },
    });
  };

  const put: Handler = async (request, match) => {
    const text = await readBody(request.body, bodyLimits);
    const { source } = parseWith(putBody, parseJson(text), "invalid_body");
    const spec = source && checkSource(source);
    const name = named(match);
    const before = topics.get(name);
    if (before && !topics.isAwaited(before)) {
      const same = JSON.stringify(sources.get(before)) === JSON.stringify(spec);
      if (same) return Response.json(describeTopic(before));
      throw new Problem(
        STATUS_CODE.Conflict,
        "topic_exists",
        `There is a topic '${name}' with another source: delete it first`,
      );
    }
    // It was cancelled while somebody waited for it.
    if (before?.state.kind === "ended") {
      throw new TopicEndedError(name, before.state.end);
    }
    const topic = topics.create(name);
    if (spec) sources.start(topic, spec);
    return Response.json(describeTopic(topic), {
      status: STATUS_CODE.Created,
      headers: { Location: `/topics/${name}` },
    });
  };

  function checkSource(
    { url, headers, reconnect, repeats }: NonNullable<
      z.infer<typeof putBody>["source"]
    >,
  ): SourceSpec {
    const { href, username, password } = new URL(url);
    // The credentials of `http://allowed@elsewhere/` would pass for a beginning.
    if (
      username || password ||
      !context.allowSources.some((prefix) => href.startsWith(prefix))
    ) {
      throw new Problem(
        STATUS_CODE.Forbidden,
        "source_not_allowed",
        "The operator has not allowed topics to be made from this URL (--allow-source)",
      );
    }
    const forbidden = Object.keys(headers ?? {})
      .find((header) => FORBIDDEN_HEADERS.test(header));
    if (forbidden !== undefined) {
      throw new Problem(
        STATUS_CODE.BadRequest,
        "invalid_body",
        `The header '${forbidden}' cannot be set for a source`,
      );
    }
    // A redirect would lead around what the operator has allowed.
    return {
      kind: "sse",
      url: href,
      headers,
      redirect: "error",
      reconnect,
      repeats,
    };
  }

  const post: Handler = async (request, match) => {
    const type = (request.headers.get("content-type") ?? "")
      .split(";")[0]!.trim().toLowerCase(); // split gives one part at least
    if (!PUBLISH_TYPES.has(type)) {
      throw new Problem(
        STATUS_CODE.UnsupportedMediaType,
        "unsupported_media_type",
        `Expected a Content-Type of ${
          [...PUBLISH_TYPES].join(", ")
        }: got '${type}'`,
      );
    }
    const name = named(match);
    const before = topics.get(name);
    const isNew = !before || topics.isAwaited(before);
    const topic = topics.create(name);
    if (topic.state.kind === "ended") {
      throw new TopicEndedError(topic.name, topic.state.end);
    }
    try {
      const published = await publisher.publish(topic, {
        type: type as PublishType, // one of PUBLISH_TYPES
        body: request.body,
        key: request.headers.get("idempotency-key") ?? undefined,
      });
      return Response.json(published);
    } catch (error) {
      if (isNew) topics.release(topic);
      if (error instanceof TopicEndedError) endAfterAnswer(request);
      throw error;
    }
  };

  /**
   * Says that nothing more is wanted of a body that is still on its way. What
   * comes of it is read a little longer: to close the connection at once would
   * take the answer from a sender that is just writing.
   */
  function endAfterAnswer(request: Request): void {
    const response = responses.get(request)!; // put there for every request
    const { socket } = response; // no longer its own once it has finished
    response.on("finish", () => socket?.end());
  }

  const end: Handler = async (request, match) => {
    const text = await readBody(request.body, bodyLimits);
    const { status, reason } = parseWith(
      endBody,
      parseJson(text),
      "invalid_body",
    );
    return await conclude(known(match), status, reason);
  };

  const cancel: Handler = async (request, match) => {
    const text = await readBody(request.body, bodyLimits);
    const { reason } = parseWith(cancelBody, parseJson(text), "invalid_body");
    return await conclude(known(match), "cancelled", reason);
  };

  async function conclude(
    topic: Topic,
    status: EndStatus,
    reason: string | undefined,
  ): Promise<Response> {
    topic.end(status, reason);
    const ended = await topic.ended;
    // An earlier verdict stands; to repeat it is no error.
    if (ended.status !== status) throw new TopicEndedError(topic.name, ended);
    return Response.json(describeTopic(topic));
  }

  const remove: Handler = (_request, match) => {
    const name = named(match);
    if (!topics.delete(name)) throw unknownTopic(name);
    return new Response(null, { status: STATUS_CODE.NoContent });
  };

  const TOPIC = new URLPattern({ pathname: "/topics/:topic" });
  const routes: Route[] = [
    {
      pattern: new URLPattern({ pathname: "/healthz" }),
      method: "GET",
      handler: () => Response.json({ status: "ok" }),
    },
    {
      pattern: new URLPattern({ pathname: "/readyz" }),
      method: "GET",
      handler: ready,
    },
    {
      pattern: new URLPattern({ pathname: "/topics" }),
      method: "GET",
      handler: () =>
        Response.json({ topics: Array.from(topics, describeTopic) }),
    },
    { pattern: TOPIC, method: "GET", handler: get },
    { pattern: TOPIC, method: "HEAD", handler: head },
    { pattern: TOPIC, method: "PUT", handler: put },
    { pattern: TOPIC, method: "POST", handler: post },
    { pattern: TOPIC, method: "DELETE", handler: remove },
    {
      pattern: new URLPattern({ pathname: "/topics/:topic/end" }),
      method: "POST",
      handler: end,
    },
    {
      pattern: new URLPattern({ pathname: "/topics/:topic/cancel" }),
      method: "POST",
      handler: cancel,
    },
  ];

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
      return gateway.handles(new URL(request.url).pathname)
        ? await gateway.handle(request, response)
        : await handle(request);
    } catch (error) {
      const problem = toProblem(error);
      if (!problem) throw error;
      return problem.toResponse();
    }
  };
}
