/**
 * The expected content of a topic, and a check of what one reader receives.
 *
 * @module
 */
import type { ServerSentEvent } from "../../../src/sse/event.ts";

/** A topic whose events and end are known beforehand. */
export class ExpectedTopic {
  readonly name: string;
  /** Every event that it will ever have. */
  readonly events: readonly ServerSentEvent[];
  /** The status that it will end with. */
  readonly status: string;
  /** Its log, once anybody has been told. */
  epoch: string | undefined;
  readonly #waiting = new Set<{ count: number; resolve: () => void }>();
  #seen = 0;
  #hasEnded = false;
  #isAbandoned = false;

  constructor(
    name: string,
    events: readonly ServerSentEvent[],
    status: string,
  ) {
    this.name = name;
    this.events = events;
    this.status = status;
  }

  /** The number of events that the witness has seen. */
  get seen(): number {
    return this.#seen;
  }

  /** The position after the end. */
  get endPosition(): string {
    return `${this.epoch}:${this.events.length + 1}`;
  }

  /** The witness has seen this many events, and maybe the end. */
  advance(seen: number, hasEnded: boolean): void {
    this.#seen = seen;
    this.#hasEnded = hasEnded;
    for (const waiting of this.#waiting) {
      if (waiting.count > seen && !hasEnded) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  /** Nobody waits for anything any more: the test is over. */
  abandon(): void {
    this.#isAbandoned = true;
    this.advance(Infinity, true);
  }

  /** Whether the test is over. */
  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  /** Resolves when the witness has seen this many events, or the end; `Infinity` for the end. */
  reached(count: number): Promise<void> {
    if (this.#hasEnded || this.#seen >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add({ count, resolve }));
  }
}

/** The way in which a reader leaves. */
export type Leaving = "close" | "destroy" | "unsubscribe";

/** The times at which a reader leaves and comes back, counted in events. */
export interface Absence {
  /** Once it has seen this many itself. */
  readonly at: number;
  /** Once the witness has seen this many more, or the end. */
  readonly for: number;
  readonly how: Leaving;
}

/** A `subscribed` message, which nothing has checked yet. */
export interface SubscribedMessage {
  readonly epoch: string;
  readonly first: number;
  readonly next: number;
  readonly after: number;
  readonly recovered: boolean;
  readonly state: string;
}

/** One reader of one topic, over any number of connections. */
export class TopicReader {
  readonly topic: ExpectedTopic;
  readonly who: string;
  readonly isWitness: boolean;
  /** Its departures, in order. */
  readonly absences: Absence[];
  /** Resolves when the relay has answered it for the first time. */
  readonly isThere: Promise<void>;
  readonly #answered: () => void;
  /** The number of its visits. */
  visits = 0;
  #seen = 0;
  #hasEnded = false;
  /** Of the visit under way. */
  #isSubscribed = false;
  #liveAtLeast: number | undefined;
  #isLive = false;

  constructor(
    topic: ExpectedTopic,
    who: string,
    absences: readonly Absence[] = [],
    isWitness = false,
  ) {
    this.topic = topic;
    this.who = who;
    this.absences = [...absences];
    const { promise, resolve } = Promise.withResolvers<void>();
    this.isThere = promise;
    this.#answered = resolve;
    this.isWitness = isWitness;
  }

  get seen(): number {
    return this.#seen;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isSubscribed(): boolean {
    return this.#isSubscribed;
  }

  /** The position to continue from; `undefined` for the beginning. */
  get position(): string | undefined {
    return this.#seen === 0 ? undefined : `${this.topic.epoch}:${this.#seen}`;
  }

  /** Fails, and says who saw what. */
  fail(what: string): never {
    throw new Error(
      `${this.who}, topic '${this.topic.name}', visit ${this.visits}, ` +
        `after ${this.#seen} of ${this.topic.events.length} events: ${what}`,
    );
  }

  expect(condition: boolean, what: () => string): void {
    if (!condition) this.fail(what());
  }

  /** A new subscription is asked for. */
  arrive(): void {
    this.visits++;
    this.#isSubscribed = false;
    this.#isLive = false;
    this.#liveAtLeast = undefined;
  }

  /** The epoch was told. */
  checkEpoch(epoch: string | null | undefined): void {
    this.expect(
      typeof epoch === "string" && /^[A-Za-z0-9_-]{8,22}$/.test(epoch),
      () => `expected an epoch, got ${JSON.stringify(epoch)}`,
    );
    this.#answered();
    this.topic.epoch ??= epoch ?? undefined;
    this.expect(
      epoch === this.topic.epoch,
      () => `expected the epoch ${this.topic.epoch}, got ${epoch}`,
    );
  }

  /** `subscribed` came. */
  onSubscribed(message: SubscribedMessage): void {
    const told = JSON.stringify(message);
    this.expect(!this.#isSubscribed, () => `subscribed twice: ${told}`);
    this.#isSubscribed = true;
    this.checkEpoch(message.epoch);
    const { first, next, after, recovered, state } = message;
    const all = this.topic.events.length;
    this.expect(
      recovered === true && first === 1 && after === this.#seen &&
        Number.isInteger(next) && next > after && next <= all + 1 &&
        (state === "pending" ? next === 1 : ["open", "ended"].includes(state)),
      () => `expected to go on where it was: ${told}`,
    );
    this.expect(
      state !== "ended" || next === all + 1,
      () => `the topic has ended, and not all is there: ${told}`,
    );
    this.#liveAtLeast = state === "ended" ? Infinity : next;
  }

  /** An event came. */
  onEvent(offset: number, { event, data, id }: Partial<ServerSentEvent>): void {
    this.expect(!this.#hasEnded, () => `event ${offset} came after the end`);
    this.expect(
      offset === this.#seen + 1,
      () => `expected event ${this.#seen + 1}, got ${offset}`,
    );
    const expected = this.topic.events[offset - 1];
    if (!expected) return this.fail(`event ${offset} is one that never was`);
    this.expect(
      event === expected.event && data === expected.data &&
        (id === undefined || id === expected.id),
      () =>
        `event ${offset}: expected ${JSON.stringify(expected)}, got ${
          JSON.stringify({ event, data, id })
        }`,
    );
    this.#seen = offset;
    if (this.isWitness) this.topic.advance(this.#seen, false);
  }

  /** `live` came. */
  onLive(next: number): void {
    this.expect(!this.#isLive, () => "it became live twice");
    this.#isLive = true;
    this.expect(!this.#hasEnded, () => "it became live after the end");
    this.expect(
      next === this.#seen + 1 && next >= (this.#liveAtLeast ?? 1),
      () =>
        `live at ${next} before everything was replayed (${this.#liveAtLeast})`,
    );
  }

  /** `end` came. */
  onEnd({ offset, status }: { offset: number; status: string }): void {
    this.expect(!this.#hasEnded, () => "it ended twice");
    this.#hasEnded = true;
    const all = this.topic.events.length;
    this.expect(
      offset === all + 1 && this.#seen === all,
      () => `the end came at ${offset}, before all events`,
    );
    this.expect(
      status === this.topic.status,
      () => `expected the status ${this.topic.status}, got ${status}`,
    );
    this.expect(
      !this.isWitness || this.#isLive || all === 0,
      () => "who was there all the time has never been live",
    );
    if (this.isWitness) this.topic.advance(this.#seen, true);
  }

  /** The absence that begins at the last event, if one does. */
  takeAbsence(): Absence | undefined {
    const [absence] = this.absences;
    return absence && absence.at <= this.#seen
      ? this.absences.shift()
      : undefined;
  }
}
