import { Line, Place } from "../line.ts";
import type { LogEntry } from "../topics/log.ts";
import type { Segment } from "./segment.ts";

/** The most bytes of one log that are held in memory, unless a store says otherwise. */
const LOG_BYTES = 256 * 1024;

/** The approximate cost of an event in memory besides its bytes. */
const ENTRY_COST = 150;

/** The most events of a segment: what is given up is given up by the segment. */
const SEGMENT_EVENTS = 128;

interface GrowingSegment extends Segment {
  readonly entries: LogEntry[];
  cost: number;
}

/**
 * The newest events of a log, in memory.
 *
 * A follower near the end reads its events from here.
 */
export class Window {
  /** Its place among all windows, of which the one that was appended to last is the last. */
  readonly recentPlace: Place<Window> = new Place<Window>(this);
  readonly #windows: Windows;
  #segments: GrowingSegment[] = [];
  #cost = 0;

  /** Makes an empty window among those of a store. */
  constructor(windows: Windows) {
    this.#windows = windows;
  }

  /** The cost of the events, in bytes. */
  get cost(): number {
    return this.#cost;
  }

  /** The offset of the oldest event in memory; `undefined` if there is none. */
  get first(): number | undefined {
    return this.#segments[0]?.first;
  }

  /** Adds events that the log has kept. */
  push(first: number, entries: readonly LogEntry[]): void {
    const before = this.#cost;
    let last = this.#segments.at(-1);
    let offset = first;
    for (const entry of entries) {
      const fits = last && last.first + last.entries.length === offset &&
        last.entries.length < SEGMENT_EVENTS &&
        last.cost < LOG_BYTES / 4;
      if (!last || !fits) {
        last = { first: offset, entries: [], cost: 0 };
        this.#segments.push(last);
      }
      const cost = entry.size + ENTRY_COST;
      last.entries.push(entry);
      last.cost += cost;
      this.#cost += cost;
      offset++;
    }
    const { logBytes } = this.#windows;
    while (this.#cost > logBytes && this.#segments.length > 1) this.#drop();
    this.#windows.changed(this, this.#cost - before);
  }

  /** Gives up events before an offset. */
  pass(first: number): void {
    const before = this.#cost;
    for (;;) {
      const [oldest] = this.#segments;
      if (!oldest || oldest.first + oldest.entries.length > first) break;
      this.#drop();
    }
    if (this.#cost !== before) this.#windows.shrunk(this.#cost - before);
  }

  /** Gives up all events. */
  clear(): void {
    const before = this.#cost;
    this.#segments = [];
    this.#cost = 0;
    this.#windows.gone(this, before);
  }

  /** Returns the events around an offset that are in memory. */
  at(offset: number): Segment | undefined {
    // Most readers are near the end.
    for (let index = this.#segments.length - 1; index >= 0; index--) {
      const segment = this.#segments[index]!; // within the array
      if (segment.first > offset) continue;
      return offset < segment.first + segment.entries.length
        ? segment
        : undefined;
    }
    return undefined;
  }

  #drop(): void {
    this.#cost -= this.#segments.shift()?.cost ?? 0;
  }
}

/** The windows of all logs, which have a bound together. */
export class Windows {
  /** The most bytes of one log. */
  readonly logBytes: number;
  readonly #maxBytes: number;
  /** The one that was appended to last is the last. */
  readonly #recent = new Line<Window>();
  #bytes = 0;

  /** Makes room for so many bytes. */
  constructor(maxBytes: number, logBytes: number = LOG_BYTES) {
    this.#maxBytes = maxBytes;
    this.logBytes = logBytes;
  }

  /** The bytes that all windows have. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes note of events that were added to a window. */
  changed(window: Window, by: number): void {
    this.#bytes += by;
    this.#recent.delete(window.recentPlace);
    this.#recent.push(window.recentPlace);
    while (this.#bytes > this.#maxBytes) {
      const oldest = this.#recent.first;
      if (!oldest || oldest === window) break;
      oldest.clear();
    }
  }

  /** Takes note of events that a window has given up. */
  shrunk(by: number): void {
    this.#bytes += by;
  }

  /** Takes note of a window that has nothing any more. */
  gone(window: Window, bytes: number): void {
    this.#bytes -= bytes;
    this.#recent.delete(window.recentPlace);
  }
}
