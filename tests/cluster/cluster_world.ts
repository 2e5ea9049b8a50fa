import { World } from "../crash/world.ts";
import type { Break } from "../crash/contents.ts";
import type { TopicRecord } from "../crash/topic_record.ts";
import { LIMIT } from "../support/within.ts";
import type { GivenTime } from "./given_time.ts";

/** A world of several relays, of which one or the other is in trouble most of the time. */
export class ClusterWorld extends World {
  readonly #time: GivenTime;

  /** Makes a world in which answers are waited for in the time that the machine gives. */
  constructor(time: GivenTime, records?: Map<string, TopicRecord>) {
    super(records);
    this.#time = time;
  }

  override get isShared(): boolean {
    return true;
  }

  override get now(): number {
    return this.#time.given;
  }

  /** Whatever fails may do so: it is what was said before that counts. */
  override excuse(): void {
    this.over.throwIfAborted();
  }

  override brokenSince(): Break | undefined {
    return "full";
  }

  protected override answered<T>(
    answer: Promise<T>,
    what: () => string,
  ): Promise<T> {
    return this.#time.within(answer, LIMIT, what);
  }
}
