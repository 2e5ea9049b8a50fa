/**
 * The events that one reader has of one topic, and the ones that it may get
 * next.
 *
 * @module
 */
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { EventCheck } from "./contents.ts";
import type { TopicRecord } from "./topic_record.ts";
import type { World } from "./world.ts";

/** The events that one follower has of one topic. */
export class Reading {
  readonly record: TopicRecord;
  seen = 0;
  hasEnded = false;
  readonly who: string;
  readonly #check: EventCheck;
  readonly #world: World;

  constructor(record: TopicRecord, who: string, world: World) {
    this.record = record;
    this.who = who;
    this.#check = record.check();
    this.#world = world;
  }

  get position(): string {
    return this.seen === 0 ? "start" : `${this.record.epoch}:${this.seen}`;
  }

  event(epoch: string, offset: number, event: ServerSentEvent): void {
    const { record } = this;
    if (offset !== this.seen + 1) {
      record.fail(this.who, `${offset} after ${this.seen}`);
    }
    this.seen = offset;
    record.saw(epoch, offset, event, this.who);
    record.guard(this.who, "an event", () => this.#check(offset, event));
    this.#world.tally.deliveries++;
  }

  end(epoch: string, status: string, reason: string | undefined): void {
    this.hasEnded = true;
    this.record.sawEnd(epoch, { status, reason }, this.seen, this.who);
    const { ends } = this.#world.tally;
    ends[status] = (ends[status] ?? 0) + 1;
  }

  /** Takes an event of an event stream that has positions. */
  ofStream(epoch: string, sent: ServerSentEvent): void {
    const { record } = this;
    const { event, data, id } = sent;
    const [of, digits] = id.split(":");
    switch (event) {
      case "rivulet.live":
      case "rivulet.upstream":
        return;
      case "rivulet.gap":
        return record.fail(this.who, `${data} after ${this.position}`);
      case "rivulet.end": {
        const { status, reason, offset } = JSON.parse(data);
        if (offset !== this.seen + 1) {
          record.fail(this.who, `${data} after ${this.seen}`);
        }
        return this.end(epoch, status, reason);
      }
      default:
        if (of !== epoch) record.fail(this.who, `${id} is not of ${epoch}`);
        return this.event(epoch, Number(digits), sent);
    }
  }
}
