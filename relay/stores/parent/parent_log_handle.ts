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
import type { UpstreamState } from "../../topics/upstream_state.ts";
import { followLog } from "../follow_log.ts";
import type { History } from "../history.ts";
import { ParentLease } from "./parent_leases.ts";
import type { ParentLog } from "./parent_log.ts";
import type { Work, WorkOf, Writer } from "./parent_work.ts";
import type { Pacer } from "../pace.ts";
import { StandingHandle } from "../standing_handle.ts";

/** One writer's handle of a log of the parent. */
export class ParentLogHandle extends StandingHandle implements Log, Writer {
  readonly #log: ParentLog;
  readonly #history: History<ParentLog>;
  readonly #onReleased: () => void;
  refused: Error | undefined;
  #isReleased = false;
  #pacer: Pacer | undefined;

  constructor(
    log: ParentLog,
    history: History<ParentLog>,
    onReleased: () => void,
  ) {
    super(log);
    this.#log = log;
    this.#history = history;
    this.#onReleased = onReleased;
    log.handles++;
  }

  get holes(): readonly Hole[] {
    return this.#log.holes;
  }

  get upstream(): UpstreamState | undefined {
    return this.#log.upstream;
  }

  get isLost(): boolean {
    return this.#log.isLost;
  }

  append(
    events: readonly ServerSentEvent[],
    { expected, publication, lease }: LogAppendOptions = {},
  ): Promise<Appended> {
    let bytes = 0;
    for (const event of events) bytes += sizeOf(event);
    return this.#do<"append">({
      kind: "append",
      events,
      bytes,
      expected,
      publication,
      lease: lease instanceof ParentLease ? lease : undefined,
    });
  }

  async skip(count: number, reason: GapReason): Promise<void> {
    await this.#do<"skip">({ kind: "skip", count, reason });
  }

  end(
    end: StoredEnd,
    { lease }: LogEndOptions = {},
  ): void | Promise<void> {
    if (this.ended) return;
    return this.#do<"end">({
      kind: "end",
      end,
      lease: lease instanceof ParentLease ? lease : undefined,
    }).then(() => {});
  }

  async update(
    facts: TopicFacts,
    { lease, changes }: LogUpdateOptions = {},
  ): Promise<void> {
    await this.#do<"facts">({
      kind: "facts",
      facts,
      changes,
      lease: lease instanceof ParentLease ? lease : undefined,
    });
  }

  settled(): void | Promise<void> {
    return this.#log.settled();
  }

  publication(key: string): string | undefined {
    return this.#log.publication(key);
  }

  publications(): Iterable<readonly [key: string, value: string]> {
    return this.#log.publications();
  }

  follow(from: number, signal: AbortSignal): AsyncIterable<LogProgress> {
    return followLog(this.#log, from, signal);
  }

  onChange(listener: () => void): () => void {
    return this.#log.onChange(listener);
  }

  tellUpstream(upstream: UpstreamState): void {
    this.#log.tellUpstream(upstream);
  }

  taken(offset: number): void {
    const { pace } = this.#log;
    if (this.#pacer) pace.took(this.#pacer, offset);
    else if (!this.#isReleased) this.#pacer = pace.join(offset);
    this.#log.tellTaken();
  }

  read(from: number, budget: ReadBudget): LogRange | Promise<LogRange> {
    return this.#history.read(this.#log, from, budget);
  }

  holeAt(offset: number): Hole | undefined {
    return this.#log.holeAt(offset);
  }

  trim(): void {
    this.#log.trim();
  }

  [Symbol.dispose](): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#pacer) {
      this.#log.pace.leave(this.#pacer);
      this.#log.tellTaken();
    }
    this.#log.handles--;
    this.#onReleased();
  }

  #do<Kind extends Work["kind"]>(work: WorkOf<Kind>): Promise<Appended> {
    const result = Promise.withResolvers<Appended>();
    // The fields of its kind, and those of all.
    return this.#log.do(
      { ...work, writer: this, result, isUncertain: false } as unknown as Work,
    );
  }
}
