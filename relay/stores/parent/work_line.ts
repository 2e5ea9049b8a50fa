import type { ServerSentEvent } from "../../../src/sse/event.ts";
import {
  type Asked,
  type Channel,
  LinkLostError,
} from "../../links/channel.ts";
import { type Operation, packChanges, packEvents } from "../../links/wire.ts";
import { LeaseLostError } from "../../topics/lease.ts";
import type { Appended, TopicFacts } from "../../topics/log.ts";
import { StaleWriterError, StoreError } from "../../topics/store.ts";
import { NOTHING_APPENDED, type Work } from "./parent_work.ts";
import { SoughtEvents, type SoughtLog } from "./sought_events.ts";

/** Work that was sent over a link, and is not answered yet. */
class SentWork implements Asked {
  readonly #line: WorkLine;
  readonly #work: Work;
  readonly #channel: Channel;

  constructor(line: WorkLine, work: Work, channel: Channel) {
    this.#line = line;
    this.#work = work;
    this.#channel = channel;
  }

  resolve(answer: Operation): void {
    this.#line.done(this.#work, answer);
  }

  reject(error: Error): void {
    this.#line.failed(this.#work, error, this.#channel);
  }
}

/** A log as its line of work needs it. */
export interface WorkedLog extends SoughtLog {
  readonly name: string;
  readonly epoch: string;
  /** The number under which the link has it. */
  readonly h: number | undefined;
  readonly isGone: boolean;
  readonly ended: unknown;
  /** Takes over the result of work, and tells nobody yet. */
  apply(work: Work, answer: Operation): Appended;
  /** Tells those who follow it of a change. */
  changed(): void;
  /** Keeps a publication of this relay. */
  rememberOwn(publication: Publication, first: number): void;
  /** Returns the reason to refuse a writer that came second. */
  stale(expected?: number): StaleWriterError;
  /** Is told that the log never came to be. */
  bury(): void;
  /** Is told that there may be nothing left to do. */
  onIdle(): void;
}

/** The publication of an append. */
type Publication = NonNullable<
  Extract<Work, { kind: "append" }>["publication"]
>;

/** The parts of a store that a line of work uses. */
export interface WorkLineStore {
  /** The link, if there is one. */
  readonly link: () => Channel | undefined;
  /**
   * Returns the reason to refuse work that cannot wait for the parent;
   * `undefined` while it waits.
   */
  refusal(): StoreError | undefined;
}

/** Facts that the parent is told: as long as their message has not left, others take their place. */
interface ToldFacts {
  readonly work: Extract<Work, { kind: "make" | "facts" }>;
  readonly request: unknown[];
  readonly channel: Channel;
  /** The number of messages that were sent before theirs. */
  readonly message: number;
}

/** The line of what this relay has the parent do to a log, and what becomes of it. */
export class WorkLine {
  readonly #store: WorkLineStore;
  readonly #log: WorkedLog;
  /**
   * The work that is not done yet, in order. The first `#sent` of it were sent
   * over this link.
   */
  #line: Work[] = [];
  #sent = 0;
  /** The work that must be answered before more is sent. */
  #barrier: Work | undefined;
  /** Whether it is found out what has become of what was sent over another link. */
  #isResuming = false;
  /** The offset from which work is looked for that nobody knows the fate of. */
  #soughtFrom: number | undefined;
  /** The last facts that were sent to the parent. */
  #toldFacts: ToldFacts | undefined;
  /**
   * The work that was refused after it was sent, because nobody knew its fate.
   */
  #givenUp: Extract<Work, { kind: "append" }>[] = [];
  /**
   * The appends among these that were kept, by their events: whoever tries
   * again with them is told so.
   */
  readonly #keptAfterAll = new WeakMap<
    readonly ServerSentEvent[],
    Appended
  >();

  /** Makes a line without work. */
  constructor(store: WorkLineStore, log: WorkedLog) {
    this.#store = store;
    this.#log = log;
  }

  /** Whether something is to be done. */
  get isBusy(): boolean {
    return this.#line.length > 0;
  }

