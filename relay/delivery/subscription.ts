import { Buffer } from "node:buffer";
import type { DeliveryCounts } from "./delivery_counts.ts";
import type { After } from "../topics/position.ts";
import { findStart, type NextStart, type Start } from "../topics/start.ts";
import type { Topic } from "../topics/topic.ts";
import type { Format, GapReason, SubscriptionNotice } from "./format.ts";
import type { Frame } from "./frame.ts";
import type { FrameCache } from "./frames.ts";
import type { TopicFrames } from "./topic_frames.ts";
import type { WaitingReader } from "./frames_under_way.ts";
import type { Message } from "./long_message.ts";
import { Turn } from "./turn.ts";
import type { Watched } from "./watch.ts";
import { Window } from "./window.ts";

/** A topic is read whose log is lost: its reader has to connect again, with its position. */
export class TopicLostError extends Error {
  /** The error's code, for programs. */
  readonly code = "topic_lost";

  /** Names the topic. */
  constructor(topic: string) {
    super(
      `Cannot read topic '${topic}' as the relay that it lived in has lost it: subscribe to it again`,
    );
    this.name = "TopicLostError";
  }
}

/** The writer of subscriptions to one reader. */
export interface Waker {
  /** Lets a subscription have its turn: it may have something to say. */
  wake(subscription: Subscription): void;
  /** The reader has not acknowledged for as long as it may; called again while it does not. */
  onBlocked(subscription: Subscription): void;
}

/** The delivery that a subscriber asked for (PROTOCOL.md, section 2). */
export interface Delivery {
  /**
   * Whether a reader that is behind is given the newest event, and told that the
   * others were skipped. Default: `false`.
   */
  readonly latest?: boolean;
  /** The most bytes that are on their way to it. Default: no limit (`Infinity`). */
  readonly window?: number;
  /** Whether it begins with the fold of what is retained. Default: `false`. */
  readonly snapshot?: boolean;
  /** Whether its reader stays for the next epoch of the topic. Default: `false`. */
  readonly stays?: boolean;
  /**
   * Writes what stands in front of each piece, for this reader alone. It is called when the
   * subscription has moved behind the piece. Default: nothing.
   */
  readonly head?: () => Uint8Array;
}

/** The bytes written when a read brought no event that there is room for. */
const NOTHING = new Uint8Array();

/** Returns a piece with what stands in front of it, if it is anything. */
function behind(head: () => Uint8Array, piece: Message): Message {
  if (piece.byteLength === 0) return piece;
  return piece instanceof Uint8Array
    ? Buffer.concat([head(), piece])
    : piece.after(head());
}

/** A {@linkcode Start}, and how the topic was then: what it is told has to be of one moment. */
interface Announced extends Start {
  readonly first: number;
  readonly next: number;
  readonly state: "pending" | "open" | "ended";
}

