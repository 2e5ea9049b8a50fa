import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { StoredEnd } from "../../topics/end.ts";
import {
  type Appended,
  type GapReason,
  type Hole,
  type Log,
  type LogAppendOptions,
  type LogEndOptions,
  type LogProgress,
  type LogRange,
  type LogUpdateOptions,
  type ReadBudget,
  sizeOf,
  type TopicFacts,
} from "../../topics/log.ts";
import type { StaleWriterError } from "../../topics/store.ts";
import type { Pacer } from "../pace.ts";
import type { Work, Writer } from "./log_work.ts";
import type { SharedLog } from "./shared_log.ts";
import { SharedLease } from "./shared_leases.ts";

type OfKind<Kind extends Work["kind"]> = Omit<
  Extract<Work, { readonly kind: Kind }>,
  "writer" | "result"
>;

/** One writer's handle of a log that several relays share. */
export class SharedLogHandle implements Log, Writer {
  readonly isShared = true;
  refused: StaleWriterError | undefined;
  readonly #log: SharedLog;
  readonly #onReleased: () => void;
  #isReleased = false;
  #pacer: Pacer | undefined;
  readonly taken?: (offset: number) => void;

  /** Makes a handle. */
  constructor(log: SharedLog, onReleased: () => void) {
    this.#log = log;
    this.#onReleased = onReleased;
    log.handles++;
    const { pace } = log;
    if (!pace) return;
    this.taken = (offset) => {
      if (this.#pacer) pace.took(this.#pacer, offset);
      else if (!this.#isReleased) this.#pacer = pace.join(offset);
    };
  }

  get epoch(): string {
    return this.#log.epoch;
  }

  get createdAt(): number {
    return this.#log.copy.createdAt;
  }

  get first(): number {
    return (this.#log.summary ?? this.#log.copy).first;
  }

  get next(): number {
    return (this.#log.summary ?? this.#log.copy).next;
  }

  get bytes(): number {
    return (this.#log.summary ?? this.#log.copy).bytes;
  }

  get firstAt(): number | undefined {
    return (this.#log.summary ?? this.#log.copy).firstAt;
  }

  get lastAt(): number | undefined {
    return (this.#log.summary ?? this.#log.copy).lastAt;
  }

  get facts(): TopicFacts {
    return (this.#log.summary ?? this.#log.copy).facts;
  }

  get ended(): StoredEnd | undefined {
    return this.#log.summary?.end ?? this.#log.copy.ended;
  }

  get lastId(): string {
    return this.#log.copy.lastId;
  }

  append(
    events: readonly ServerSentEvent[],
    { expected, publication, lease }: LogAppendOptions = {},
  ): Promise<Appended> {
    const bytes = events.reduce((sum, event) => sum + sizeOf(event), 0);
    return this.#write<"append">({
      kind: "append",
      events,
      bytes,
      expected,
      publication,
      lease: lease instanceof SharedLease ? lease : undefined,
    });
  }

  async skip(count: number, reason: GapReason): Promise<void> {
    await this.#write<"skip">({ kind: "skip", count, reason });
  }

  end(
    end: StoredEnd,
    { lease }: LogEndOptions = {},
  ): void | Promise<void> {
    if (this.ended) return;
    return this.#write<"end">({
      kind: "end",
      end,
      lease: lease instanceof SharedLease ? lease : undefined,
    }).then(() => {});
  }

  async update(
    facts: TopicFacts,
    { lease, changes }: LogUpdateOptions = {},
  ): Promise<void> {
    await this.#write<"facts">({
      kind: "facts",
      facts,
      changes,
      lease: lease instanceof SharedLease ? lease : undefined,
    });
  }

  settled(): void | Promise<void> {
    return this.#log.settled();
  }

  publication(key: string): string | undefined {
    return this.#log.copy.publication(key);
  }

  publications(): Iterable<readonly [key: string, value: string]> {
    return this.#log.copy.publications();
  }

  get caughtUp(): Promise<void> | undefined {
    return this.#log.pace?.caughtUp;
  }

  get holes(): readonly Hole[] {
    return this.#log.copy.holes;
  }

  follow(from: number, signal: AbortSignal): AsyncIterable<LogProgress> {
    return this.#log.copy.follow(from, signal);
  }

  read(from: number, budget: ReadBudget): LogRange | Promise<LogRange> {
    return this.#log.read(from, budget);
  }

  holeAt(offset: number): Hole | undefined {
    return this.#log.copy.holeAt(offset);
  }

  trim(): void {
    this.#log.copy.trim();
  }

  [Symbol.dispose](): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#pacer) this.#log.pace?.leave(this.#pacer);
    this.#log.handles--;
    this.#log.onRead();
    this.#onReleased();
  }

  #write<Kind extends Work["kind"]>(work: OfKind<Kind>): Promise<Appended> {
    const result = Promise.withResolvers<Appended>();
    // The fields of its kind, and those of all.
    return this.#log.write(
      { ...work, writer: this, result } as unknown as Work,
    );
  }
}
