import { wait } from "../../src/fetch/retry.ts";
import { EventTooLargeError } from "../../src/sse/errors.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { readEvents } from "../../src/sse/read_events.ts";
import { ClientRates } from "../limits/client_rates.ts";
import type { PublishCounts } from "../metrics/topic_metrics.ts";
import { type Topic, TopicEndedError } from "../topics/topic.ts";
import { type BodyLimits, readBody } from "../limits/bounded_body.ts";
import { EndedSignal } from "./ended_signal.ts";
import { type Published, PublishError } from "./publish_error.ts";
import {
  eventOfText,
  eventsOfJson,
  eventsOfValues,
} from "./published_events.ts";

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
  /** Names who publishes, for limits. */
  readonly client: string;
  /** Ends a wait: nobody is there to have the answer. */
  readonly signal?: AbortSignal | undefined;
}

/** How what came in a message is published. */
export interface AddOptions {
  /** What was published under it is not published again. */
  readonly key?: string | undefined;
  /** Names who publishes, for limits. */
  readonly client: string;
}

/** The most bytes of UTF-8 that a UTF-16 code unit takes. */
const BYTES_PER_UNIT = 3;

const encoder = new TextEncoder();

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

/** How much of a stream is added at once that has to wait, in seconds of its rate. */
const STEP = 0.1;

/** What stands before a value in a line counts for the reader of a stream, and not here. */
const MAX_FIELD_NAME = "event: ".length;

/** What is taken of publishers. */
export interface PublisherOptions extends BodyLimits {
  /** The largest event, in bytes. */
  readonly maxEvent: number;
  /** The most events of one client in a second, on average. */
  readonly maxRate: number;
  /** Counts what is added, by how it came. Default: nobody looks at that. */
  readonly counts?: Readonly<Record<"http" | "websocket", PublishCounts>>;
}

