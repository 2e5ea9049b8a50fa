import type { ServerResponse } from "node:http";
import type { IncomingMessage } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { accepts } from "@std/http/negotiation";
import { STATUS_CODE } from "@std/http/status";
import { readPrefixQuery } from "../../sse/prefix_query.ts";
import type { PrefixStreamRequest } from "../../sse/prefix_session.ts";
import type { StreamRequest } from "../../sse/session.ts";
import { turnAway } from "../../sse/stream_session.ts";
import { eventJsonPieces } from "../../event_json.ts";
import { dropAnswer } from "../../../cut_answer.ts";
import type { MemoryGuard } from "../../../limits/memory/memory_guard.ts";
import type { SendBudget } from "../../../limits/memory/send_budget.ts";
import { Problem, unknownTopic } from "../../../problem.ts";
import type { Access } from "../../../rights/access.ts";
import type { LogEntry, ReadBudget } from "../../../topics/log.ts";
import type { After } from "../../../topics/position.ts";
import { findStart } from "../../../topics/start.ts";
import type {
  TopicPrepareOptions,
  TopicRegistry,
} from "../../../topics/registry.ts";
import type { Topic } from "../../../topics/topic.ts";
import { InvalidTopicNameError } from "../../../topics/topic_errors.ts";
import { isTopicName } from "../../../topics/topic_name.ts";
import type { Draining } from "../../guests.ts";
import { MAX_PAGE, readQuery } from "../../subscription_request.ts";
import { pacedBody } from "../../paced_body.ts";
import { prepareResumption } from "../../prefix_resumption.ts";
import type { Call } from "../entrance.ts";
import { describeTopic } from "./describe_topic.ts";
import { readRetained } from "./retained_events.ts";
import { pageResponse } from "./topic_list.ts";
import type { TopicListStreams } from "./topic_list_stream.ts";
import {
  queryOfOne,
  readListQuery,
  type TopicListQuery,
} from "./topic_query.ts";
import { findWindow } from "./topic_window.ts";

/** The context of the topic reader. */
export interface TopicReaderContext {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** Whether an unknown topic can be waited for. */
  readonly awaitTopics: boolean;
  /** Refuses new subscribers while the relay is drained. */
  readonly draining: Draining;
  /** Answers with a list of topics, and its changes. */
  readonly lists: Pick<TopicListStreams, "open">;
  /** Refuses new work while there is little memory. */
  readonly memory: Pick<MemoryGuard, "assertRoom">;
  /** Counts the bytes that wait for readers. */
  readonly budget: SendBudget;
  /** Answers with a topic's events. */
  stream(request: StreamRequest): "streaming" | "at end";
  /** Answers with all topics whose names begin alike. */
  streamPrefix(request: PrefixStreamRequest): void;
  /** Logs and counts a refusal that is not told as a problem. */
  refused(problem: Problem, incoming: IncomingMessage): void;
}

const PAGE: ReadBudget = { events: MAX_PAGE, bytes: 1024 * 1024 };

/**
 * Refuses a reader to whom nothing in the stream would say that events are missing.
 *
 * @throws {Problem} 410 if events after the position are no longer retained.
 */
function assertRetained(topic: Topic, after: After): void {
  const { log, name } = topic;
  const { cursor, recovered, foreign } = findStart(topic, after);
  const hole = log.holeAt?.(cursor);
  // A log that still has its first event is whole for readers of another log.
  if (!hole && (recovered || foreign && log.first === 1)) return;
  const { epoch } = log;
  const first = hole ? hole.to + 1 : log.first;
  throw new Problem(
    STATUS_CODE.Gone,
    "position_not_retained",
    `Expected a position whose later events are retained: the next retained event of topic '${name}' has offset ${first}. To read from there, ask for what comes after ${epoch}:${
      first - 1
    }`,
    { epoch, first },
  );
}

/** Answers requests about topics and their events (PROTOCOL.md, sections 3 and 4). */
export class TopicReader {
  readonly #context: TopicReaderContext;

  /** Makes a topic reader. */
  constructor(context: TopicReaderContext) {
    this.#context = context;
  }

  /** Lists the topics that the caller may read: a page of them, or a stream. */
  list(call: Call): Response | Promise<Response> {
    const { access, client, request, url: { searchParams } } = call;
    switch (accepts(request, "application/json", "text/event-stream")) {
      case "application/json": {
        const query = readListQuery(searchParams, false);
        const { topics } = this.#context;
        const window = findWindow({ topics, access, query, isFresh: true }, {
          lane: client,
        });
        return pageResponse(window, client);
      }
      case "text/event-stream":
        return this.#listStream(call, readListQuery(searchParams, true));
      default:
        throw notAcceptable();
    }
  }

