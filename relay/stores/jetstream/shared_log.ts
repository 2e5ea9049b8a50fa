import type { Clock } from "../../../src/fetch/clock.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { StoredEnd } from "../../topics/end.ts";
import { LeaseLostError } from "../../topics/lease.ts";
import {
  type Appended,
  type Hole,
  type LogEntry,
  type LogRange,
  type ReadBudget,
  type Retention,
  sizeOf,
  type TopicFacts,
} from "../../topics/log.ts";
import { StaleWriterError, StoreError } from "../../topics/store.ts";
import { Wakes } from "../follow_log.ts";
import type { History, ReadLog } from "../history.ts";
import { Pace, withWaiting } from "../pace.ts";
import type { Segment } from "../segment.ts";
import type { Window, Windows } from "../window.ts";
import { atMost, type Connection } from "./connection.ts";
import { firstOf, lastOf, lost, readSubject } from "./consume.ts";
import { LogCopy } from "./log_copy.ts";
import { type Deed, HEADER, readEvents, readHeader } from "./log_message.ts";
import { Doubts } from "./doubts.ts";
import type { Batch, Work } from "./log_work.ts";
import { LogWriter } from "./log_writer.ts";
import { LoggedMessages, type MessageRange } from "./logged_messages.ts";
import type { LogSummary, RecordedLog } from "./record.ts";

/** The parts of a store that a log uses. */
export interface SharedLogStore {
  readonly connection: Connection;
  readonly stream: string;
  readonly retention: Retention;
  readonly clock: Clock;
  /** The events in memory of all logs: the newest of each, and older ones that are read. */
  readonly windows: Windows;
  readonly history: History<SharedLog>;
  /** Whether writers wait for relays that are linked to this one. */
  isPaced: boolean;
  /** Told of an end that the log has. */
  onEnded(log: SharedLog): void;
  /** Whether the log was deleted: a new leader may not know yet of messages that are there. */
  isDeleted(log: SharedLog): Promise<boolean>;
  /** Told of a place in the stream. */
  onPlace(seq: number): void;
  /** Told of a message that was kept: the time that it took, in milliseconds, and what is in it. */
  onWritten(duration: number, operations: number, bytes: number): void;
  /** Told of a message of which nobody knows whether it was kept. */
  onFailed(): void;
  /** Told of messages that were missed, and are read. */
  onMissed(): void;
}

/** A message of a log. */
export interface LogMessage {
  readonly seq: number;
  readonly id: string;
  readonly header: string;
  readonly data: Uint8Array;
}

/** The result of a work that appends nothing. */
const NOTHING_APPENDED: Appended = { first: 0, count: 0, bytes: 0 };

/** The events that are written at a time, and their bytes. */
const BATCH = { events: 1_000, bytes: 256 * 1024 };

/** The events that are fetched as one: what is in memory is given up by so many. */
const SEGMENT_EVENTS = 128;

/** The time within which a message is told of that was written, in milliseconds. */
const TOLD_WITHIN = 100;

/** The time between the looks whether something was missed, in milliseconds: the last one is repeated. */
const LOOKS = [100, 400, 1_500, 10_000];

/**
 * A log of the stream that is in use at this relay, however many handles it has: a copy
 * of where it stands, which follows what any relay appends, and one line of what this
 * relay appends.
 */
