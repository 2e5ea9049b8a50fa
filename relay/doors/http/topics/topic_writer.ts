import { isDeepStrictEqual } from "node:util";
import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { endReason } from "../../websocket/client_message.ts";
import type { MemoryGuard } from "../../../limits/memory/memory_guard.ts";
import { goneSignal } from "../../../gone_signal.ts";
import { Problem, unknownTopic } from "../../../problem.ts";
import { assertLength, type BodyLimits } from "../../../limits/bounded_body.ts";
import {
  contentCodings,
  decodedBody,
  decodedStream,
} from "../../../limits/content_coding.ts";
import { assertUtf8 } from "../../../limits/charset.ts";
import { IncomingReader } from "../../../limits/incoming_reader.ts";
import type { SourcePolicy } from "../../../sources/guard/source_policy.ts";
import {
  PUBLISH_TYPES,
  type Publisher,
  type PublishType,
} from "../../../sources/publish.ts";
import { MAX_WITHIN } from "../../../sources/expected_publishers.ts";
import type { PublicationKey } from "../../../sources/keyed_publications.ts";
import type { Sources, SourceSpec } from "../../../sources/sources.ts";
import type {
  TopicPrepareOptions,
  TopicRegistry,
} from "../../../topics/registry.ts";
import { type Filling, fillingOf } from "../../../topics/fillings.ts";
import { ifEnded } from "../../../topics/if_ended.ts";
import {
  END_STATUSES,
  type EndStatus,
  type TopicEnd,
} from "../../../topics/end.ts";
import { StaleWriterError } from "../../../topics/store.ts";
import { type Topic, TopicEndedError } from "../../../topics/topic.ts";
import { TopicBusyError } from "../../../topics/topic_busy_error.ts";
import type { Draining } from "../../guests.ts";
import type { Call } from "../entrance.ts";
import { checkSource, putBody } from "./check_source.ts";
import { describeTopic } from "./describe_topic.ts";
import { queryFlag } from "./query_flag.ts";
import { queryValue } from "../../query_value.ts";
import { readJsonBody } from "./request_body.ts";

/** The context of the topic writer. */
export interface TopicWriterContext {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** The sources that fill topics from elsewhere. */
  readonly sources: Sources;
  /** The publisher that fills topics by `POST`. */
  readonly publisher: Publisher;
  /** Refuses whatever would be taken while the relay is drained. */
  readonly draining: Draining;
  /** The limits on the size and the pace of a body. */
  readonly bodyLimits: BodyLimits;
  /** Refuses new work while there is little memory. */
  readonly memory: Pick<MemoryGuard, "assertRoom">;
  /** The URLs that a requested source may have. */
  readonly sourcePolicy: SourcePolicy;
}

/** The longest key of a publication, in characters. */
const MAX_KEY = 255;

function isPublishType(type: string): type is PublishType {
  return PUBLISH_TYPES.some((known) => known === type);
}

const endBody = z.strictObject({
  status: z.enum(END_STATUSES).default("complete"),
  reason: endReason.optional(),
});

const cancelBody = endBody.pick({ reason: true });

/** Answers requests that make, fill, end and delete topics (PROTOCOL.md, section 4). */
export class TopicWriter {
  readonly #context: TopicWriterContext;

  /** Makes a topic writer. */
  constructor(context: TopicWriterContext) {
    this.#context = context;
  }

