/**
 * The facts that anybody was told of a topic, which must stay true from then
 * on.
 *
 * @module
 */
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { Content, End, EventCheck } from "./contents.ts";

/** A topic as it is in the description that the relay gives. */
export interface Description {
  readonly name: string;
  readonly state: "pending" | "open" | "ended";
  readonly epoch: string;
  readonly next: number;
  readonly end?: End | undefined;
}

/** The facts told of a topic at a moment. */
export interface Told {
  /** The last offset of which anybody was told. */
  readonly events: number;
  /** Whether anybody was told that the topic is there, or of something in it. */
  readonly isThere: boolean;
  /** Whether anybody was told the end. */
  readonly hasEnded: boolean;
}

/** All that was told of one topic, by every relay and to everybody. */
export class TopicRecord {
  readonly name: string;
  readonly content: Content;
  /** Whether somebody was told that the topic is there. */
  isAcknowledged = false;
  /** Data by offset, where only those who were told know it. */
  readonly #data: (string | undefined)[] = [];
  #epoch: string | undefined;
  #known = 0;
  #end: (End & { readonly events: number }) | undefined;

  constructor(name: string, content: Content) {
    this.name = name;
    this.content = content;
  }

  /** The last offset of which anybody was told. */
  get known(): number {
    return this.#known;
  }

  /** The facts told so far. */
  get told(): Told {
    const events = this.#known;
    const { hasEnded } = this;
    const isThere = events > 0 || this.isAcknowledged || hasEnded;
    return { events, isThere, hasEnded };
  }

  /** Whether anybody was told the end. */
  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** The epoch, once somebody was told of an event or of the end. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** Somebody was told of an event. */
  saw(
    epoch: string,
    offset: number,
    { data }: Pick<ServerSentEvent, "data">,
    who: string,
  ): void {
    this.#ofEpoch(epoch, who);
    if (this.#end && offset > this.#end.events) {
      this.fail(who, `an event at ${offset} after the end`);
    }
    this.#known = Math.max(this.#known, offset);
    if (this.content.kind !== "published") return;
    const told = this.#data[offset] ??= data;
    if (told !== data) {
      this.fail(who, `${data} at ${offset}, where was ${told}`);
    }
  }

  /** Somebody was told the end, and maybe the reason. */
  sawEnd(epoch: string, end: End, events: number, who: string): void {
    this.#ofEpoch(epoch, who);
    const said = `the end ${JSON.stringify(end)} after ${events} events`;
    if (events < this.#known) {
      this.fail(who, `${said}, of ${this.#known} that were told`);
    }
    this.guard(who, said, () => this.content.checkEnd(end, events));
    const told = this.#end ??= { ...end, events };
    const isSame = told.status === end.status && told.events === events &&
      (end.reason === undefined || told.reason === undefined ||
        end.reason === told.reason);
    if (!isSame) this.fail(who, `${said}, which was ${JSON.stringify(told)}`);
    if (told.reason === undefined) this.#end = { ...told, ...end };
  }

  /** A relay describes the topic, of which so much had been told when it was asked. */
  described(
    { state, epoch, next, end }: Description,
    { events, hasEnded }: Told,
    who: string,
  ): void {
    if (events > 0 || end) this.#ofEpoch(epoch, who);
    if (next - 1 < events) {
      this.fail(who, `${next - 1} events, of ${events} that were told`);
    }
    if (end) this.sawEnd(epoch, end, next - 1, who);
    else if (hasEnded) this.fail(who, `${state} after the end`);
  }

  /** Makes a check for one reader. */
  check(): EventCheck {
    return this.content.check();
  }

  /** Runs a check, and says of what and for whom it has failed. */
  guard(who: string, what: string, check: () => void): void {
    try {
      check();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      this.fail(who, `${what}: ${why}`, cause);
    }
  }

  /** Throws with the name of the topic. */
  fail(who: string, what: string, cause?: unknown): never {
    throw new Error(`${this.name}, ${who}: ${what}`, { cause });
  }

  #ofEpoch(epoch: string, who: string): void {
    const told = this.#epoch ??= epoch;
    if (told !== epoch) this.fail(who, `the epoch ${epoch}, which was ${told}`);
  }
}