export class SharedLog implements ReadLog {
  readonly name: string;
  readonly subject: string;
  /** Where the log in the stream stands, and the newest events. */
  readonly copy: LogCopy;
  /** Whether this relay has made it. */
  readonly isMadeHere: boolean;
  /** The places of those who read it by this relay, if its writers wait for them. */
  readonly pace: Pace | undefined;
  /** The number of handles. */
  handles = 0;
  /** The time when it was last needed, in milliseconds since the epoch. */
  usedAt: number;
  readonly #store: SharedLogStore;
  #recorded: RecordedLog;
  readonly #writer: LogWriter;
  /** The place of the last message that counts, and that of the last one of the subject. */
  #seq = 0;
  #place = 0;
  /** Resolves with the next message that is taken. */
  readonly #taken = new Wakes();
  /** The number of the newest lease that was seen. */
  #lease = 0;
  /** The place of the message that has the facts. */
  #factsAt = 0;
  /** The messages of the copy. */
  readonly #messages = new LoggedMessages();
  /** The beginnings of a body that is not whole yet, and their places. */
  #parts: Uint8Array[] = [];
  #partsAt: number[] = [];
  #partOf = "";
  /** Events that are being fetched. */
  readonly #fetches = new Set<{
    readonly first: number;
    readonly last: number;
    readonly segments: Promise<readonly Segment[]>;
  }>();
  readonly #line: Work[] = [];
  /** The number of events that are to be written, if writers wait for readers. */
  #underWay = 0;
  #turn: Promise<void> | undefined;
  #reading: Promise<void> | undefined;
  #nextReading: Promise<void> | undefined;
  /** Whether the copy has what there was when it was opened. */
  #isLoaded: boolean;
  /** Whether nobody knows what has become of the last attempt to write. */
  #isUncertain = false;
  /** Resolves once the name has the log; rejects if it has another one. */
  #made: Promise<void> | undefined;
  /** The appends that were refused though NATS may have kept them. */
  readonly #doubts = new Doubts();
  /** The message that is written, and whether it was read: an attempt need not be answered to be kept. */
  #sought: {
    readonly id: string;
    readonly events: readonly ServerSentEvent[];
    isFound: boolean;
  } = { id: "", events: [], isFound: false };
  #hasEndedHere = false;
  #looks = 0;
  #lookAt = 0;

  /**
   * Takes up a log.
   *
   * @param recorded The log, as the record of its name has it.
   * @param made Resolves once the record is kept, of a log that is new.
   */
  constructor(
    store: SharedLogStore,
    name: string,
    subject: string,
    recorded: RecordedLog,
    made?: Promise<void>,
  ) {
    this.#store = store;
    this.name = name;
    this.subject = subject;
    this.#recorded = recorded;
    const copy = this.copy = new LogCopy(store, recorded);
    if (store.isPaced) {
      const next = (): number => copy.next + this.#underWay;
      this.pace = new Pace(withWaiting(copy, next), store.clock);
    }
    this.usedAt = store.clock.now();
    this.#writer = new LogWriter(store, subject);
    this.#isLoaded = this.isMadeHere = made !== undefined;
    if (!made) return;
    this.#made = made;
    // Whoever wants to know asks `settled`.
    made.then(() => void (this.#made = undefined), () => this.bury());
  }

  get epoch(): string {
    return this.copy.epoch;
  }

  get next(): number {
    return this.copy.next;
  }

  get isGone(): boolean {
    return this.copy.isGone;
  }

  get window(): Window {
    return this.copy.window;
  }

  holeAt(offset: number): Hole | undefined {
    return this.copy.holeAt(offset);
  }

  onRead(): void {
    this.usedAt = this.#store.clock.now();
  }

  /**
   * The summary of its end, if the record of its name has one and the copy is
   * not needed yet.
   */
  get summary(): LogSummary | undefined {
    return this.#isLoaded ? undefined : this.#recorded.summary;
  }

  /** Takes note of what the record of its name says of it now. */
  isRecorded(recorded: RecordedLog): void {
    this.#recorded = recorded;
  }

  /** Whether the copy has all that there is. */
  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Whether its name has it: until then, it may turn out that another relay was first. */
  get isMade(): boolean {
    return this.#made === undefined;
  }

  /** Whether its end was written here. */
  get hasEndedHere(): boolean {
    return this.#hasEndedHere;
  }

  /** Whether something is being written. */
  get isBusy(): boolean {
    return this.#turn !== undefined || this.#made !== undefined;
  }

  /** The number of what waits to be written. */
  get backlog(): number {
    return this.#line.length;
  }

  /** The number of the newest lease that was seen. */
  get lease(): number {
    return this.#lease;
  }

  /** Reads what there is, unless that was done. */
  async load(): Promise<void> {
    if (this.#isLoaded) return;
    await this.#store.connection.ask(() => this.catchUp(), {
      passes: isCorrupt,
    });
  }

  /** Reads what was missed until now. */
  catchUp(): Promise<void> {
    // Whoever asks while it is read waits for one more time, and for nothing that comes
    // later: a busy log may never be at rest.
    return this.#reading
      ? this.#nextReading ??= this.#readAgain(this.#reading)
      : this.#startReading();
  }

  async #readAgain(reading: Promise<void>): Promise<void> {
    try {
      await reading;
    } catch {
      // Whoever has asked for that is told.
    }
    this.#nextReading = undefined;
    await this.catchUp();
  }

  #startReading(): Promise<void> {
    const reading = this.#read().finally(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
    return this.#reading = reading;
  }

  /** Looks now and then whether something was missed: what is told once may be lost. */
  look(now: number): void {
    if (!this.#isLoaded || this.copy.ended || this.copy.isGone) return;
    if (this.#turn || now < this.#lookAt) return;
    this.#scheduleLook(now);
    this.catchUp().catch(() => {});
  }

  /** Looks soon, as something may have been missed. */
  lookSoon(): void {
    this.#looks = 0;
    this.#lookAt = 0;
  }

  /** Takes what was told of the subject, which follows another message of it. */
  heard(message: LogMessage, after: number): void {
    if (!this.#isLoaded || message.seq <= this.#place || this.copy.isGone) {
      return;
    }
    this.#scheduleLook(this.#store.clock.now());
    if (after === this.#place) {
      try {
        return this.#apply(message);
      } catch {
        // It is read again, and told to whoever reads.
      }
    }
    if (!this.#reading) this.#store.onMissed();
    this.catchUp().catch(() => {});
  }

  /** Has something written, after all that is under way. */
  write(work: Work): Promise<Appended> {
    if (work.kind === "append" && this.pace) {
      const { events: { length } } = work;
      const over = (): void => void (this.#underWay -= length);
      this.#underWay += length;
      work.result.promise.then(over, over);
    }
    this.#line.push(work);
    this.#turn ??= this.#run();
    return work.result.promise;
  }

  /** Has its first message written, unless another relay has written one. */
  begin(): void {
    this.#writeAside("first");
  }

  /** Resolves once all is written that is under way. */
  settled(): Promise<void> | undefined {
    const made = this.#made;
    return made
      ? made.catch((error) => {
        throw error instanceof StoreError ? error : this.#stale(undefined);
      }).then(() => this.#turn)
      : this.#turn;
  }

  /** The topic was deleted, or never came to be. */
  bury(): void {
    if (this.copy.isGone) return;
    this.copy.bury();
    this.pace?.close();
  }

  /** Reads events: at once, if they are in memory. */
  read(from: number, budget: ReadBudget): LogRange | Promise<LogRange> {
    if (!this.#isLoaded) return this.#readLate(this.load(), from, budget);
    const read = this.#store.history.read(this, from, budget);
    return read instanceof Promise ? this.#readLate(read, from, budget) : read;
  }

  async #readLate(
    reading: Promise<LogRange | void>,
    from: number,
    budget: ReadBudget,
  ): Promise<LogRange> {
    const { copy } = this;
    for (let at = from;;) {
      try {
        const range = await reading;
        if (range) return range;
      } catch (error) {
        if (copy.first <= at) throw error;
      }
      // Retention may have passed the first of them meanwhile.
      at = Math.max(from, copy.first);
      reading = Promise.resolve(this.#store.history.read(this, at, budget));
    }
  }

  /** Fetches events from the stream. */
  async fetch(from: number, bytes: number): Promise<readonly Segment[]> {
    const { connection, stream } = this.#store;
    for (;;) {
      const range = this.#messages.around(from, bytes);
      if (!range) return [];
      const place = await firstOf(
        connection,
        stream,
        this.subject,
        range.from,
      );
      if (place === undefined) {
        if (!await this.#store.isDeleted(this)) throw lost();
        this.bury();
        return [];
      }
      if (place === range.from) return await this.#shared(range);
      // Retention has passed it at another relay, which has removed it.
      const first = this.#messages.offsetFrom(place);
      if (first === undefined || first <= from) return [];
      this.copy.pass(first);
      from = first;
    }
  }

  /** Readers of places close to each other wait for the same messages. */
  async #shared(range: MessageRange): Promise<readonly Segment[]> {
    for (const { first, last, segments } of this.#fetches) {
      if (first <= range.from && range.from <= last) return await segments;
    }
    const segments = this.#fetch(range);
    const fetch = { first: range.from, last: range.last, segments };
    this.#fetches.add(fetch);
    try {
      return await segments;
    } finally {
      this.#fetches.delete(fetch);
    }
  }

  async #fetch(
    { from, last, places }: MessageRange,
  ): Promise<readonly Segment[]> {
    const { connection, stream } = this.#store;
    const segments: { readonly first: number; readonly entries: LogEntry[] }[] =
      [];
    let seen = 0;
    let parts: Uint8Array[] = [];
    await connection.ask((connected) =>
      readSubject(connected, {
        ...{ stream, filter: this.subject, from, last },
        onMessage: ({ seq, header, data }) => {
          // Void messages have no place among them. After an error, messages come again.
          if (!places.has(seq) || seq <= seen) return;
          seen = seq;
          const message = readHeader(header(HEADER), this.subject);
          if (message.kind === "part") return void parts.push(data);
          const { deed } = message;
          const body = whole(parts, deed, data);
          parts = [];
          if (deed.count === 0) return;
          const { at, time } = deed;
          const entries = readEvents(body, deed.count, this.subject)
            .map((event) => ({ event, size: sizeOf(event), time }));
          const before = segments.at(-1);
          const isNext = before && before.entries.length < SEGMENT_EVENTS &&
            before.first + before.entries.length === at;
          if (isNext) {
            for (const entry of entries) before.entries.push(entry);
          } else segments.push({ first: at, entries });
        },
      }), { passes: isCorrupt });
    return segments;
  }

  /** Gives up the events in memory, as nobody needs them. */
  letGo(): void {
    this.#store.history.forget(this);
    this.window.clear();
  }

  /** Says what has become of it. */
  summarize(end: StoredEnd): LogSummary {
    const { first, next, bytes, facts, firstAt, lastAt } = this.copy;
    return { first, next, bytes, facts, end, firstAt, lastAt };
  }

  async #read(): Promise<void> {
    const { connection, stream } = this.#store;
    const last = await lastOf(connection, stream, this.subject);
    if (last === undefined) {
      // Nothing was written yet, or all was removed.
      const isGone = this.#place > 0 && await this.#store.isDeleted(this);
      if (isGone) this.bury();
    } else if (last > this.#place) {
      const { since } = this.#recorded;
      // A relay that knew an older stream of that name may have said where it was.
      const from = Math.max(this.#place, last > since ? since : 0) + 1;
      await connection.ask((connected) =>
        readSubject(connected, {
          ...{ stream, filter: this.subject, from, last },
          onMessage: ({ seq, data, header }) => {
            if (seq <= this.#place) return;
            const id = header("Nats-Msg-Id");
            this.#apply({ seq, id, header: header(HEADER), data });
          },
        }), { passes: isCorrupt });
    }
    await this.#assertWhole();
    this.#isLoaded = true;
  }

  /** Throws if a log that has ended has no end: a server that has just become the leader may not know of it yet. */
  async #assertWhole(): Promise<void> {
    const { copy } = this;
    if (!this.#recorded.summary || copy.ended || copy.isGone) return;
    if (await this.#store.isDeleted(this)) return this.bury();
    throw new StoreError(
      "away",
      `NATS at ${this.#store.connection.servers} lacks the end of topic '${this.name}', which was acknowledged: its leader is behind the others, or has lost it`,
    );
  }

  #apply({ seq, id, header, data }: LogMessage): void {
    const message = readHeader(header, this.subject);
    const { after } = message.kind === "deed" ? message.deed : message;
    const isFirst = this.#place === 0;
    this.#place = seq;
    this.#taken.wake();
    // A server may let two messages follow the same one: the second is void.
    if (after !== this.#seq && !isFirst) return;
    if (id === this.#sought.id) this.#sought.isFound = true;
    if (message.kind === "part") {
      if (message.part !== this.#partOf) this.#parts = [];
      this.#partOf = message.part;
      this.#parts.push(data);
      this.#partsAt.push(seq);
      this.#seq = seq;
      return;
    }
    const { deed } = message;
    const body = whole(this.#parts, deed, data);
    this.#parts = [];
    this.#doubts.kept(id, deed.at);
    // The events are at hand if this relay has written them.
    const events = id === this.#sought.id
      ? this.#sought.events
      : readEvents(body, deed.count, this.subject);
    this.#do(seq, deed, events, body.length);
  }

  /** Does to the copy what a message has done to the log. */
  #do(
    seq: number,
    deed: Deed,
    events: readonly ServerSentEvent[],
    bytes: number,
  ): void {
    const { copy } = this;
    const { at, time, facts, publications, hole, end, lease } = deed;
    // Retention has removed what was before.
    if (at > copy.next) copy.skip(at - copy.next, "evicted");
    if (facts) {
      copy.update(facts);
      this.#factsAt = seq;
    }
    if (events.length > 0) copy.add(events, time);
    for (const [key, value] of publications ?? []) {
      copy.remember(key, value);
    }
    if (hole) copy.skip(hole.count, hole.reason);
    if (lease !== undefined && lease > this.#lease) this.#lease = lease;
    this.#seq = seq;
    this.#store.onPlace(seq);
    const parts = this.#partsAt;
    this.#messages.add({ seq, parts, bytes, next: copy.next });
    if (this.#partsAt.length > 0) this.#partsAt = [];
    if (!this.#turn) this.#messages.forget(copy.first);
    if (end && !copy.ended) {
      copy.end(end);
      this.#store.onEnded(this);
    }
  }

  /** Has something written for which nobody waits. */
  #writeAside(kind: "first" | "again"): void {
    const result = Promise.withResolvers<Appended>();
    result.promise.catch(() => {});
    void this.write({ kind, writer: { refused: undefined }, result });
  }

  async #run(): Promise<void> {
    // Work that comes in the same turn of the loop is written together.
    await undefined;
    try {
      while (this.#line.length > 0) await this.#writeSome();
    } finally {
      this.#turn = undefined;
      if (this.#line.length > 0) this.#turn = this.#run();
    }
  }

  async #writeSome(): Promise<void> {
    let batch: Batch | undefined;
    let sent: { readonly id: string; readonly at: number } | undefined;
    try {
      if (this.#made) {
        try {
          await this.#made;
        } catch (error) {
          throw error instanceof StoreError ? error : this.#stale(undefined);
        }
      }
      if (!this.#isLoaded || this.#isUncertain) {
        await this.catchUp();
        this.#isUncertain = false;
      }
      batch = this.#take();
      if (!batch) return;
      for (;;) {
        const { next: at } = this.copy;
        const deed: Deed = { ...batch.deed, after: this.#seq, at };
        const { events } = batch;
        const sought = { id: crypto.randomUUID(), events, isFound: false };
        this.#sought = sought;
        if (deed.end) this.#hasEndedHere = true;
        sent = { id: sought.id, at };
        const began = performance.now();
        const written = await this.#writer.write(
          deed,
          batch.events,
          this.#place,
          sought.id,
        );
        // It is told again as all messages are, and only then is it known to count.
        await this.#isTaken(written);
        if (sought.isFound) {
          const bytes = batch.works.reduce((sum, { bytes }) => sum + bytes, 0);
          const took = performance.now() - began;
          this.#store.onWritten(took, batch.works.length, bytes);
          done(batch, at);
          this.#scheduleLook(this.#store.clock.now());
          this.#purge();
          return;
        }
        // It may be on its way still. What has come may be a reason to refuse some of it.
        this.#doubts.note(sought.id, batch);
        sent = undefined;
        for (const { work } of batch.works.reverse()) this.#line.unshift(work);
        batch = this.#take();
        if (!batch) return;
      }
    } catch (error) {
      this.#isUncertain = true;
      if (batch && sent) {
        // It may have been heard of before the error.
        if (this.#sought.isFound) return done(batch, sent.at);
        this.#store.onFailed();
        this.#doubts.note(sent.id, batch);
      }
      const works = batch?.works.map(({ work }) => work) ?? [];
      for (const work of [...works, ...this.#line.splice(0)]) {
        work.result.reject(error);
      }
    }
  }

  /** Resolves once all messages are taken up to one that was written. */
  async #isTaken(written: number | undefined): Promise<void> {
    if (written === undefined) return await this.catchUp();
    const late = performance.now() + TOLD_WITHIN;
    while (this.#place < written) {
      const left = late - performance.now();
      if (left <= 0) return await this.catchUp();
      await atMost(left, this.#taken.next);
    }
  }

  /** Takes what is written next; refuses what cannot be written. */
  #take(): Batch | undefined {
    const { copy } = this;
    const works: Batch["works"] = [];
    const events: ServerSentEvent[] = [];
    let bytes = 0;
    let facts: TopicFacts | undefined;
    let hole: Deed["hole"];
    const publications = new Map<string, string>();
    let end: StoredEnd | undefined;
    let fence = this.#lease;
    while (!end) {
      const [work] = this.#line;
      if (!work) break;
      const kept = this.#doubts.take(work);
      if (kept) {
        this.#line.shift();
        work.result.resolve(kept);
        continue;
      }
      const error = this.#refusal(work, copy.next + events.length) ??
        this.#anothers(work, publications);
      if (error) {
        this.#line.shift();
        if (error instanceof StaleWriterError && work.kind === "append") {
          if (work.expected !== undefined) work.writer.refused ??= error;
        }
        work.result.reject(error);
        continue;
      }
      const isDone = work.kind === "end" && copy.ended ||
        work.kind === "first" && this.#seq > 0;
      if (isDone) {
        this.#line.shift();
        work.result.resolve(NOTHING_APPENDED);
        continue;
      }
      const isFull = events.length > 0 && work.kind === "append" &&
        (events.length + work.events.length > BATCH.events ||
          bytes + work.bytes > BATCH.bytes);
      // Events behind a hole go into another message.
      if (isFull || hole) break;
      this.#line.shift();
      const size = work.kind === "append" ? work.bytes : 0;
      const offset = events.length;
      switch (work.kind) {
        case "append":
          for (const event of work.events) events.push(event);
          bytes += work.bytes;
          if (work.publication) {
            const { key, value, valueAt } = work.publication;
            const at = copy.next + offset;
            publications.set(key, valueAt?.(at) ?? value);
          }
          break;
        case "skip":
          hole = { count: work.count, reason: work.reason };
          break;
        case "facts":
          // Another relay may have changed others, of which the writer has not heard.
          facts = work.changes
            ? { ...(facts ?? copy.facts), ...work.changes }
            : work.facts;
          break;
        case "first":
          break;
        case "again":
          facts ??= copy.facts;
          break;
        case "end":
          ({ end } = work);
          break;
        case "fence":
          fence = Math.max(fence, work.lease);
          break;
      }
      works.push({ work, offset, bytes: size });
    }
    if (works.length === 0) return undefined;
    const deed: Batch["deed"] = {
      v: 1,
      time: this.#store.clock.now(),
      count: events.length,
      // The first message of a log says what it was made with.
      ...((facts ?? this.#seq === 0) && { facts: facts ?? copy.facts }),
      ...(hole && { hole }),
      ...(end && { end }),
      ...(fence > 0 && { lease: fence }),
      ...(publications.size > 0 && { publications: [...publications] }),
    };
    return { deed, events, works };
  }

  #refusal(work: Work, next: number): Error | undefined {
    const { copy } = this;
    const { refused } = work.writer;
    if (refused) return refused;
    const expected = work.kind === "append" ? work.expected : undefined;
    if (copy.isGone) return this.#stale(undefined, expected);
    // An end that was kept stands, whoever comes second.
    const isFillers = work.kind === "append" || work.kind === "facts" ||
      work.kind === "end" && !copy.ended;
    if (isFillers && work.lease) {
      const { lease } = work;
      if (lease.number < this.#lease) lease.lose();
      if (!lease.isHeld) return new LeaseLostError(this.name);
    }
    const isClosed = copy.ended &&
      (work.kind === "append" || work.kind === "skip");
    if (isClosed) return this.#stale(undefined, expected);
    return expected !== undefined && expected !== next
      ? this.#stale(next, expected)
      : undefined;
  }

  /** Returns why a publication is not added: another writer was first with it. */
  #anothers(
    work: Work,
    taken: ReadonlyMap<string, string>,
  ): StaleWriterError | undefined {
    if (work.kind !== "append" || !work.publication?.before) return undefined;
    const { key, before: { value } } = work.publication;
    const kept = taken.get(key) ?? this.copy.publication(key);
    return kept === undefined || kept === value
      ? undefined
      : this.#stale(this.copy.next);
  }

  #stale(next: number | undefined, expected?: number): StaleWriterError {
    return new StaleWriterError(this.name, expected ?? this.copy.next, next);
  }

  #scheduleLook(now: number): void {
    const wait = LOOKS[Math.min(this.#looks++, LOOKS.length - 1)]!; // within the table
    this.#lookAt = now + wait;
  }

  /** Removes the messages that retention has passed, once they are many. */
  #purge(): void {
    const { first } = this.copy;
    const before = this.#messages.removable(first);
    if (before === undefined) return;
    // Facts that would go with them are written again first.
    if (this.#factsAt < before) return this.#writeAside("again");
    const { connection, stream } = this.#store;
    void this.#messages.remove(first, connection, stream);
  }
}

/** Tells all who wait for a message that it is kept, from an offset on. */
function done({ works }: Batch, at: number): void {
  for (const { work, offset, bytes } of works) {
    const count = work.kind === "append" ? work.events.length : 0;
    work.result.resolve({ first: at + offset, count, bytes });
  }
}

/** Whether one log is at fault, and not NATS. */
function isCorrupt(error: unknown): boolean {
  return error instanceof StoreError && error.failure === "corrupt";
}

/** Returns the body of a message whose beginning may have come in parts. */
function whole(
  parts: readonly Uint8Array[],
  { parts: count }: Deed,
  data: Uint8Array,
): Uint8Array {
  return count === undefined ? data : joined([...parts.slice(-count), data]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
