import type { Log } from "../topics/log.ts";
import { areSameFacts } from "../topics/stored_schemas.ts";
import type { Channel } from "./channel.ts";
import { type LogState, packEntries } from "./wire.ts";

/** The limits of a read for one operation. */
const BUDGET = { events: 512, bytes: 128 * 1024 };

/**
 * The number of events by which a link may lag behind a log and still receive
 * each event. Beyond it, the link receives the log's state only, and asks for
 * what its readers need.
 */
const MAX_BEHIND = 4_096;

/** A log that a link has at hand. */
export class ServedLog {
  /** The number under which the link has it. */
  readonly h: number;
  /** The name of the topic. */
  readonly name: string;
  /** The log. */
  readonly log: Log;
  readonly #onDirty: (log: ServedLog) => void;
  /** The offset after the last one that the link knows. */
  #cursor: number;
  #facts: Log["facts"];
  #upstream: Log["upstream"];
  #toldFirst: number;
  #stop: (() => void) | undefined;
  #isOver = false;
  /** The requests of the link that wait until the readers of the log have caught up. */
  #line: (() => void)[] = [];
  /** The publications that the link was given. */
  #publications: Map<string, string> = new Map();

  constructor(
    h: number,
    name: string,
    log: Log,
    onDirty: (log: ServedLog) => void,
  ) {
    this.h = h;
    this.name = name;
    this.log = log;
    this.#onDirty = onDirty;
    this.#cursor = log.next;
    this.#facts = log.facts;
    this.#upstream = log.upstream;
    this.#toldFirst = log.first;
  }

  /** Describes it as it is now, which is what is told from then on. */
  describe(): LogState {
    const { log, h } = this;
    const { epoch, createdAt, first, next, bytes, lastId } = log;
    const { firstAt, lastAt } = log;
    if (!this.#stop) {
      this.#cursor = next;
      this.#facts = log.facts;
      this.#upstream = log.upstream;
      this.#toldFirst = first;
      if (!log.ended) {
        log.taken?.(next);
        this.#follow();
      }
    }
    return {
      h,
      epoch,
      createdAt,
      ...(firstAt !== undefined && { firstAt }),
      ...(lastAt !== undefined && { lastAt }),
      facts: log.facts,
      first,
      next,
      bytes,
      lastId,
      ...(log.ended && { end: log.ended }),
      ...(log.holes?.length && { holes: [...log.holes] }),
      ...(log.upstream && { upstream: log.upstream }),
    };
  }

  /** Tells the link all that it does not know yet. */
  tell(channel: Channel): void {
    const { log, h } = this;
    if (!this.#stop || this.#isOver) return;
    if (log.isLost) {
      this.#isOver = true;
      return channel.send(["x", h]);
    }
    this.tellUpTo(channel, log.next);
    if (log.facts !== this.#facts) {
      this.#facts = log.facts;
      channel.send(["f", h, log.facts]);
    }
    if (log.upstream && log.upstream !== this.#upstream) {
      this.#upstream = log.upstream;
      channel.send(["u", h, log.upstream]);
    }
    if (log.first !== this.#toldFirst) this.#tellFirst(channel);
    if (!log.ended) return;
    this.#isOver = true;
    channel.send(["e", h, log.next, log.ended]);
    this[Symbol.dispose]();
  }

  /** Tells the link of the events before an offset. */
  tellUpTo(channel: Channel, next: number): void {
    const { log, h } = this;
    if (next - this.#cursor > MAX_BEHIND || !channel.hasRoom) {
      return this.#jump(channel, next);
    }
    while (this.#cursor < next) {
      const cursor = this.#cursor;
      if (cursor < log.first || log.holeAt?.(cursor)) {
        return this.#jump(channel, next);
      }
      const range = log.read(cursor, {
        ...BUDGET,
        events: Math.min(BUDGET.events, next - cursor),
      });
      // It is not in memory: whoever needs it asks for it.
      if (range instanceof Promise) {
        range.catch(() => {});
        return this.#jump(channel, next);
      }
      const { entries } = range;
      let weight = 0;
      for (const { size } of entries) weight += size + 8;
      const [times, events] = packEntries(entries);
      this.#toldFirst = log.first;
      channel.send(
        ["p", h, cursor, log.first, log.bytes, times, events],
        weight,
      );
      this.#cursor = cursor + entries.length;
      if (!channel.hasRoom) return this.#jump(channel, next);
    }
  }

  /** The link itself has appended events: it has them, and is told where they are. */
  appended(first: number, count: number): void {
    this.#cursor = Math.max(this.#cursor, first + count);
    this.#toldFirst = this.log.first;
  }

  /** The link itself has told how the upstream is. */
  upstreamTold(): void {
    this.#upstream = this.log.upstream;
  }

  /** The link itself has changed the facts; it is told if they are others. */
  factsTold(facts: Log["facts"]): void {
    const isKnown = areSameFacts(this.log.facts, facts);
    this.#facts = isKnown ? this.log.facts : facts;
    if (!isKnown) this.#onDirty(this);
  }

  /** Gives up what is too old, as nobody else may do so. */
  trim(): void {
    this.log.trim();
    if (this.#stop && this.log.first !== this.#toldFirst) this.#onDirty(this);
  }

  /** Returns the publications that the link was not given yet. */
  newPublications(): (readonly [string, string])[] {
    const known = this.#publications;
    this.#publications = new Map(this.log.publications?.());
    return [...this.#publications].filter(([key, value]) =>
      known.get(key) !== value
    );
  }

  /** The link itself has appended a publication. */
  published(key: string, value: string): void {
    this.#publications.set(key, value);
  }

  /** Takes note of the offset before which those below have taken all events. */
  taken(offset: number): void {
    if (!this.#isOver) this.log.taken?.(Math.min(offset, this.log.next));
  }

  /** Whether the link's requests wait until the readers of the log have caught up. */
  get isHeld(): boolean {
    return this.#line.length > 0 || this.log.caughtUp !== undefined;
  }

  /** Does something to the log once its readers have caught up, in order. */
  later(act: () => void): void {
    if (this.#line.push(act) === 1) void this.#goOn();
  }

  /** Stops telling. */
  [Symbol.dispose](): void {
    this.#line = [];
    this.#stop?.();
    this.#stop = () => {};
  }

  async #goOn(): Promise<void> {
    while (this.#line.length > 0) {
      await this.log.caughtUp;
      this.#line.shift()?.();
    }
  }

  #jump(channel: Channel, next: number): void {
    const { log, h } = this;
    if (this.#cursor >= next) return;
    const from = this.#cursor;
    const holes = log.holes?.filter(({ to }) => to >= from) ?? [];
    this.#cursor = next;
    this.#toldFirst = log.first;
    channel.send(["j", h, next, log.first, log.bytes, holes]);
  }

  #tellFirst(channel: Channel): void {
    const { log, h } = this;
    this.#toldFirst = log.first;
    channel.send(["t", h, log.first, log.bytes]);
  }

  #follow(): void {
    const { log } = this;
    if (log.onChange) {
      this.#stop = log.onChange(() => this.#onDirty(this));
      return;
    }
    const abort = new AbortController();
    this.#stop = () => abort.abort();
    void this.#iterate(abort.signal);
  }

  async #iterate(signal: AbortSignal): Promise<void> {
    const { log } = this;
    try {
      for await (const _ of log.follow(log.next, signal)) this.#onDirty(this);
    } catch {
      // It is followed no more: whoever needs it finds it gone.
    }
  }
}
