import { z } from "zod";
import type { Clock } from "../../src/fetch/clock.ts";
import { EventTooLargeError } from "../../src/sse/errors.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { readEvents } from "../../src/sse/read_events.ts";
import { type Topic, TopicEndedError } from "../topics/topic.ts";
import { type BodyLimits, readBody } from "./bounded_body.ts";
import { EndedSignal } from "./ended_signal.ts";

/** Where what was published stands: `first`..`next - 1`. */
export interface Published {
  /** The log that it stands in. */
  readonly epoch: string;
  /** The offset of the first event that was added. */
  readonly first: number;
  /** The offset after the last one. */
  readonly next: number;
}

/** The types of body that can be published. */
export type PublishType =
  | "text/event-stream"
  | "application/json"
  | "text/plain";

/** What is published. */
export interface Publication {
  /** What the body is. */
  readonly type: PublishType;
  /** The body. */
  readonly body: ReadableStream<Uint8Array> | null;
  /** The `Idempotency-Key`: what was published under it is not published again. */
  readonly key?: string | undefined;
}

/** Something cannot be published; `added` tells what of it was. */
export class PublishError extends Error {
  /** What is wrong, for programs. */
  readonly code:
    | "invalid_body"
    | "body_too_large"
    | "body_incomplete"
    | "key_in_use";
  /** Where the events stand that were added before. */
  readonly added: Published | undefined;

  /** Says what was expected, and what came. */
  constructor(
    code: PublishError["code"],
    message: string,
    options: ErrorOptions & { added?: Published | undefined } = {},
  ) {
    super(message, options);
    this.name = "PublishError";
    this.code = code;
    this.added = options.added;
  }
}

const LINE_END = /\r\n?/g;

/** An event stream has no way to write a CR within data: subscribers of both doors get the same. */
const dataText = z.string().transform((text) => text.replace(LINE_END, "\n"));

const fieldText = z.string().regex(
  /^[^\r\n\0]*$/,
  "Expected text without CR, LF and NUL",
);

const publishedEvent = z.strictObject({
  event: fieldText.optional(),
  data: dataText,
  id: fieldText.optional(),
}).transform(({ event, data, id }): ServerSentEvent => ({
  event: event || "message",
  data,
  id: id ?? "",
}));

const jsonBody = z.union([
  z.array(publishedEvent).min(1),
  publishedEvent.transform((event) => [event]),
]);

function parseJson(text: string): ServerSentEvent[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PublishError("invalid_body", "Expected JSON", { cause });
  }
  return parseEvents(value);
}

function parseEvents(value: unknown): ServerSentEvent[] {
  const parsed =
    (Array.isArray(value) ? jsonBody.options[0] : jsonBody.options[1])
      .safeParse(value);
  if (parsed.success) return parsed.data;
  throw new PublishError(
    "invalid_body",
    `Expected {event?, data, id?}, or an array of these: ${
      z.prettifyError(parsed.error)
    }`,
  );
}

/** What was published under a key. */
interface Keyed {
  /** How many of its events have been added. */
  count: number;
  /** Set while it is being published. */
  busy: boolean;
  /** Set when all of it was. */
  published: Published | undefined;
}

/** How many keys of a topic are remembered. */
const MAX_KEYS = 1_000;

/** Adds to topics what is sent by `POST` (protocol, section 4). */
export class Publisher {
  readonly #limits: BodyLimits;
  readonly #keys = new WeakMap<Topic, Map<string, Keyed>>();

  /** Makes a publisher. */
  constructor(limits: BodyLimits & { readonly clock: Clock }) {
    this.#limits = limits;
  }