  /** Makes a topic, with a source or without. */
  async put(
    { request, access, client, incoming, url }: Call,
    name: string,
  ): Promise<Response> {
    const { topics, sources, bodyLimits, sourcePolicy } = this.#context;
    const renews = queryFlag(url.searchParams, "renew");
    this.#context.memory.assertRoom();
    const { source } = await readJsonBody(request, putBody, {
      ...bodyLimits,
      incoming,
    });
    const spec = source && checkSource(source, sourcePolicy);
    this.#context.draining.assertOpen();
    const before = topics.get(name);
    if (before && renews && before.state.kind !== "pending") {
      const topic = topics.renew(name, access.identity);
      return await this.#made(topic, spec, client);
    }
    if (before && !topics.isAwaited(before)) {
      // A source that an earlier relay was given comes from the store.
      const same = isDeepStrictEqual(sources.get(before), spec);
      if (same) return Response.json(describeTopic(before));
      throw new Problem(
        STATUS_CODE.Conflict,
        "topic_exists",
        `There is a topic '${name}' with another source: delete it first, or renew it when it has ended (?renew)`,
      );
    }
    // It was cancelled while somebody waited for it.
    if (before?.state.kind === "ended") {
      throw new TopicEndedError(name, before.state.end);
    }
    const topic = topics.create(name, access.identity);
    return await this.#made(topic, spec, client);
  }

  /** Fills a topic that was made, and describes it. */
  async #made(
    topic: Topic,
    spec: SourceSpec | undefined,
    client: string,
  ): Promise<Response> {
    if (spec) this.#start(topic, spec, client);
    try {
      await topic.log.settled();
    } catch (error) {
      // Another relay has made a topic of that name in the same moment.
      throw error instanceof StaleWriterError
        ? new TopicBusyError(topic.name)
        : error;
    }
    return Response.json(describeTopic(topic), {
      status: STATUS_CODE.Created,
      headers: { Location: `/topics/${topic.name}` },
    });
  }

  /** Says what a topic is needed for that events are added to. */
  prepares({ request: { headers } }: Call): TopicPrepareOptions {
    return {
      makes: true,
      publications: headers.has("idempotency-key"),
      // Another relay may have deleted or ended it, and have said so.
      isFresh: true,
      renews: readIfEnded(headers) === "renew",
    };
  }

  /** Adds events to a topic, which is made if there is none. */
  async post(call: Call, name: string): Promise<Response> {
    const { publisher, draining, memory } = this.#context;
    draining.assertOpen();
    memory.assertRoom();
    const { headers } = call.request;
    const contentType = headers.get("content-type") ?? "";
    const type = contentType
      .split(";")[0]!.trim().toLowerCase(); // split gives one part at least
    if (!isPublishType(type)) {
      throw new Problem(
        STATUS_CODE.UnsupportedMediaType,
        "unsupported_media_type",
        `Expected a Content-Type of ${PUBLISH_TYPES.join(", ")}: got '${type}'`,
      );
    }
    assertUtf8(contentType);
    if (type !== "text/event-stream") {
      assertLength(headers.get("content-length"), this.#context.bodyLimits);
    }
    const { incoming, response: { req } } = call;
    const coding = headers.get("content-encoding");
    const isPlain = contentCodings(coding).length === 0;
    // Of a client that has left, the server's stream has what came before.
    const decoded = isPlain && !req.destroyed
      ? new IncomingReader(req)
      : type === "text/event-stream"
      ? decodedStream(call.request.body, coding)
      : decodedBody(call.request.body, coding, {
        ...this.#context.bodyLimits,
        incoming,
      });
    const ends = queryFlag(call.url.searchParams, "end");
    const within = readWithin(call.url.searchParams);
    const key = {
      key: readKey(headers),
      publisher: call.access.identity,
    };
    let filling: Filling | undefined;
    try {
      filling = this.#filling(call, name, key);
      const published = await publisher.publish(filling.topic, {
        ...key,
        type,
        body: decoded,
        ends,
        within,
        client: call.client,
        incoming,
        signal: goneSignal(call.response),
      });
      filling.keep();
      return Response.json(published);
    } catch (error) {
      filling?.refuse();
      if (error instanceof TopicEndedError || draining.signal.aborted) {
        endAfterAnswer(call);
      }
      throw error;
    }
  }

  /** Ends a topic as its source would. */
  async end({ request, incoming }: Call, name: string): Promise<Response> {
    const { status, reason } = await readJsonBody(
      request,
      endBody,
      { ...this.#context.bodyLimits, incoming },
    );
    // Subscribers that have left could not be told.
    this.#context.draining.assertOpen();
    const topic = this.#get(name);
    topic.end(status, reason);
    return answerEnd(topic, status, await topic.ended);
  }

  /** Stops what fills a topic. */
  async cancel({ request, incoming }: Call, name: string): Promise<Response> {
    const { reason } = await readJsonBody(
      request,
      cancelBody,
      { ...this.#context.bodyLimits, incoming },
    );
    const topic = this.#get(name);
    await this.#context.topics.leases.cancel(topic, reason);
    return answerEnd(topic, "cancelled", await topic.ended);
  }

  /** Forgets a topic. */
  async remove(_call: Call, name: string): Promise<Response> {
    const { topics } = this.#context;
    if (!topics.delete(name)) throw unknownTopic(name);
    // Whoever publishes next, wherever that is, publishes to another log.
    await topics.deleted(name);
    return new Response(null, { status: STATUS_CODE.NoContent });
  }

  /**
   * Returns the topic for a publication.
   *
   * @throws {TopicEndedError} If it has ended, and is not to be renewed.
   */
  #filling(
    { request: { headers }, access }: Call,
    name: string,
    key: PublicationKey,
  ): Filling {
    const { topics, publisher } = this.#context;
    const renews = readIfEnded(headers) === "renew";
    const known = publisher.topicOf(topics.epochs(name), key);
    if (known) return fillingOf(known);
    const filling = topics.fill(name, access.identity, renews);
    const { state } = filling.topic;
    if (state.kind !== "ended") return filling;
    filling.refuse();
    throw new TopicEndedError(name, state.end);
  }

  #start(
    topic: Topic,
    spec: SourceSpec,
    client: string,
  ): void {
    const { topics, sources } = this.#context;
    try {
      sources.start(topic, spec, client);
    } catch (error) {
      topics.release(topic);
      throw error;
    }
  }

  #get(name: string): Topic {
    const topic = this.#context.topics.get(name);
    if (!topic) throw unknownTopic(name);
    return topic;
  }
}

