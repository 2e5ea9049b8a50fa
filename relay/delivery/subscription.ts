import type { After } from "../topics/position.ts";
import type { Topic } from "../topics/topic.ts";
import type { Format, SubscriptionMessage } from "./format.ts";
import type { FrameCache } from "./frames.ts";

/** Where a subscription begins, and what it has to be told of that. */
interface Start {
  readonly cursor: number;
  readonly recovered: boolean;
  /** Whether its position is of another log than this. */
  readonly foreign: boolean;
}

function resolveStart({ log, state }: Topic, after: After): Start {
  if (after === "start") {
    return { cursor: log.first, recovered: true, foreign: false };
  }
  if (after === "now") {
    return { cursor: log.next, recovered: true, foreign: false };
  }
  // The end has an offset of its own: after it is a place in an ended log.
  const last = state.kind === "ended" ? log.next : log.next - 1;
  if (after.epoch !== log.epoch || after.offset > last) {
    return { cursor: log.first, recovered: false, foreign: true };
  }
  const cursor = Math.min(after.offset + 1, log.next);
  return { cursor, recovered: cursor >= log.first, foreign: false };
}

/**
 * The version of the upstream's state that a new reader need not be told: that
 * it is open goes without saying, and so does all there was before an end.
 */
function untoldUpstream({ state, upstream, upstreamVersion }: Topic): number {
  const isPlain = state.kind === "ended" || upstream === undefined ||
    upstream.state === "open";
  return isPlain ? upstreamVersion : -1;
}

/**
 * One reader of one topic: a cursor, and what is still to be said.
 *
 * Replay and live are the same loop: whoever can write asks for the next piece.
 */
export class Subscription {
  /** What is read. */
  readonly topic: Topic;
  readonly #format: Format;
  readonly #frames: FrameCache;
  readonly #start: Start;
  #cursor: number;
  /** The upstream's state is not queued: the latest is told where it is another than this. */
  #upstreamVersion: number;
  #announced = false;
  #foreign: boolean;
  #live = false;
  #ended = false;

  /** Makes a reader that stands after a position. */
  constructor(topic: Topic, after: After, format: Format, frames: FrameCache) {
    this.topic = topic;
    this.#format = format;
    this.#frames = frames;
    this.#start = resolveStart(topic, after);
    this.#cursor = this.#start.cursor;
    this.#foreign = this.#start.foreign;
    this.#upstreamVersion = untoldUpstream(topic);
  }

  /** Whether everything was said, the end too. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Returns the bytes to write next, and counts them as written; `undefined`
   * where there is nothing to say until the topic changes.
   */
  next(): Uint8Array | undefined | Promise<Uint8Array> {
    for (;;) {
      const { log } = this.topic;
      const message = this.#nextMessage();
      if (message) {
        const bytes = this.#format.message(message, this.topic);
        if (bytes) return bytes;
      } else if (this.#cursor < log.next) {
        const frame = this.#frames.get(this.topic, this.#cursor);
        if (frame instanceof Promise) {
          return frame.then(({ to, bytes }) => {
            this.#cursor = to;
            return bytes;
          });
        }
        this.#cursor = frame.to;
        return frame.bytes;
      } else {
        return undefined;
      }
    }
  }

  #nextMessage(): SubscriptionMessage | undefined {
    const { name, log, state, upstream, upstreamVersion } = this.topic;
    if (!this.#announced) {
      this.#announced = true;
      return {
        type: "subscribed",
        topic: name,
        epoch: log.epoch,
        first: log.first,
        next: log.next,
        after: this.#cursor - 1,
        recovered: this.#start.recovered,
        state: state.kind,
      };
    }
    if (this.#foreign) {
      this.#foreign = false;
      this.#cursor = log.first;
      const to = log.first - 1;
      return { type: "gap", topic: name, from: 1, to, reason: "epoch" };
    }
    if (this.#cursor < log.first) {
      const from = this.#cursor;
      this.#cursor = log.first;
      const to = log.first - 1;
      return { type: "gap", topic: name, from, to, reason: "evicted" };
    }
    if (upstream && this.#upstreamVersion !== upstreamVersion && !this.#ended) {
      this.#upstreamVersion = upstreamVersion;
      return { type: "upstream", topic: name, ...upstream };
    }
    if (this.#cursor < log.next) return undefined;
    if (state.kind === "ended" && !this.#ended) {
      this.#ended = true;
      return { type: "end", topic: name, offset: log.next, ...state.end };
    }
    if (state.kind === "open" && !this.#live) {
      this.#live = true;
      return { type: "live", topic: name, next: log.next };
    }
    return undefined;
  }
}