function announce(topic: Topic, after: After): Announced {
  const { log: { first, next }, state } = topic;
  return { ...findStart(topic, after), first, next, state: state.kind };
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
export class Subscription implements Watched, WaitingReader {
  /** The topic that it reads. */
  readonly topic: Topic;
  /** Its state with the lane of its topic. */
  readonly turn: Turn<Subscription> = new Turn<Subscription>(this);
  readonly #format: Format;
  readonly #cache: FrameCache;
  readonly #frames: TopicFrames;
  readonly #delivery: Delivery;
  #waker: Waker | undefined;
  /** Until it has been told. */
  #start: Announced | undefined;
  readonly #latest: boolean;
  readonly #window: Window;
  #cursor: number;
  /** The upstream's state is not queued: the latest is told where it is another than this. */
  #upstreamVersion: number;
  #foreign: boolean;
  #wantsSnapshot: boolean;
  #slow = false;
  /**
   * Whether what comes next has no room in the window until there is an ack, and
   * whether that was seen by a watch.
   */
  #blocked: "no" | "unseen" | "seen" = "no";
  #live = false;
  #ended = false;
  #saidEvents = false;

  /**
   * Makes a reader that stands after a position.
   *
   * @param topic The topic to read.
   * @param after The position.
   * @param format The encoding.
   * @param frames The events as this format writes them: for mode `merge`, merged.
   * @param delivery The way in which it is delivered.
   */
  constructor(
    topic: Topic,
    after: After,
    format: Format,
    frames: FrameCache,
    delivery: Delivery = {},
  ) {
    const { latest = false, window = Infinity, snapshot = false } = delivery;
    this.topic = topic;
    this.#format = format;
    this.#cache = frames;
    this.#delivery = delivery;
    this.#frames = frames.of(topic);
    const start = announce(topic, after);
    this.#start = start;
    this.#latest = latest;
    this.#window = window === Infinity ? Window.UNLIMITED : new Window(window);
    this.#cursor = start.cursor;
    this.#foreign = start.foreign;
    this.#wantsSnapshot = snapshot;
    this.#upstreamVersion = untoldUpstream(topic);
  }

  /** Whether its reader stays for the next epoch of the topic. */
  get stays(): boolean {
    return this.#delivery.stays === true;
  }

  /** Makes the subscription that goes on with the next epoch, delivered in the same way. */
  goOn({ topic, after }: NextStart): Subscription {
    return new Subscription(
      topic,
      after,
      this.#format,
      this.#cache,
      this.#delivery,
    );
  }

  /** The offset of the first event that was not given to it yet. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Its writer; `undefined` before it is joined and after it has left. */
  get waker(): Waker | undefined {
    return this.#waker;
  }

  /** Begins to follow the topic, written by a writer. */
  join(waker: Waker): void {
    this.#waker = waker;
    this.topic.follow();
    this.#frames.join(this.#cursor);
    this.counts.subscribed++;
  }

  /** Follows the topic no more. */
  leave(): void {
    this.#waker = undefined;
    this.topic.unfollow();
    this.#frames.leave(this.#cursor);
    this.counts.unsubscribed++;
  }

  /** Whether it waits for what it has asked for, and was not removed meanwhile. */
  get isWaiting(): boolean {
    return this.#waker !== undefined;
  }

  /** The counts of what is delivered through its door. */
  get counts(): DeliveryCounts {
    return this.#frames.counts;
  }

  /** Whether everything was said, the end too. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether there is something to read that has no room in the window until there is an ack. */
  get blocked(): boolean {
    return this.#blocked !== "no";
  }

  /** Whether what was written last are events, and not a message about them. */
  get saidEvents(): boolean {
    return this.#saidEvents;
  }

  /** Whether its reader knows how the topic stands: that it is live, or has ended. */
  get hasBegun(): boolean {
    return this.#live || this.#ended;
  }

  /** Whether there may be something to say. Where it says no, there is nothing. */
  get hasNews(): boolean {
    const { log, state, upstreamVersion } = this.topic;
    return this.#cursor < log.next || !this.#live || state.kind === "ended" ||
      this.#upstreamVersion !== upstreamVersion || this.topic.isLost;
  }

  /**
   * Takes an ack; there may be something to say after it.
   *
   * @param offset The last event that the reader has taken.
   * @returns Whether it was sent that event, or does not need it.
   */
  ack(offset: number): boolean {
    if (offset >= this.#cursor) return false;
    if (this.#window.ack(offset)) this.#blocked = "no";
    return true;
  }

  /** Lets it have its turn. */
  wake(): void {
    this.#waker?.wake(this);
  }

  /** Whether it was blocked since this was last asked: its time begins then. */
  takeSign(): boolean {
    if (this.#blocked !== "unseen") return false;
    this.#blocked = "seen";
    return true;
  }

  /** There was no ack for as long as it may take. */
  onQuiet(): void {
    this.#waker?.onBlocked(this);
  }

  /**
   * Gives up, for a reader that was too slow, what it has not been sent yet. It is
   * told so when it reads again.
   */
  skip(): void {
    this.#slow = true;
  }

  /**
   * Returns the bytes to write next, and counts them as written; `undefined`
   * where there is nothing to say until the topic changes, or the reader has
   * taken what was sent to it.
   */
  next(): Message | undefined | Promise<Message> {
    const piece = this.#nextPiece();
    const { head } = this.#delivery;
    if (!head || !piece) return piece;
    return piece instanceof Promise
      ? piece.then((piece) => behind(head, piece))
      : behind(head, piece);
  }

  #nextPiece(): Message | undefined | Promise<Message> {
    for (;;) {
      const message = this.#nextMessage();
      if (message) {
        const bytes = this.#format.message(message, this.topic);
        this.#saidEvents = false;
        if (!bytes) continue;
        this.counts.wrote(bytes.byteLength);
        return bytes;
      }
      const { log } = this.topic;
      if (this.blocked) return undefined;
      if (this.#wantsSnapshot) {
        this.#wantsSnapshot = false;
        const { first } = log;
        if (first === log.next) continue;
        const frame = this.#frames.snapshot(this);
        if (!frame) continue;
        return frame instanceof Promise
          ? frame.then((frame) => this.#take(frame), (error) => {
            if (first === log.first && !this.topic.isLost) throw error;
            // Retention has passed what it was to be made of: it is made of the rest.
            this.#wantsSnapshot = true;
            return NOTHING;
          })
          : this.#take(frame);
      }
      if (this.#cursor >= log.next) return undefined;
      // In a hole there is no newest event: what comes before it is given.
      const from = this.#latest && !log.holeAt?.(log.next - 1)
        ? log.next - 1
        : this.#cursor;
      const { room, isEmpty } = this.#window;
      const frame = this.#frames.get(from, room, isEmpty, this);
      return frame instanceof Promise
        ? frame.then(
          (frame) => {
            // An ack that came during the read has made room: the next turn reads again.
            if (!frame && this.#window.room > room) return NOTHING;
            return this.#takeEvents(from, frame) ?? NOTHING;
          },
          (error) => {
            // Retention has passed it, or the log was lost: that is said next.
            if (from < log.first || this.topic.isLost) return NOTHING;
            throw error;
          },
        )
        : this.#takeEvents(from, frame);
    }
  }

  #takeEvents(from: number, frame: Frame | undefined): Message | undefined {
    if (!frame) {
      this.#blocked = "unseen";
      return undefined;
    }
    const skipped = this.#cursor;
    if (from !== skipped) this.#moveTo(from);
    const bytes = this.#take(frame);
    if (from === skipped) return bytes;
    // In one write: another gap could come between them for ever.
    const gap = this.#format.message(
      this.#gap(skipped, from - 1, "skipped"),
      this.topic,
    );
    if (!gap) return bytes;
    this.counts.wrote(gap.byteLength);
    return bytes instanceof Uint8Array
      ? Buffer.concat([gap, bytes])
      : bytes.after(gap);
  }

  #take({ to, bytes, time }: Frame): Message {
    const { counts } = this;
    counts.events += to - this.#cursor;
    counts.wrote(bytes.byteLength);
    // Events appended before this reader subscribed do not count toward
    // latency.
    if (this.#live) counts.aged(time);
    this.#moveTo(to);
    this.#saidEvents = true;
    this.#window.send(to - 1, bytes.byteLength);
    return bytes;
  }

  #moveTo(offset: number): void {
    if (this.#waker) this.#frames.move(this.#cursor, offset);
    this.#cursor = offset;
  }

  #gap(from: number, to: number, reason: GapReason): SubscriptionNotice {
    this.counts.gaps[reason]++;
    return { type: "gap", topic: this.topic.name, from, to, reason };
  }

  #nextMessage(): SubscriptionNotice | undefined {
    const { name, log, state, upstream, upstreamVersion, isLost } = this.topic;
    if (isLost) throw new TopicLostError(name);
    if (this.#start) {
      const { cursor, recovered, first, next, state } = this.#start;
      this.#start = undefined;
      return {
        type: "subscribed",
        topic: name,
        epoch: log.epoch,
        first,
        next,
        after: cursor - 1,
        recovered,
        state,
      };
    }
    // Gaps wait with the events whose place they take, or there would be one for
    // each event that retention takes from a reader who stands still.
    if (!this.blocked) {
      const from = this.#cursor;
      if (this.#foreign) {
        this.#foreign = false;
        this.#moveTo(log.first);
        return this.#gap(1, log.first - 1, "epoch");
      }
      if (this.#slow) {
        this.#slow = false;
        // A snapshot takes the place of all that was missed.
        if (from < log.next && !this.#wantsSnapshot) {
          this.#moveTo(log.next);
          return this.#gap(from, log.next - 1, "slow");
        }
      }
      if (from < log.first) {
        this.#moveTo(log.first);
        return this.#gap(from, log.first - 1, "evicted");
      }
      if (this.#wantsSnapshot) return undefined;
      const hole = log.holeAt?.(from);
      if (hole) {
        this.#moveTo(hole.to + 1);
        return this.#gap(from, hole.to, hole.reason);
      }
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