  /**
   * Adds the events of a body, those of an event stream as they arrive: until
   * the topic ends, of which its publisher is told at once.
   *
   * A body with the key of an earlier one is taken to be that body again: only
   * what is not yet in the topic is added, if that broke off, and nothing else.
   *
   * @throws {PublishError} If the body is wrong, or its key is being used.
   * @throws {BodyLimitError} If it is too long or too slow.
   * @throws {TopicEndedError} If the topic has ended.
   */
  async publish(topic: Topic, publication: Publication): Promise<Published> {
    const { key } = publication;
    if (key === undefined) {
      return await this.#add(topic, publication, newKeyed());
    }
    const keyed = this.#keyed(topic, key);
    if (keyed.published) {
      await publication.body?.cancel();
      return keyed.published;
    }
    keyed.busy = true;
    try {
      return keyed.published = await this.#add(topic, publication, keyed);
    } finally {
      keyed.busy = false;
    }
  }

  /**
   * Adds events that have come in a message: before it returns, so that messages
   * keep their order.
   *
   * @param topic The topic.
   * @param events The events, as the JSON of a body has them.
   * @param key What was published under it is not published again.
   * @returns Where they stand; a promise where whoever publishes should wait.
   * @throws {PublishError} If they are wrong, or their key is being used.
   * @throws {TopicEndedError} If the topic has ended.
   */
  add(
    topic: Topic,
    events: unknown,
    key?: string,
  ): Published | Promise<Published> {
    const parsed = parseEvents(events);
    const keyed = key === undefined ? newKeyed() : this.#keyed(topic, key);
    if (keyed.published) return keyed.published;
    const added = (first: number): Published =>
      keyed.published = {
        epoch: topic.log.epoch,
        first,
        next: first + parsed.length,
      };
    const first = topic.append(parsed);
    if (!(first instanceof Promise)) return added(first);
    keyed.busy = true;
    return first.then(added).finally(() => keyed.busy = false);
  }

  async #add(
    topic: Topic,
    { type, body }: Publication,
    keyed: Keyed,
  ): Promise<Published> {
    if (type === "text/event-stream") {
      return await this.#addStream(topic, body, keyed);
    }
    const text = await readBody(body, this.#limits);
    const events = type === "application/json"
      ? parseJson(text)
      : [{ event: "message", data: dataText.parse(text), id: "" }];
    const first = await topic.append(events);
    return { epoch: topic.log.epoch, first, next: first + events.length };
  }

  async #addStream(
    topic: Topic,
    body: ReadableStream<Uint8Array> | null,
    keyed: Keyed,
  ): Promise<Published> {
    const { epoch, next } = topic.log;
    let added: Published | undefined;
    if (!body) return { epoch, first: next, next };
    let known = keyed.count;
    using ended = new EndedSignal(topic);
    await using reader = readEvents(body, {
      maxEventSize: this.#limits.maxBytes,
      signal: ended.signal,
    });
    for (;;) {
      let batch: ServerSentEvent[] | undefined;
      try {
        batch = await reader.nextBatch();
      } catch (cause) {
        if (cause instanceof TopicEndedError) throw cause;
        const [code, message] = cause instanceof EventTooLargeError
          ? ["body_too_large", cause.message] as const
          : ["body_incomplete", "The body broke off"] as const;
        throw new PublishError(code, message, { cause, added });
      }
      if (!batch) {
        return added ?? { epoch, first: topic.log.next, next: topic.log.next };
      }
      const events = batch.slice(known);
      known -= batch.length - events.length;
      if (events.length === 0) continue;
      const first = await topic.append(events);
      keyed.count += events.length;
      added = {
        epoch,
        first: added?.first ?? first,
        next: first + events.length,
      };
    }
  }

  #keyed(topic: Topic, key: string): Keyed {
    let keys = this.#keys.get(topic);
    if (!keys) this.#keys.set(topic, keys = new Map());
    const known = keys.get(key);
    if (known?.busy) {
      throw new PublishError(
        "key_in_use",
        "Another request with this Idempotency-Key is being answered: repeat this one later",
      );
    }
    if (known) return known;
    for (const oldest of keys.keys()) {
      if (keys.size < MAX_KEYS) break;
      keys.delete(oldest);
    }
    const keyed = newKeyed();
    keys.set(key, keyed);
    return keyed;
  }
}

function newKeyed(): Keyed {
  return { count: 0, busy: false, published: undefined };
}
