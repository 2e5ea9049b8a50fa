import { messageOf } from "../../src/fetch/message_of.ts";
import { wait } from "../../src/fetch/retry.ts";
import { EventTooLargeError } from "../../src/sse/errors.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { readEventsFrom } from "../../src/sse/read_events.ts";
import { ClientRates } from "../limits/client_rates.ts";
import { type Elsewhere, NOWHERE } from "../limits/elsewhere.ts";
import { CountedReader, type IncomingBody } from "../limits/incoming_body.ts";
import type { PartReader } from "../limits/incoming_reader.ts";
import type { PublishCounts } from "../metrics/topic_metrics.ts";
import { Problem } from "../problem.ts";
import { atOnce, slices, type Steps } from "../slices.ts";
import { type Topic, TopicEndedError } from "../topics/topic.ts";
import type { EndStatus, TopicEnd } from "../topics/end.ts";
import { LeaseHeldError, LeaseLostError } from "../topics/lease.ts";
import type { Hold, Leases } from "../topics/leases.ts";
import { EventLimitError, isTooLarge } from "../topics/event_limit.ts";
import type { LogAppendOptions } from "../topics/log.ts";
import { StaleWriterError, StoreError } from "../topics/store.ts";
import { writeFilling } from "../topics/filling.ts";
import { TopicWriter } from "../topics/topic_writer.ts";
import { type BodyLimits, readBodyPieces } from "../limits/bounded_body.ts";
import { EndedSignal } from "./ended_signal.ts";
import { ExpectedPublishers } from "./expected_publishers.ts";
import {
  type DigestedEvents,
  type KeyedPublication,
  KeyedPublications,
  keyInUse,
  type PublicationKey,
} from "./keyed_publications.ts";
import { type Published, PublishError } from "./publish_error.ts";
import {
  eventOfText,
  eventsOfJson,
  eventsOfValues,
} from "./published_events.ts";

/** The types of body that can be published. */
export const PUBLISH_TYPES = [
  "text/event-stream",
  "application/json",
  "text/plain",
] as const;

/** A type of body that can be published. */
export type PublishType = typeof PUBLISH_TYPES[number];

/** A request to publish. */
export interface Publication extends PublicationKey {
  /** The content type of the body. */
  readonly type: PublishType;
  /** The body. */
  readonly body: ReadableStream<Uint8Array> | PartReader | null;
  /** Names who publishes, for limits. */
  readonly client: string;
  /**
   * Whether the topic ends with the body: `complete` if it is whole. An event stream
   * that breaks off ends it as `truncated`; any other body is added as a whole, or
   * nothing happens. Default: `false`.
   */
  readonly ends?: boolean | undefined;
  /**
   * The time in which another publication begins after this one, in milliseconds: else
   * the topic ends as `truncated`. So does one that `ends` with a body that broke off.
   * Default: nobody waits for another one.
   */
  readonly within?: number | undefined;
  /** Counts the body. Default: nothing does. */
  readonly incoming?: IncomingBody | undefined;
  /** Ends a wait: nobody is there to have the answer. */
  readonly signal?: AbortSignal | undefined;
}

/** A publication that its topic ends with, and the lease on the topic. */
interface FilledPublication extends Publication {
  /** The lease, unless another one fills the topic. */
  readonly filler?: Hold | undefined;
}

/** The facts of a publication whose events came in a message. */
export interface AddOptions extends PublicationKey {
  /** Names who publishes, for limits. */
  readonly client: string;
}

/**
 * The filling that the store keeps for a stream that ends its topic: another
 * relay cannot read the rest.
 */
const FILLING = writeFilling({ kind: "lost" });

/** The refusals of a request that has no part in what is being published. */
const NO_PART: ReadonlySet<string> = new Set<PublishError["code"]>([
  "idempotency_mismatch",
  "key_in_use",
  "lease_lost",
  "publish_rate",
]);

/** A body up to this many UTF-16 code units is read at once. */
const SMALL = 32 * 1024;

/**
 * The amount of a throttled stream that is added at once, in seconds of its
 * rate.
 */
const STEP = 0.1;

/**
 * The length of a field's name in a line: it counts toward the limit of the
 * stream's reader, but not toward the limit of an event.
 */