  /** Whether the parent does not have the log yet, as far as is known. */
  get isMaking(): boolean {
    return this.#line[0]?.kind === "make";
  }

  /** The results of all that is to be done. */
  get results(): readonly Promise<Appended>[] {
    return this.#line.map(({ result }) => result.promise);
  }

  /** Has the parent do something, after all that it was told before. */
  do(work: Work): Promise<Appended> {
    const refusal = this.#store.refusal();
    if (refusal && !this.#mayWait(work)) return Promise.reject(refusal);
    const joined = work.kind === "facts" && this.#join(work);
    if (joined) return joined;
    this.#line.push(work);
    this.pump();
    return work.result.promise;
  }

  /** Has the parent make the log. */
  make(facts: TopicFacts): void {
    const result = Promise.withResolvers<Appended>();
    // Whoever wants to know asks `results`.
    result.promise.catch(() => {});
    const writer = { refused: undefined };
    const work: Work = {
      kind: "make",
      facts,
      writer,
      result,
      isUncertain: false,
    };
    this.#line.push(work);
    this.pump();
  }

  /** Refuses all that is to be done. */
  clear(error: () => Error): void {
    const line = this.#line.splice(0);
    this.onDown();
    for (const { result } of line) result.reject(error());
  }

  /** Refuses what cannot wait for a parent that is away for long. */
  giveUp(error: StoreError): void {
    const line: Work[] = [];
    let waits = false;
    for (const work of this.#line) {
      waits ||= isFillers(work);
      // Work waits, too, that comes after work that waits.
      if (waits || work.kind === "make" || work.kind === "facts") {
        line.push(work);
        continue;
      }
      if (work.kind === "append" && work.isUncertain) this.#givenUp.push(work);
      work.result.reject(error);
    }
    this.#line = line;
    this.#log.onIdle();
  }

  /** There is no link any more. */
  onDown(): void {
    this.#sent = 0;
    this.#barrier = undefined;
  }

  /**
   * Goes on over a new link.
   *
   * @param from The offset at which the log stood when work was sent over the last one.
   */
  resume(from: number, channel: Channel): void {
    const isUncertain = this.#givenUp.length > 0 ||
      this.#line.some((work) => work.isUncertain);
    if (isUncertain) {
      // The link may have been lost again before all was found out.
      void this.#findOut(this.#soughtFrom ?? from, channel);
      return;
    }
    this.#soughtFrom = undefined;
    this.pump();
  }

  /** Sends what can be sent. */
  pump(): void {
    const channel = this.#store.link();
    if (!channel || this.#log.h === undefined || this.#isResuming) return;
    while (!this.#barrier) {
      const work = this.#line[this.#sent];
      if (!work) return;
      const kept = work.kind === "append"
        ? this.#keptAfterAll.get(work.events)
        : undefined;
      if (kept && work.kind === "append") {
        this.#keptAfterAll.delete(work.events);
        this.#line.splice(this.#sent, 1);
        work.result.resolve(kept);
        continue;
      }
      const error = this.#refusal(work);
      if (error) {
        this.#line.splice(this.#sent, 1);
        work.result.reject(error);
        continue;
      }
      // The parent has yet to confirm the lease over this link.
      if ("lease" in work && work.lease?.isPending) return;
      if (isBarrier(work)) {
        if (this.#sent > 0) return;
        this.#barrier = work;
      }
      this.#sent++;
      this.#send(work, channel);
    }
  }

  /** Whether work waits for the parent, however long it is away. */
  #mayWait(work: Work): boolean {
    return work.kind === "facts" || isFillers(work) ||
      this.#line.some(isFillers);
  }

  /**
   * Puts facts in the place of facts that have not left yet: a run changes its own five
   * times in one turn of the event loop.
   *
   * @returns The promise of these; `undefined` if they have left, or are not the last.
   */
  #join(
    { writer, facts, changes, lease }: Extract<Work, { kind: "facts" }>,
  ): Promise<Appended> | undefined {
    const told = this.#toldFacts;
    if (!told || told.work !== this.#line.at(-1)) return undefined;
    const { work, request, channel, message } = told;
    if (work.writer !== writer && work.kind !== "make") return undefined;
    if (channel !== this.#store.link() || channel.sent !== message) {
      return undefined;
    }
    work.facts = changes ? { ...work.facts, ...changes } : facts;
    if (work.kind === "facts") {
      work.lease = lease;
      work.changes &&= changes && { ...work.changes, ...changes };
      request.splice(3, request.length - 3, ...factsOf(work));
    } else request[request.length - 1] = work.facts;
    return work.result.promise;
  }

  #refusal(work: Work): Error | undefined {
    if (work.writer.refused) return work.writer.refused;
    if (this.#log.isGone) return this.#log.stale();
    if (work.kind === "make" || work.kind === "skip") return undefined;
    const isOver = this.#log.ended !== undefined;
    // An end that was kept stands: the parent has nothing to do.
    if (work.kind === "end" && isOver) return undefined;
    if (work.lease?.isHeld === false) return new LeaseLostError(this.#log.name);
    return work.kind === "append" && isOver
      ? this.#log.stale(work.expected)
      : undefined;
  }

  #send(work: Work, channel: Channel, at = this.#log.next): void {
    // Once it was sent, nobody knows what has become of it if there is no answer.
    work.isUncertain = true;
    const [name, values, weight] = this.#request(work, at);
    const message = channel.sent;
    const sent = new SentWork(this, work, channel);
    const request = channel.request(name, values, sent, weight);
    if (work.kind !== "make" && work.kind !== "facts") return;
    this.#toldFacts = { work, request, channel, message };
  }

  #request(
    work: Work,
    at: number,
  ): readonly [name: string, values: readonly unknown[], weight?: number] {
    const { h, name, epoch } = this.#log;
    switch (work.kind) {
      case "make":
        return ["make", [h, name, epoch, work.facts]];
      case "append": {
        const { events, bytes, expected, publication, lease } = work;
        const values: unknown[] = [
          h,
          lease?.number ?? 0,
          expected ?? 0,
          packEvents(events),
        ];
        if (publication) {
          const { key, valueAt, before } = publication;
          const place = work.sentAt = expected ?? at;
          const value = valueAt?.(place) ?? publication.value;
          values.push(key, value);
          if (before) values.push(before.value ?? null);
          values[2] = place;
        }
        return ["a", values, bytes + 16 * events.length];
      }
      case "skip":
        return ["skip", [h, work.count, work.reason]];
      case "facts":
        return ["facts", [h, ...factsOf(work)]];
      case "end":
        return ["end", [h, work.end, work.lease?.number ?? 0]];
    }
  }

  /** Takes the result of work. */
  done(work: Work, answer: Operation): void {
    if (!this.#takeOut(work)) return;
    if (this.#toldFacts?.work === work) this.#toldFacts = undefined;
    // Whoever has done it is told before those who follow the log.
    work.result.resolve(this.#log.apply(work, answer));
    if (work.kind !== "make" && work.kind !== "skip") this.#log.changed();
    this.pump();
    this.#log.onIdle();
  }

  /** Takes note that work was refused, or that its link is gone. */
  failed(work: Work, error: unknown, channel: Channel): void {
    // It is found out with the next link.
    if (error instanceof LinkLostError || !channel.isOpen) return;
    if (!this.#line.includes(work)) return;
    const moved = error instanceof StaleWriterError ? error.next : undefined;
    if (
      work.kind === "append" && work.publication &&
      work.expected === undefined && moved !== undefined &&
      moved !== work.sentAt
    ) {
      // Another relay was first: it is written behind that.
      return this.#send(work, channel, moved);
    }
    this.#takeOut(work);
    const refused = this.#named(error, work);
    if (error instanceof LeaseLostError && "lease" in work) work.lease?.lose();
    if (work.kind === "append" && work.expected !== undefined) {
      work.writer.refused ??= refused;
    }
    work.result.reject(refused);
    if (work.kind === "make") this.#log.bury();
    this.pump();
    this.#log.onIdle();
  }

  /** The parent does not know what is asked of a log that is gone there. */
  #named(error: unknown, work: Work): Error {
    if (error instanceof StaleWriterError && error.topic === "") {
      return this.#log.stale(
        work.kind === "append" ? work.expected : undefined,
      );
    }
    return error instanceof Error
      ? error
      : new StoreError("io", "The parent could not do it");
  }

  #takeOut(work: Work): boolean {
    const index = this.#line.indexOf(work);
    if (index < 0) return false;
    this.#line.splice(index, 1);
    if (index < this.#sent) this.#sent--;
    if (this.#barrier === work) this.#barrier = undefined;
    return true;
  }

  /**
   * Whether all that is not known to be kept is of one who fills the whole topic: with its
   * lease, nobody else writes the log.
   */
  #isAlone(): boolean {
    return this.#givenUp.length === 0 &&
      this.#line.every((work) =>
        !work.isUncertain || work.kind !== "append" ||
        work.lease !== undefined && work.lease.request.part === undefined
      );
  }

  /**
   * Returns the result of work that the parent has done; `undone` if the parent has not done
   * it, and `again` if the work does no harm when it is done twice.
   */
  #fateOf(work: Work, sought: SoughtEvents): Appended | "undone" | "again" {
    switch (work.kind) {
      case "make":
        return NOTHING_APPENDED;
      case "append": {
        const { events, bytes, publication } = work;
        const first = sought.takeEvents(events);
        if (first === undefined) return "undone";
        if (publication) this.#log.rememberOwn(publication, first);
        return { first, count: events.length, bytes };
      }
      case "skip":
        return sought.takeHole(work.count) ? NOTHING_APPENDED : "undone";
      case "facts":
        return "again";
      case "end":
        return this.#log.ended ? NOTHING_APPENDED : "again";
    }
  }

  /**
   * Finds out what has become of what was sent over a link that is gone: the parent has
   * done it in order, up to some work.
   *
   * @param from The offset at which the log stood when it was sent.
   */
  async #findOut(from: number, channel: Channel): Promise<void> {
    this.#isResuming = true;
    let sought: SoughtEvents | undefined;
    try {
      const isAlone = (): boolean => this.#isAlone();
      sought = await SoughtEvents.read(this.#log, from, channel, isAlone);
      for (const { events, bytes } of this.#givenUp.splice(0)) {
        const first = sought.takeEvents(events);
        if (first === undefined) break;
        this.#keptAfterAll.set(events, { first, count: events.length, bytes });
      }
      for (const work of [...this.#line]) {
        if (!work.isUncertain) break;
        const fate = this.#fateOf(work, sought);
        if (fate === "undone") break;
        if (fate === "again") continue;
        this.#takeOut(work);
        work.result.resolve(fate);
      }
    } catch (error) {
      if (error instanceof LinkLostError || !channel.isOpen) return;
      for (const work of [...this.#line]) {
        if (!work.isUncertain) continue;
        this.#takeOut(work);
        work.result.reject(error);
      }
    } finally {
      this.#isResuming = false;
      this.#soughtFrom = sought?.from ?? from;
    }
    if (!channel.isOpen) return;
    this.#soughtFrom = undefined;
    for (const work of this.#line) work.isUncertain = false;
    this.pump();
    this.#log.onIdle();
  }
}

/** Whether work is of one who fills the topic, and goes on with that when it can. */
function isFillers(work: Work): boolean {
  return work.kind === "append" && work.lease !== undefined;
}

/** Returns facts as the parent is told them, after the number of their log. */
function factsOf(
  { facts, changes, lease }: Extract<Work, { kind: "facts" }>,
): readonly unknown[] {
  const told = [facts, lease?.number ?? 0];
  return changes ? [...told, packChanges(changes)] : told;
}

function isBarrier(work: Work): boolean {
  return work.kind === "append" &&
    (work.expected !== undefined || work.publication !== undefined);
}
