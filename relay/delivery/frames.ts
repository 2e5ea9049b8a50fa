import type { Topic } from "../topics/topic.ts";
import { DeliveryCounts } from "./delivery_counts.ts";
import type { Format } from "./format.ts";
import { KeptFrames } from "./kept_frames.ts";
import { RecentFrames } from "./recent_frames.ts";
import { TopicFrames } from "./topic_frames.ts";

/** The most memory that frames take which are kept for readers that are behind. */
const CACHE_BYTES = 16 * 1024 * 1024;

/** The most bytes of frames that nobody is known to read again, and readers who come back may. */
const RECENT_BYTES = 2 * 1024 * 1024;

/** The frames of all topics, of one format and mode (see {@linkcode TopicFrames}). */
export class FrameCache {
  /** The counts of what is delivered of them. */
  readonly counts: DeliveryCounts;
  readonly #format: Format;
  readonly #kept: KeptFrames;
  readonly #recent = new RecentFrames(RECENT_BYTES);
  readonly #byTopic = new WeakMap<Topic, TopicFrames>();

  /**
   * Makes an empty cache.
   *
   * @param format The encoding of events.
   * @param counts The counts of what is delivered through this door. Default:
   * counts that nobody reads.
   * @param maxBytes The most memory that is kept for readers that are behind. Default: 16 MiB.
   */
  constructor(
    format: Format,
    counts: DeliveryCounts = new DeliveryCounts(),
    maxBytes: number = CACHE_BYTES,
  ) {
    this.#format = format;
    this.counts = counts;
    this.#kept = new KeptFrames(maxBytes);
  }

  /** The memory that frames take which are kept for readers that are behind, in bytes. */
  get bytes(): number {
    return this.#kept.bytes;
  }

  /** Returns the frames of a topic. */
  of(topic: Topic): TopicFrames {
    let frames = this.#byTopic.get(topic);
    if (!frames) {
      frames = new TopicFrames(
        topic,
        this.#format,
        this.#kept,
        this.#recent,
        this.counts,
      );
      this.#byTopic.set(topic, frames);
    }
    return frames;
  }
}