  /** Describes a topic, once or as it changes. */
  info(call: Call, name: string): Response {
    switch (accepts(call.request, "application/json", "text/event-stream")) {
      case "application/json":
        return Response.json(describeTopic(this.#known(name)), {
          headers: { "Cache-Control": "no-store" },
        });
      case "text/event-stream":
        return this.#listStream(call, queryOfOne(name));
      default:
        throw notAcceptable();
    }
  }

  #listStream(
    { response, access, address, client }: Call,
    query: TopicListQuery,
  ): Response {
    if (!this.#turnsAway(response)) {
      this.#context.lists.open({ response, query, access, address, client });
    }
    return RESPONSE_ALREADY_SENT;
  }

  /** Says what a topic is needed for that events are asked of. */
  prepares({ request, url }: Call): TopicPrepareOptions {
    const { awaitTopics, draining } = this.#context;
    const type = accepts(request, "text/event-stream", "application/json");
    const { searchParams } = url;
    if (type === "application/json") {
      const { after } = readQuery("page", searchParams);
      return { isFresh: true, after };
    }
    if (!type || !awaitTopics) return { isFresh: true };
    const { wait = true, active = false, after } = readQuery(
      "stream",
      searchParams,
      request.headers,
    );
    return {
      makes: wait && !active && !draining.signal.aborted,
      after,
    };
  }

  /** Answers with a topic's events: a stream of them, or a page. */
  get(call: Call, name: string): Response | Promise<Response> {
    switch (accepts(call.request, "text/event-stream", "application/json")) {
      case "text/event-stream":
        return this.#stream(call, name);
      case "application/json":
        return this.#page(call, name);
      default:
        throw notAcceptable();
    }
  }

  /** Answers with the events of all topics whose names begin alike. */
  async all(call: Call, prefix: string): Promise<Response> {
    const { request, url: { searchParams }, response, access } = call;
    if (!accepts(request, "text/event-stream")) {
      throw new Problem(
        STATUS_CODE.NotAcceptable,
        "not_acceptable",
        "Expected an Accept of text/event-stream: for a list of these topics, ask for /topics?prefix=",
      );
    }
    if (prefix !== "" && !isTopicName(prefix)) {
      throw new InvalidTopicNameError(`${prefix}*`);
    }
    const { after, stay } = readPrefixQuery(
      prefix,
      searchParams,
      request.headers,
    );
    if (this.#turnsAway(response)) return RESPONSE_ALREADY_SENT;
    await this.#prepareAll(access, prefix, after);
    if (this.#turnsAway(response)) return RESPONSE_ALREADY_SENT;
    const { address, client } = call;
    this.#context.streamPrefix({
      response,
      prefix,
      after,
      stay,
      access,
      address,
      client,
      expires: access.expires,
    });
    return RESPONSE_ALREADY_SENT;
  }

  /** Has the topics of a prefix at hand. */
  async #prepareAll(
    access: Access,
    prefix: string,
    after: PrefixStreamRequest["after"],
  ): Promise<void> {
    const { topics } = this.#context;
    if (typeof after !== "object") return await topics.prepareAll(prefix);
    await prepareResumption({ prefix, access, topics }, after);
  }

  /** Describes a topic, in headers. */
  head(_call: Call, name: string): Response {
    const { epoch, next, state, upstream, end } = describeTopic(
      this.#known(name),
    );
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
  }

  #known(name: string): Topic {
    const topic = this.#context.topics.get(name);
    if (!topic) throw unknownTopic(name);
    return topic;
  }

  /**
   * Turns a reader of an event stream away while the relay is drained.
   *
   * @returns Whether it is answered.
   * @throws {Problem} 503 `out_of_memory`.
   */
  #turnsAway(response: ServerResponse): boolean {
    const { draining, memory } = this.#context;
    const refusal = draining.refusal();
    if (!refusal) {
      memory.assertRoom();
      return false;
    }
    this.#context.refused(refusal, response.req);
    turnAway(response, draining.comeBackIn());
    return true;
  }

  #stream(call: Call, name: string): Response {
    const { request, url, response, access, address } = call;
    const { topics, awaitTopics } = this.#context;
    if (this.#turnsAway(response)) return RESPONSE_ALREADY_SENT;
    const {
      after,
      raw = false,
      stay = false,
      active = false,
      wait = true,
    } = readQuery("stream", url.searchParams, request.headers);
    if (raw && stay) {
      throw new Problem(
        STATUS_CODE.BadRequest,
        "unsupported",
        "Expected no stay of a raw stream: nothing in it would say where one epoch ends and the next begins",
      );
    }
    if (active) {
      const known = topics.get(name);
      if (!known || !topics.isActive(known)) return nothing(known);
    }
    const current = awaitTopics && wait
      ? topics.await(name, access.identity)
      : this.#known(name);
    const topic = active ? current : topics.at(current, after);
    if (raw && after !== undefined) assertRetained(topic, after);
    const { expires } = access;
    const outcome = this.#context.stream({
      response,
      topic,
      after: after ?? (active ? "start" : topic.from),
      raw,
      stay,
      address,
      client: call.client,
      expires,
    });
    return outcome === "streaming" ? RESPONSE_ALREADY_SENT : nothing(topic);
  }

  /**
   * Answers with what goes on in a topic, from its first event on, as its upstream sends
   * it; with 204 if nothing goes on.
   *
   * @param call The request.
   * @param name The name of the topic.
   * @param lastWords Writes how the stream ends in the place of an upstream that has not
   * said it.
   * @throws {Problem} 410 `run_not_retained` if the beginning is gone.
   */
  running(
    { response, access, address, client }: Call,
    name: string,
    lastWords: NonNullable<StreamRequest["lastWords"]>,
  ): Response {
    const { topics } = this.#context;
    if (this.#turnsAway(response)) return RESPONSE_ALREADY_SENT;
    const topic = topics.get(name);
    if (!topic || !topics.isActive(topic)) return nothing(topic);
    const { log } = topic;
    if (log.first > 1 || log.holeAt?.(1)) {
      throw new Problem(
        STATUS_CODE.Gone,
        "run_not_retained",
        "The beginning of this answer is not retained any more: a topic keeps as much as --max-events and --max-bytes say",
      );
    }
    const outcome = this.#context.stream({
      response,
      topic,
      after: "start",
      raw: true,
      lastWords,
      address,
      client,
      expires: access.expires,
    });
    return outcome === "streaming" ? RESPONSE_ALREADY_SENT : nothing(topic);
  }

  async #page(call: Call, name: string): Promise<Response> {
    const { after = "start", limit = PAGE.events } = readQuery(
      "page",
      call.url.searchParams,
    );
    const topic = this.#context.topics.at(this.#known(name), after);
    const { from, next, entries, isWhole } = await readRetained(
      topic,
      after,
      { ...PAGE, events: limit },
    );
    const { log: { epoch }, state } = topic;
    const to = from + entries.length;
    const end = state.kind === "ended" && to === next
      ? { offset: next, ...state.end }
      : undefined;
    const facts = JSON.stringify({
      epoch,
      offset: from,
      next: to,
      recovered: isWhole,
      state: state.kind,
      end,
    });
    return new Response(await this.#pageBody(call, facts, entries), {
      headers: {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
      },
    });
  }

  /** Makes the body of a page, whose events count for as long as it is read. */
  async #pageBody(
    { response, client, address }: Call,
    facts: string,
    entries: readonly LogEntry[],
  ): Promise<BodyInit> {
    const queued = this.#context.budget.open({
      client,
      address,
      drop: () => dropAnswer(response),
    });
    const pieces = pageOf(facts, entries, () => queued.taken());
    const body = await pacedBody(pieces, {
      client,
      onEnd: () => queued.close(),
    });
    if (typeof body === "string") return body;
    for (const entry of entries) queued.hold(entry, entry.size);
    response.on("close", () => queued.close());
    return body;
  }
}

/** Answers that there is nothing to come, and how the topic has ended, if it has. */
function nothing(topic: Topic | undefined): Response {
  const { end } = topic ? describeTopic(topic) : {};
  return new Response(null, {
    status: STATUS_CODE.NoContent,
    headers: { ...(end && { "Rivulet-End": end.status }) },
  });
}

function notAcceptable(): Problem {
  return new Problem(
    STATUS_CODE.NotAcceptable,
    "not_acceptable",
    "Expected an Accept of text/event-stream or application/json",
  );
}

/** Writes a page: what is known of it, as JSON, and its events. */
function* pageOf(
  facts: string,
  entries: readonly LogEntry[],
  onPiece: () => void,
): Generator<string, void> {
  yield `${facts.slice(0, -1)},"events":[`;
  for (const [index, entry] of entries.entries()) {
    if (index > 0) yield ",";
    for (const piece of eventJsonPieces(entry)) {
      onPiece();
      yield piece;
    }
  }
  yield "]}";
}
