import {
  holesSchema,
  type LogState,
  numberAt,
  type Operation,
  unpackEntries,
  upstreamSchema,
  valueAt,
} from "../../links/wire.ts";
import type { StoredEnd } from "../../topics/end.ts";
import type { Hole, LogEntry, TopicFacts } from "../../topics/log.ts";
import { endSchema, factsSchema } from "../../topics/stored_schemas.ts";
import type { UpstreamState } from "../../topics/upstream_state.ts";
import { Window, type Windows } from "../window.ts";

/** The start of a log that is made here. */
export interface NewLog {
  readonly epoch: string;
  readonly createdAt: number;
  readonly facts: TopicFacts;
}

/** The state that subscribers are told while the parent is away. */
const AWAY: UpstreamState = { state: "retrying" };

/** The same when it is back, and says nothing of the upstream. */
const BACK: UpstreamState = { state: "open" };

/** The state of a log of the parent, as far as the parent has told, with the newest events. */
export class KnownState {
  readonly epoch: string;
  /** The newest events. */
  readonly window: Window;
  createdAt: number;
  facts: TopicFacts;
  first = 1;
  next = 1;
  bytes = 0;
  /** The time of its first event, if it is known. */
  firstAt: number | undefined;
  /** The time of its newest event, if it is known. */
  lastAt: number | undefined;
  lastId = "";
  ended: StoredEnd | undefined;
  holes: readonly Hole[] = [];
  #upstream: UpstreamState | undefined;
  #isAway = false;

  /** Begins with an empty log. */
  constructor({ epoch, createdAt, facts }: NewLog, windows: Windows) {
    this.epoch = epoch;
    this.createdAt = createdAt;
    this.facts = facts;
    this.window = new Window(windows);
  }

  /**
   * The state of its filler's upstream. If the parent is away, that takes
   * precedence.
   */
  get upstream(): UpstreamState | undefined {
    return this.#isAway ? AWAY : this.#upstream;
  }

  set upstream(upstream: UpstreamState | undefined) {
    this.#upstream = upstream;
  }

  /** Whether the parent is away. */
  set isAway(isAway: boolean) {
    this.#isAway = isAway;
  }

  /** Takes over the state that the parent tells over a link of its own. */
  resume(state: LogState): void {
    const wasAway = this.#isAway;
    this.#isAway = false;
    this.createdAt = state.createdAt;
    this.firstAt = state.firstAt;
    this.lastAt = state.lastAt;
    this.facts = state.facts;
    this.holes = state.holes ?? [];
    this.lastId = state.lastId;
    this.next = state.next;
    this.passTo(state.first, state.bytes);
    this.ended ??= state.end;
    this.#upstream = state.upstream ?? (wasAway ? BACK : this.#upstream);
  }

  /**
   * Takes what the parent tells of it.
   *
   * @returns Whether those who follow it have to know.
   */
  told(operation: Operation): boolean {
    switch (operation[0]) {
      case "p":
        this.add(
          numberAt(operation, 2),
          unpackEntries(operation, 5),
          numberAt(operation, 3),
          numberAt(operation, 4),
        );
        return true;
      case "j":
        this.#jump(operation);
        return true;
      case "t":
        this.passTo(numberAt(operation, 2), numberAt(operation, 3));
        return false;
      case "f":
        this.facts = valueAt(factsSchema, operation, 2);
        return true;
      case "u":
        this.#upstream = valueAt(upstreamSchema, operation, 2);
        return true;
      case "e":
        this.next = numberAt(operation, 2);
        this.ended ??= valueAt(endSchema, operation, 3);
        return true;
      default:
        return false;
    }
  }

  /**
   * Takes events.
   *
   * @param from The offset of the first of them.
   * @param first The offset of the oldest event that is retained.
   * @param bytes The bytes of all that are.
   */
  add(
    from: number,
    entries: readonly LogEntry[],
    first: number,
    bytes: number,
  ): void {
    const known = Math.min(entries.length, Math.max(0, this.next - from));
    // Known events may be missing in memory: they are fetched when they are
    // needed.
    const added = known === 0 ? entries : entries.slice(known);
    if (added.length > 0) {
      this.window.push(from + known, added);
      if (from === 1) this.firstAt = entries[0]?.time;
      this.lastAt = added.at(-1)?.time;
      this.next = from + entries.length;
      this.lastId = added.at(-1)?.event.id ?? "";
    }
    this.passTo(first, bytes);
  }

  /** Takes note of what retention has passed. */
  passTo(first: number, bytes: number): void {
    this.bytes = bytes;
    if (first <= this.first) return;
    this.first = first;
    if (this.holes.length > 0) {
      this.holes = this.holes.filter(({ to }) => to >= first);
    }
    this.window.pass(first);
  }

  /** Keeps what is in memory: nothing else can be read any more. */
  bury(): void {
    this.first = Math.max(this.first, this.window.first ?? this.next);
  }

  #jump(operation: Operation): void {
    const next = numberAt(operation, 2);
    const holes = valueAt(holesSchema, operation, 5);
    const known = this.holes.filter(({ from }) =>
      !holes.some((hole) => hole.from <= from)
    );
    this.holes = [...known, ...holes];
    this.next = Math.max(this.next, next);
    this.passTo(numberAt(operation, 3), numberAt(operation, 4));
  }
}