/** Answers whoever wanted a topic to end: an earlier verdict stands; to repeat it is no error. */
function answerEnd(
  topic: Topic,
  status: EndStatus,
  ended: TopicEnd,
): Response {
  if (ended.status !== status) throw new TopicEndedError(topic.name, ended);
  // It was told, and is kept once there is room.
  if (topic.endFailure) throw topic.endFailure;
  return Response.json(describeTopic(topic));
}

function readWithin(query: URLSearchParams): number | undefined {
  const text = queryValue(query, "within");
  if (text === null) return undefined;
  const within = /^[1-9]\d*$/.test(text) ? Number(text) : NaN;
  if (within <= MAX_WITHIN) return within;
  throw new Problem(
    STATUS_CODE.BadRequest,
    "invalid_query",
    `Expected 'within' to be 1 to ${MAX_WITHIN} milliseconds`,
  );
}

/** Reads the key of a publication, as the gateway reads that of a run. */
function readKey(headers: Headers): string | undefined {
  const key = headers.get("idempotency-key") ?? undefined;
  if (key === undefined || key.length > 0 && key.length <= MAX_KEY) return key;
  throw new Problem(
    STATUS_CODE.BadRequest,
    "invalid_header",
    `Expected an Idempotency-Key of 1 to ${MAX_KEY} characters: got ${key.length}`,
  );
}

function readIfEnded(headers: Headers): "renew" | undefined {
  const text = headers.get("rivulet-if-ended");
  if (text === null) return undefined;
  const { data } = ifEnded.safeParse(text);
  if (data) return data;
  throw new Problem(
    STATUS_CODE.BadRequest,
    "invalid_header",
    "Expected Rivulet-If-Ended to be 'renew'",
  );
}

/**
 * Says that nothing more is wanted of a body that is still on its way. What
 * comes of it is read a little longer: to close the connection at once would
 * take the answer from a sender that is just writing.
 */
function endAfterAnswer({ response }: Call): void {
  const { socket } = response; // no longer its own once it has finished
  response.on("finish", () => socket?.end());
}