const MAX_FIELD_NAME = "event: ".length;

/** The limits for publishers. */
export interface PublisherOptions extends BodyLimits {
  /** Refuses events while the relay is drained. Default: nothing does. */
  readonly draining?: {
    /** Aborted when events are refused from now on. */
    readonly signal: AbortSignal;
    /** Throws if events are refused; the facts are told with that. */
    assertOpen(facts?: Readonly<Record<string, unknown>>): void;
  };
  /** The largest event, in bytes. */
  readonly maxEvent: number;
  /** The most events of one client in a second, on average. */
  readonly maxRate: number;
  /** The events that clients publish at other workers, which count too. Default: none. */
  readonly elsewhere?: Elsewhere | undefined;
  /**
   * Refuses a stream to be read on, by throwing a {@linkcode Problem}. Default: does
   * nothing.
   */
  readonly assertRoom?: () => void;
  /** A body with a key has the lease on its key, for as long as it is read. */
  readonly leases: Leases;
  /** Whether other relays fill the topics, too. Default: no. */
  readonly areShared?: boolean;
  /** Counts what is added, by how it came. Default: nobody looks at that. */
  readonly counts?: Readonly<Record<"http" | "websocket", PublishCounts>>;
}

/** Adds to topics what is sent by `POST` (PROTOCOL.md, section 4). */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #rates: ClientRates;
  readonly #keyed = new KeyedPublications();
  readonly #expected: ExpectedPublishers;

  /** Makes a publisher. */
  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#rates = new ClientRates(options.maxRate, options.clock, {
      thing: "published",
      elsewhere: options.elsewhere ?? NOWHERE,
    });
    this.#expected = new ExpectedPublishers({
      ...options,
      stopped: options.draining?.signal,
    });
  }

  /**
   * Returns the topic that has a publication already, of several that follow each other
   * under one name: the same request is answered by what it says of it.
   */
  topicOf(topics: Iterable<Topic>, key: PublicationKey): Topic | undefined {
    return this.#keyed.topicOf(topics, key);
  }

  /** Waits for the publisher of a topic, as the relay before this one did. */
  expect(topic: Topic, within: number): void {
    this.#expected.resume(topic, within);
  }

  /**
   * Adds the events of a body, those of an event stream as they arrive: until
   * the topic ends, of which its publisher is told at once. Such a stream is read
   * no faster than its client may publish.
   *
   * A body with the key of an earlier one of the same publisher has to be that body
   * again: only what is not yet in the topic is added, if that broke off, and
   * nothing else.
   *
   * @throws {PublishError} If the body or what is in it is wrong or too much, or
   * its key is being used, or was used for another body.
   * @throws {BodyLimitError} If it is too long or too slow.
   * @throws {TopicEndedError} If the topic has ended.
   */
  async publish(topic: Topic, publication: Publication): Promise<Published> {
    using _expected = this.#expected.begin(topic, publication.within);
    if (!publication.ends) return await this.#publish(topic, publication);
    const lost = Promise.withResolvers<never>();
    lost.promise.catch(() => {}); // it is waited for with the end alone
    using filler = this.#fills(topic, publication)
      ? await this.#fill(
        topic,
        () => lost.reject(new LeaseLostError(topic.name)),
      )
      : undefined;
    const end = async (
      status: EndStatus,
      reason?: string,
    ): Promise<TopicEnd> => {
      topic.end(status, reason, undefined, filler);
      return await Promise.race([topic.ended, lost.promise]);
    };
    let published: Published;
    try {
      published = await this.#publish(topic, { ...publication, filler });
    } catch (error) {
      if (this.#isBroken(publication, error)) {
        // The publisher is told of its own error, whoever ends the topic.
        await end("truncated", messageOf(error)).catch(() => {});
      }
      throw error;
    }
    try {
      return { ...published, end: await end("complete") };
    } catch (error) {
      const { key } = publication;
      throw takenOver(topic, error, { key, added: published });
    }
  }

  /** Whether a body fills a topic until its end. */
  #fills(topic: Topic, { type, body }: Publication): boolean {
    return type === "text/event-stream" && body !== null && !topic.verdict &&
      topic.filling === undefined;
  }

  /** Whether a body that its topic ends with has come in part only. */
  #isBroken({ type, within }: Publication, error: unknown): boolean {
    return type === "text/event-stream" && !hasNoPart(error) &&
      within === undefined &&
      // Another relay has the topic, and ends it.
      !(error instanceof LeaseLostError) &&
      // The next relay ends it, if its store has kept it: this one takes no more ends.
      !this.#options.draining?.signal.aborted;
  }

  async #publish(
    topic: Topic,
    publication: FilledPublication,
  ): Promise<Published> {
    const keyed = this.#keyed.find(topic, publication);
    if (!keyed || keyed.published) {
      return await this.#add(topic, publication, keyed);
    }
    keyed.begin();
    try {
      using hold = this.#options.leases.hold(topic, {
        part: keyed.key,
        // The next append is refused.
        onLost: () => {},
      });
      if (hold.ready) await hold.ready;
      return keyed.published = await this.#add(topic, publication, keyed, hold);
    } catch (error) {
      const isAnothers = error instanceof LeaseHeldError ||
        error instanceof LeaseLostError ||
        // Events of an earlier request were kept only now.
        error instanceof StaleWriterError;
      throw isAnothers ? keyInUse(error) : error;
    } finally {
      keyed.busy = false;
    }
  }

  /**
   * Adds events that have come in a message: before it returns, so that messages
   * keep their order. They are one append: of two relays that have a message with one
   * key, the store refuses the second (`AppendedPublication.before`), so that no lease is
   * needed.
   *
   * @param topic The topic.
   * @param events The events, one at least, as the JSON of a body has them.
   * @param options Under what, and who.
   * @returns The place of the events; a promise if the publisher should wait.
   * @throws {PublishError} If they are wrong or too much, or their key is being
   * used, or was used for others.
   * @throws {TopicEndedError} If the topic has ended.
   */
  add(
    topic: Topic,
    events: readonly unknown[],
    options: AddOptions,
  ): Published | Promise<Published> {
    const keyed = this.#keyed.find(topic, options);
    // A repetition adds nothing, and so takes nothing from the rate.
    if (!keyed?.published) this.#assertRate(options.client, events.length);
    const parsed = eventsOfValues(events);
    this.#checkSizes(parsed);
    const { rest, published, digested } = atOnce(
      remaining(topic, keyed, parsed),
    );
    if (published) return published;
    this.#take(options.client, rest.length);
    const added = (first: number): Published => {
      const next = first + rest.length;
      const published = { epoch: topic.log.epoch, first, next };
      if (!keyed || !digested) return published;
      keyed.added(digested, published);
      return keyed.published = published;
    };
    this.#options.draining?.assertOpen();
    using _expected = this.#expected.begin(topic, undefined);
    const kept = keptWith(topic, { keyed, digested }, true);
    let first: number | Promise<number>;
    try {
      first = topic.append(rest, kept);
    } catch (error) {
      throw ofAnother(keyed, error);
    }
    this.#options.counts?.websocket.add(rest);
    const { ready } = topic;
    if (!ready && !(first instanceof Promise)) return added(first);
    if (keyed) keyed.busy = true;
    const isKept = Promise.resolve(first).then(added, (error) => {
      throw ofAnother(keyed, error);
    });
    return Promise.all([isKept, ready]).then(([published]) => published)
      .finally(() => {
        if (keyed) keyed.busy = false;
      });
  }

  async #add(
    topic: Topic,
    publication: FilledPublication,
    keyed: KeyedPublication | undefined,
    hold?: Hold,
  ): Promise<Published> {
    const { type, body, client, incoming } = publication;
    if (type === "text/event-stream") {
      return await this.#addStream(topic, publication, keyed, hold);
    }
    if (!keyed?.published) this.#assertRate(client, 1);
    const limits = { ...this.#options, incoming };
    const pieces = await readBodyPieces(body, limits);
    incoming?.whole();
    const steps = this.#read(topic, type, pieces, keyed);
    const length = pieces.reduce((sum, { length }) => sum + length, 0);
    const { rest, published, digested } = length <= SMALL
      ? atOnce(steps)
      : await run(client, steps);
    if (published) return published;
    this.#take(client, rest.length);
    this.#options.draining?.assertOpen();
    const appended = topic.append(
      rest,
      keptWith(topic, { keyed, digested, hold }, true),
    );
    this.#options.counts?.http.add(rest);
    const [first] = await Promise.all([appended, topic.ready]);
    const { epoch } = topic.log;
    const added = { epoch, first, next: first + rest.length };
    if (digested) keyed?.added(digested, added);
    return added;
  }

  *#read(
    topic: Topic,
    type: PublishType,
    pieces: readonly string[],
    keyed: KeyedPublication | undefined,
  ): Generator<void, Remaining> {
    const text = pieces.join("");
    yield;
    const events = type === "application/json"
      ? yield* eventsOfJson(text)
      : [yield* eventOfText(text)];
    this.#checkSizes(events);
    yield;
    return yield* remaining(topic, keyed, events);
  }

  async #addStream(
    topic: Topic,
    { body, client, incoming, signal, filler }: FilledPublication,
    keyed: KeyedPublication | undefined,
    hold: Hold | undefined,
  ): Promise<Published> {
    const { maxEvent } = this.#options;
    const { epoch, next } = topic.log;
    let added: Published | undefined;
    const comparison = keyed?.compare();
    if (!body) return comparison?.end() ?? { epoch, first: next, next };
    if (!keyed?.published) this.#assertRate(client, 1);
    const { draining } = this.#options;
    const writer = new TopicWriter(topic, { hold: filler });
    const isFilled = filler !== undefined;
    if (isFilled) topic.filling = FILLING;
    // A stream that was published before is compared with what the topic has.
    using ended = new EndedSignal(
      topic.state.kind === "ended" ? undefined : topic,
      draining?.signal,
    );
    const over = signal
      ? AbortSignal.any([ended.signal, signal])
      : ended.signal;
    const parts = body instanceof ReadableStream ? body.getReader() : body;
    const counted = incoming
      ? new CountedReader(parts, incoming, this.#options.clock)
      : parts;
    await using reader = readEventsFrom(counted, {
      maxEventSize: maxEvent + MAX_FIELD_NAME,
      signal: ended.signal,
    });
    try {
      for (;;) {
        const batch = await reader.nextBatch();
        if (!batch) break;
        incoming?.passedOn();
        const events = comparison
          ? await run(client, comparison.rest(batch))
          : batch;
        const bad = events.findIndex((event) => isTooLarge(event, maxEvent));
        const count = bad < 0 ? events.length : bad;
        for (let from = 0; from < count; from += this.#step) {
          this.#options.assertRoom?.();
          const to = Math.min(from + this.#step, count);
          const some = to - from === events.length
            ? events
            : events.slice(from, to);
          const taken = this.#takeInTime(client, some.length, over);
          if (taken) await taken;
          const digested = keyed && await run(client, keyed.digest(some));
          draining?.assertOpen({ added });
          const room = writer.write(some, (first) => {
            const next = first + some.length;
            if (digested) keyed?.added(digested, { epoch, first, next });
            added = { epoch, first: added?.first ?? first, next };
          }, keptWith(topic, { keyed, digested, hold }, false));
          this.#options.counts?.http.add(some);
          if (room) await room;
        }
        if (bad >= 0) throw sizeError(maxEvent, { added });
      }
      const before = comparison?.end();
      if (before) return before;
      await writer.settled();
    } catch (cause) {
      if (isFilled && hasNoPart(cause)) topic.filling = undefined;
      // The error says how many events were added, as far as the log keeps
      // them.
      await writer.settled().catch(() => {});
      draining?.assertOpen({ added });
      if (cause instanceof LeaseLostError) {
        throw takenOver(topic, cause, { key: keyed?.key, added });
      }
      if (
        cause instanceof TopicEndedError || cause instanceof PublishError ||
        cause instanceof StoreError || cause instanceof StaleWriterError
      ) {
        throw cause;
      }
      if (cause instanceof Problem) {
        const { status, code, message, headers } = cause;
        throw new Problem(status, code, message, { added }, headers);
      }
      if (cause instanceof EventTooLargeError) {
        throw sizeError(maxEvent, { cause, added });
      }
      if (cause instanceof EventLimitError) {
        throw new PublishError(cause.code, cause.message, { cause, added });
      }
      throw new PublishError("body_incomplete", "The body broke off", {
        cause,
        added,
      });
    }
    return added ?? keyed?.place ??
      { epoch, first: topic.log.next, next: topic.log.next };
  }

  /** Takes the lease on a topic that ends with a stream: `undefined` if another one fills it. */
  async #fill(
    topic: Topic,
    onLost: () => void,
  ): Promise<Hold | undefined> {
    try {
      const hold = this.#options.leases.hold(topic, { onLost });
      if (hold.ready) await hold.ready;
      return hold;
    } catch (error) {
      if (error instanceof LeaseHeldError) return undefined;
      throw error;
    }
  }

  /** The number of events of a stream that are added at once. */
  get #step(): number {
    return Math.max(1, Math.floor(this.#options.maxRate * STEP));
  }

  /** Resolves once events were taken from the rate; `undefined` if that is now. */
  #takeInTime(
    client: string,
    count: number,
    signal: AbortSignal,
  ): Promise<void> | undefined {
    const delay = this.#rates.take(client, count);
    return delay === 0
      ? undefined
      : this.#takeLater(client, count, delay, signal);
  }

  async #takeLater(
    client: string,
    count: number,
    first: number,
    signal: AbortSignal,
  ): Promise<void> {
    let delay = first;
    do {
      await wait(delay, this.#options.clock, signal);
      delay = this.#rates.take(client, count);
    } while (delay > 0);
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
}

/**
 * Puts it into the words of a publisher that another relay fills the topic now. With a
 * key, the publisher finds out by repeating the request.
 */
function takenOver(
  topic: Topic,
  error: unknown,
  { key, added }: {
    readonly key: string | undefined;
    readonly added: Published | undefined;
  },
): unknown {
  if (!(error instanceof LeaseLostError)) return error;
  if (key !== undefined) return keyInUse(error);
  const { name, state } = topic;
  return state.kind === "ended"
    ? new TopicEndedError(name, state.end)
    : new PublishError(
      "lease_lost",
      `Another relay has taken over topic '${name}', as this one was cut off or stalled, and ends it as truncated: publish what is missing to another topic`,
      { cause: error, added },
    );
}

function hasNoPart(error: unknown): boolean {
  return error instanceof PublishError && NO_PART.has(error.code);
}

/** Returns the options with which events that have a key are appended. */
function keptWith(
  { tail }: Topic,
  { keyed, digested, hold }: {
    readonly keyed: KeyedPublication | undefined;
    readonly digested: DigestedEvents | undefined;
    readonly hold?: Hold | undefined;
  },
  isWhole: boolean,
): LogAppendOptions | undefined {
  if (!keyed || !digested) return undefined;
  const publication = keyed.keep(digested, tail, isWhole);
  return hold
    ? { publication, lease: hold.lease }
    : { publication: { ...publication, before: { value: keyed.kept } } };
}

/** Puts it into the words of a publisher that another relay has a message with the key. */
function ofAnother(
  keyed: KeyedPublication | undefined,
  error: unknown,
): unknown {
  return keyed && error instanceof StaleWriterError ? keyInUse(error) : error;
}

/** Reads what a client publishes in steps, after what it has published before. */
function run<T>(client: string, steps: Steps<T>): T | Promise<T> {
  return slices.run(`publications of ${client}`, steps);
}

/** The events of a whole body that are to be added, or their place, if there are none. */
interface Remaining {
  readonly rest: readonly ServerSentEvent[];
  readonly published?: Published;
  readonly digested?: DigestedEvents;
}

function* remaining(
  { log }: Topic,
  keyed: KeyedPublication | undefined,
  events: readonly ServerSentEvent[],
): Generator<void, Remaining> {
  if (!keyed) return { rest: events };
  const comparison = keyed.compare();
  const rest = yield* comparison.rest(events);
  const published = comparison.end();
  if (published) return { rest, published };
  if (rest.length > 0) return { rest, digested: yield* keyed.digest(rest) };
  const { epoch, next } = log;
  return { rest, published: { epoch, first: next, next } };
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