/** Adds to topics what is sent by `POST` (PROTOCOL.md, section 4). */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #rates: ClientRates;
  readonly #keys = new WeakMap<Topic, Map<string, Keyed>>();

  /** Makes a publisher. */
  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#rates = new ClientRates(options.maxRate, options.clock);
  }

  /**
   * Adds the events of a body, those of an event stream as they arrive: until
   * the topic ends, of which its publisher is told at once. Such a stream is read
   * no faster than its client may publish.
   *
   * A body with the key of an earlier one is taken to be that body again: only
   * what is not yet in the topic is added, if that broke off, and nothing else.
   *
   * @throws {PublishError} If the body or what is in it is wrong or too much, or
   * its key is being used.
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
   * @param events The events, one at least, as the JSON of a body has them.
   * @param options Under what, and who.
   * @returns Where they stand; a promise where whoever publishes should wait.
   * @throws {PublishError} If they are wrong or too much, or their key is being used.
   * @throws {TopicEndedError} If the topic has ended.
   */
  add(
    topic: Topic,
    events: readonly unknown[],
    { key, client }: AddOptions,
  ): Published | Promise<Published> {
    const keyed = key === undefined ? newKeyed() : this.#keyed(topic, key);
    if (keyed.published) return keyed.published;
    this.#assertRate(client, events.length);
    const parsed = eventsOfValues(events);
    this.#checkSizes(parsed);
    this.#take(client, parsed.length);
    const added = (first: number): Published =>
      keyed.published = {
        epoch: topic.log.epoch,
        first,
        next: first + parsed.length,
      };
    const first = topic.append(parsed);
    this.#options.counts?.websocket.add(parsed);
    if (!(first instanceof Promise)) return added(first);
    keyed.busy = true;
    return first.then(added).finally(() => keyed.busy = false);
  }

  async #add(
    topic: Topic,
    publication: Publication,
    keyed: Keyed,
  ): Promise<Published> {
    const { type, body, client } = publication;
    if (type === "text/event-stream") {
      return await this.#addStream(topic, publication, keyed);
    }
    this.#assertRate(client, 1);
    const text = await readBody(body, this.#options);
    const events = type === "application/json"
      ? await eventsOfJson(text)
      : [eventOfText(text)];
    this.#checkSizes(events);
    this.#take(client, events.length);
    const appended = topic.append(events);
    this.#options.counts?.http.add(events);
    const first = await appended;
    return { epoch: topic.log.epoch, first, next: first + events.length };
  }

  async #addStream(
    topic: Topic,
    { body, client, signal }: Publication,
    keyed: Keyed,
  ): Promise<Published> {
    const { maxEvent } = this.#options;
    const { epoch, next } = topic.log;
    let added: Published | undefined;
    if (!body) return { epoch, first: next, next };
    this.#assertRate(client, 1);
    let known = keyed.count;
    using ended = new EndedSignal(topic);
    const over = signal
      ? AbortSignal.any([ended.signal, signal])
      : ended.signal;
    await using reader = readEvents(body, {
      maxEventSize: maxEvent + MAX_FIELD_NAME,
      signal: ended.signal,
    });
    try {
      for (;;) {
        const batch = await reader.nextBatch();
        if (!batch) break;
        const events = batch.slice(known);
        known -= batch.length - events.length;
        const bad = events.findIndex((event) => isTooLarge(event, maxEvent));
        const count = bad < 0 ? events.length : bad;
        for (let from = 0; from < count; from += this.#step) {
          const some = events.slice(from, Math.min(from + this.#step, count));
          await this.#takeInTime(client, some.length, over);
          const appended = topic.append(some);
          this.#options.counts?.http.add(some);
          const first = await appended;
          keyed.count += some.length;
          added = {
            epoch,
            first: added?.first ?? first,
            next: first + some.length,
          };
        }
        if (bad >= 0) throw sizeError(maxEvent, { added });
      }
    } catch (cause) {
      if (cause instanceof TopicEndedError || cause instanceof PublishError) {
        throw cause;
      }
      if (cause instanceof EventTooLargeError) {
        throw sizeError(maxEvent, { cause, added });
      }
      throw new PublishError("body_incomplete", "The body broke off", {
        cause,
        added,
      });
    }
    return added ?? { epoch, first: topic.log.next, next: topic.log.next };
  }

  /** How many events of a stream are added at once. */
  get #step(): number {
    return Math.max(1, Math.floor(this.#options.maxRate * STEP));
  }

  async #takeInTime(
    client: string,
    count: number,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      const delay = this.#rates.take(client, count);
      if (delay === 0) return;
      await wait(delay, this.#options.clock, signal);
    }
  }

  /** Refuses a client that may not publish so much now, before it costs more to look at it. */
  #assertRate(client: string, count: number): void {
    const retryIn = this.#rates.wait(client, count);
    if (retryIn > 0) throw rateError(retryIn);
  }

  #take(client: string, count: number): void {
    const retryIn = this.#rates.take(client, count);
    if (retryIn > 0) throw rateError(retryIn);
  }

  #checkSizes(events: readonly ServerSentEvent[]): void {
    const { maxEvent } = this.#options;
    if (events.some((event) => isTooLarge(event, maxEvent))) {
      throw sizeError(maxEvent);
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

function rateError(retryIn: number): PublishError {
  return new PublishError(
    "publish_rate",
    `Expected fewer events: publish again in ${retryIn} ms`,
    { retryIn },
  );
}

function sizeError(
  maxEvent: number,
  options?: ErrorOptions & { added?: Published | undefined },
): PublishError {
  return new PublishError(
    "event_too_large",
    `Expected events of at most ${maxEvent} bytes each`,
    options,
  );
}

/** Whether an event is larger than so many bytes of UTF-8: its name, unless that is `message`, its data and its id count. */
function isTooLarge(
  { event, data, id }: ServerSentEvent,
  maxBytes: number,
): boolean {
  const name = event === "message" ? "" : event;
  const units = name.length + data.length + id.length;
  // Nearly always: to encode each event only to measure it would cost more than all else.
  if (units * BYTES_PER_UNIT <= maxBytes) return false;
  return encoder.encode(name + data + id).length > maxBytes;
}
