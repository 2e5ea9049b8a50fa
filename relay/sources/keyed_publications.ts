import { createHash } from "node:crypto";
import { z } from "zod";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { type AppendedPublication, MAX_PUBLICATIONS } from "../topics/log.ts";
import type { Topic } from "../topics/topic.ts";
import { type Published, PublishError } from "./publish_error.ts";

/** The key of a publication, and the publisher that it belongs to. */
export interface PublicationKey {
  /** The key: an `Idempotency-Key`, or the `id` of a message. */
  readonly key?: string | undefined;
  /** The identity of the publisher. */
  readonly publisher: string;
}

/** The work of a step: the UTF-16 code units that go into a digest. */
const STEP = 8 * 1024;

/** The units that an event counts for, besides its own. */
const EVENT_COST = 1024;

/**
 * The record of a publication in a log: the number of its events, and their
 * place.
 */
const kept = z.object({
  count: z.int().positive(),
  digest: z.string(),
  first: z.int().positive(),
  next: z.int().positive(),
  isWhole: z.boolean(),
});

type Kept = z.output<typeof kept>;

function readKept(text: string | undefined): Kept | undefined {
  // It is what this relay or one before has written.
  return text === undefined ? undefined : kept.parse(JSON.parse(text));
}

/** The publications to one topic under each key, for the keys of all publishers. */
export class KeyedPublications {
  readonly #topics = new WeakMap<Topic, Map<string, KeyedPublication>>();

  /**
   * Returns the topic that has a publication under a key, of several that follow each
   * other under one name: whole, or under way, or to be gone on with.
   */
  topicOf(
    topics: Iterable<Topic>,
    { key, publisher }: PublicationKey,
  ): Topic | undefined {
    if (key === undefined) return undefined;
    const own = ownKey(publisher, key);
    for (const topic of topics) {
      const keyed = this.#topics.get(topic)?.get(own);
      if (keyed?.busy || keyed?.published) return topic;
      const kept = readKept(topic.log.publication(own));
      if (kept && (kept.isWhole || !isBroken(topic))) return topic;
    }
    return undefined;
  }

  /**
   * Returns the publication under a key, or a new one; `undefined` without a key.
   *
   * @throws {PublishError} If the publication is under way.
   */
  find(
    topic: Topic,
    { key, publisher }: PublicationKey,
  ): KeyedPublication | undefined {
    if (key === undefined) return undefined;
    const own = ownKey(publisher, key);
    let keys = this.#topics.get(topic);
    if (!keys) this.#topics.set(topic, keys = new Map());
    const earlier = keys.get(own);
    if (earlier?.busy) throw keyInUse();
    const kept = topic.log.publication(own);
    // Another relay may have gone on with it. A log forgets before this does.
    if (earlier && (kept === undefined || kept === earlier.kept)) {
      return earlier;
    }
    for (const [oldest, { busy }] of keys) {
      if (keys.size < MAX_PUBLICATIONS) break;
      if (!busy) keys.delete(oldest);
    }
    const keyed = new KeyedPublication(
      own,
      topic.log.epoch,
      kept,
    );
    keys.set(own, keyed);
    return keyed;
  }
}

function ownKey(publisher: string, key: string): string {
  return JSON.stringify([publisher, key]);
}

/** Whether a stream that was published to a topic may have broken off with it. */
function isBroken({ state }: Topic): boolean {
  return state.kind === "ended" && state.end.status !== "complete";
}

/** Events that were digested, behind those that have been added. */
export interface DigestedEvents {
  readonly count: number;
  readonly digest: string;
}

/** The publication under one key of one publisher. */
export class KeyedPublication {
  /** Whether the publication is under way. */
  busy = false;
  /** The place of the events, once all of them are in the topic. */
  published: Published | undefined;
  /** The place of the events that are in the topic. */
  place: Published | undefined;
  /** The key, which is its publisher's own. */
  readonly key: string;
  #count = 0;
  /** A digest of the events that have been added. */
  #digest = "";
  /** A digest of these, and of those that are being added, and the number of both. */
  #tail = "";
  #tailCount = 0;
  /** The offset of the first event, though it may still be added. */
  #first: number | undefined;
  /**
   * The record that the log has, and the one that it will have with the next
   * events.
   */
  #kept: string | undefined;
  #toKeep: string | undefined;
  /**
   * The record that the log has before what is added next, once all that is
   * under way is kept.
   */
  #before: { value: string | undefined };

  /**
   * Goes on with a publication.
   *
   * @param key The key, which is its publisher's own.
   * @param epoch The log.
   * @param text The record that the log has. Default: none, it is a new one.
   */
  constructor(key: string, epoch: string, text?: string) {
    this.key = key;
    this.#kept = text;
    this.#before = { value: text };
    const kept = readKept(text);
    if (!kept) return;
    const { count, digest, first, next, isWhole } = kept;
    this.#count = this.#tailCount = count;
    this.#digest = this.#tail = digest;
    this.#first = first;
    this.place = { epoch, first, next };
    if (isWhole) this.published = this.place;
  }

