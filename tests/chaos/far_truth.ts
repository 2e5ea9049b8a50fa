/**
 * The events published to relays in other processes, which may die with a publication.
 *
 * @module
 */
import type { TopicEnd } from "../../relay/topics/end.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { Content, type ContentKind } from "./content.ts";
import { DELETED } from "./plan.ts";
import type { Generation, Published } from "./truth.ts";

/** The answer to a publication. */
export interface Placed {
  readonly epoch: string;
  readonly first: number;
  readonly next: number;
}

/** A log of a relay in another process, as far as its publisher knows it. */
class FarGeneration implements Generation {
  readonly name: string;
  readonly epoch: string;
  readonly kind: ContentKind;
  /** The end that was acknowledged. */
  end: TopicEnd | undefined;
  /** The number of events that were acknowledged. */
  known = 0;
  /** Events that may be there though they were acknowledged elsewhere, or never. */
  extra = 0;
  readonly #line: PublishedLine;
  /** The number of events of the content before its own, once one is acknowledged. */
  #before: number | undefined;

  constructor(epoch: string, line: PublishedLine) {
    this.name = line.name;
    this.kind = line.content.kind;
    this.epoch = epoch;
    this.#line = line;
  }

  get isPinned(): boolean {
    return this.#before !== undefined;
  }

  get count(): number {
    const { current, underWay } = this.#line;
    const mayCome = this.isPinned && current !== this ? this.extra : underWay;
    return this.known + mayCome;
  }

  get first(): number {
    return this.count + 1;
  }

  get next(): number {
    return this.count + 1;
  }

  get isEnded(): boolean {
    return this.end !== undefined;
  }

  get verdict(): TopicEnd | undefined {
    const { current, ending, asked } = this.#line;
    if (this.end) return this.end;
    if (current === this) return ending;
    // A topic that was only asked for may have been ended in the place of one that was lost.
    return this.isPinned ? undefined : asked;
  }

  mayEndAs({ status, reason }: TopicEnd): boolean {
    // A topic that was only asked for may have been deleted in the place of one that
    // was gone already, a while before its readers hear of that.
    if (!this.isPinned && this.#line.wasDeleted && reason === DELETED) {
      return status === "cancelled";
    }
    return status === this.verdict?.status && reason === this.verdict.reason;
  }

  eventAt(offset: number): ServerSentEvent | undefined {
    if (offset < 1 || offset > this.count) return undefined;
    return this.#line.content.at((this.#before ?? this.#line.base) + offset);
  }

  /** It is known that its events begin after so many of the content. */
  pin(before: number): void {
    this.#before ??= before;
  }
}

/** The events of one topic in a row, over all of its logs. */
export class PublishedLine {
  readonly name: string;
  readonly content: Content;
  /** The number of events that were acknowledged. */
  base = 0;
  /** The number of events of the publication that is under way. */
  underWay = 0;
  /** The end that was asked for, of the present log. */
  ending: TopicEnd | undefined;
  /** Whether it was ever to be deleted. */
  wasDeleted = false;
  /** The end that was asked for last, of whichever log. */
  asked: TopicEnd | undefined;
  /** The log that was published to last, unless it is gone. */
  current: FarGeneration | undefined;
  readonly #truth: FarTruth;

  /** Nothing is published. */
  constructor(name: string, content: Content, truth: FarTruth) {
    this.name = name;
    this.content = content;
    this.#truth = truth;
  }

  /** Returns the next events, which are under way from now on. */
  begin(count: number): ServerSentEvent[] {
    this.underWay = count;
    return Array.from(
      { length: count },
      (_, index) => this.content.at(this.base + index + 1),
    );
  }

  /**
   * The publication that is under way is acknowledged.
   *
   * @param mayForget Whether the relay with the log may have lost its memory.
   */
  placed({ epoch, first, next }: Placed, mayForget: boolean): void {
    const log = this.#enter(epoch, mayForget);
    if (
      first !== log.known + 1 || next - first !== this.underWay || log.isEnded
    ) {
      throw new Error(
        `${this.underWay} events of '${this.name}' are at ${epoch}:${first} ` +
          `to ${next}, after ${log.known}${
            log.end ? ` ${log.end.status}` : ""
          }`,
      );
    }
    log.pin(this.base - log.known);
    log.known += this.underWay;
    this.ending = undefined;
    this.base += this.underWay;
    this.underWay = 0;
  }

  /** The publication that is under way was refused: it is not there. */
  refused(): void {
    this.underWay = 0;
  }

  /** An end is asked for. */
  end(end: TopicEnd): void {
    this.ending = end;
    this.asked = end;
    if (end.reason === DELETED) this.wasDeleted = true;
  }

  /** The end that was asked for is acknowledged. */
  ended(epoch: string, next: number, mayForget: boolean): void {
    const log = this.#enter(epoch, mayForget);
    if (next !== log.known + 1) {
      throw new Error(
        `'${this.name}' has ended at ${epoch}:${next}, after ${log.known}`,
      );
    }
    log.pin(this.base - log.known);
    log.end = this.ending;
  }

  /** The topic is gone. */
  gone(): void {
    if (this.current && this.ending) this.current.end ??= this.ending;
    this.current = undefined;
    this.ending = undefined;
  }

  #enter(epoch: string, mayForget: boolean): FarGeneration {
    const log = this.#truth.seen(this.name, epoch);
    const before = this.current;
    if (before === log) return log;
    if (before && !before.isEnded) {
      if (!mayForget) {
        throw new Error(
          `'${this.name}' is ${epoch}, and was ${before.epoch}, which has not ended`,
        );
      }
      before.extra = this.underWay;
    }
    this.current = log;
    return log;
  }
}

/** The number of logs that are remembered. */
const REMEMBERED = 400;

/** All that was published in a run to relays of other processes. */
export class FarTruth implements Published {
  readonly lines: ReadonlyMap<string, PublishedLine>;
  /** The oldest first. */
  readonly #logs = new Map<string, FarGeneration>();
  /** The number of logs so far. */
  generations = 0;

  /** Knows of nothing yet. */
  constructor(seed: number, kinds: ReadonlyMap<string, ContentKind>) {
    this.lines = new Map(
      Array.from(
        kinds,
        ([name, kind]) => [
          name,
          new PublishedLine(name, new Content(kind, seed, name), this),
        ],
      ),
    );
  }

  current(name: string): Generation | undefined {
    return this.lines.get(name)?.current;
  }

  newest(name: string): Generation | undefined {
    return this.current(name);
  }

  at(epoch: string): Generation | undefined {
    return this.#logs.get(epoch);
  }

  seen(name: string, epoch: string): FarGeneration {
    const known = this.#logs.get(epoch);
    if (known) return known;
    const line = this.lines.get(name);
    if (!line) throw new Error(`There is no topic '${name}'`);
    const made = new FarGeneration(epoch, line);
    this.generations++;
    this.#logs.set(epoch, made);
    const [oldest] = this.#logs.keys();
    if (this.#logs.size > REMEMBERED) this.#logs.delete(oldest!); // not empty
    return made;
  }
}