  /** The record that the log has. */
  get kept(): string | undefined {
    return this.#kept;
  }

  /** Begins, where an earlier attempt has left off. */
  begin(): void {
    this.busy = true;
    this.#tail = this.#digest;
    this.#tailCount = this.#count;
    this.#first = this.place?.first;
    this.#before = { value: this.#kept };
  }

  /** Digests events that are about to be added, after those of the call before. */
  *digest(events: readonly ServerSentEvent[]): Generator<void, DigestedEvents> {
    const digest = this.#tail = yield* digestWith(this.#tail, events);
    return { count: events.length, digest };
  }

  /**
   * Returns what the log is to keep with events that were digested last.
   *
   * @param first The offset that they will have.
   * @param isWhole Whether they are the last of the publication.
   */
  keep(
    { count, digest }: DigestedEvents,
    first: number,
    isWhole: boolean,
  ): AppendedPublication {
    const isFirst = this.#first === undefined;
    this.#tailCount += count;
    const all = this.#tailCount;
    const before = this.#before;
    const own: { value: string | undefined } = this.#before = { value: "" };
    const valueAt = (first: number): string => {
      if (isFirst) this.#first = first;
      const value: Kept = {
        count: all,
        digest,
        first: this.#first ?? first,
        next: first + count,
        isWhole,
      };
      return this.#toKeep = own.value = JSON.stringify(value);
    };
    return { key: this.key, value: valueAt(first), valueAt, before };
  }

  /** Takes note of events that have been added. */
  added(
    { count, digest }: DigestedEvents,
    { epoch, first, next }: Published,
  ): void {
    this.#digest = digest;
    this.#count += count;
    this.#kept = this.#toKeep;
    this.place = { epoch, first: this.place?.first ?? first, next };
  }

  /** Returns a comparison of another body under the key with this publication. */
  compare(): Comparison {
    return new Comparison(this.#count, this.#digest, this.published);
  }
}

/** Compares the events of a body with the events that were published under its key before. */
class Comparison {
  readonly #count: number;
  readonly #expected: string;
  readonly #published: Published | undefined;
  #seen = 0;
  #digest = "";

  /**
   * Begins a comparison.
   *
   * @param count The number of events that were published.
   * @param expected Their digest.
   * @param published Their place, if the publication was whole.
   */
  constructor(
    count: number,
    expected: string,
    published: Published | undefined,
  ) {
    this.#count = count;
    this.#expected = expected;
    this.#published = published;
  }

  /**
   * Returns the events that have not been added yet.
   *
   * @param events The next events of the body.
   * @throws {PublishError} If the body is another.
   */
  *rest(
    events: readonly ServerSentEvent[],
  ): Generator<void, ServerSentEvent[]> {
    const known = events.slice(0, this.#count - this.#seen);
    this.#digest = yield* digestWith(this.#digest, known);
    this.#seen += known.length;
    if (this.#seen === this.#count && this.#digest !== this.#expected) {
      throw mismatch();
    }
    const rest = events.slice(known.length);
    if (this.#published && rest.length > 0) throw mismatch();
    return rest;
  }

  /**
   * Ends the body.
   *
   * @returns The place of the events, if all of them had been published before.
   * @throws {PublishError} If the body is another.
   */
  end(): Published | undefined {
    if (this.#seen < this.#count) throw mismatch();
    return this.#published;
  }
}

/** Continues a digest of events with more of them. */
function* digestWith(
  digest: string,
  events: readonly ServerSentEvent[],
): Generator<void, string> {
  let taken = 0;
  for (const { event, data, id } of events) {
    const lengths = [event, data, id].map(({ length }) => length);
    const hash = createHash("sha256").update(
      JSON.stringify([digest, ...lengths]),
    );
    for (const text of [event, data, id]) {
      for (let at = 0; at < text.length; at += STEP) {
        // As JSON, which writes halves of pairs as what they are.
        const piece = JSON.stringify(text.slice(at, at + STEP));
        hash.update(piece);
        taken += piece.length;
        if (taken < STEP) continue;
        yield;
        taken = 0;
      }
    }
    taken += EVENT_COST;
    digest = hash.digest("base64url");
  }
  return digest;
}

/** Returns the error of a publication whose key is being used. */
export function keyInUse(cause?: unknown): PublishError {
  return new PublishError(
    "key_in_use",
    "Another request with this Idempotency-Key is being answered: repeat this one later",
    { cause },
  );
}

function mismatch(): PublishError {
  return new PublishError(
    "idempotency_mismatch",
    "Expected the events that this Idempotency-Key was used for before, and got others: use another key",
  );
}
