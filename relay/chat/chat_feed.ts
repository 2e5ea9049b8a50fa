// This module is browser compatible.
import type { Clock } from "../../src/fetch/clock.ts";
import type { Subscription } from "../client/subscription.ts";
import type { TopicEnd } from "../client/topic_end.ts";
import { parseChunk } from "./chunk.ts";
import { idOf, lacksTurn } from "./lacks_turn.ts";
import { lostPart, Turn } from "./turn.ts";

/** The last event of a stream of UI messages. */
const DONE = "[DONE]";

/**
 * The time that a page may take to read a turn to its end before it is told of
 * the next one, in milliseconds. A chat of the AI SDK leaves an answer when it
 * goes on with another.
 */
const READ_LIMIT = 1_000;

/** The listener for the turns of a chat. */
export interface TurnListener {
  /** The conversation that the page was loaded with, if it says so. */
  readonly messages?: readonly { readonly id: string }[] | undefined;
  /** Called when a turn that was not sent from here has begun. */
  onTurn(message: unknown): void;
  /** Called when a turn has ended that was going on here. */
  onEnd(end: TopicEnd): void;
  /** Called when nothing more will be told, as the relay has refused. */
  onError(error: unknown): void;
}

/** A turn that was asked for from here, and has not begun. */
interface Expected {
  readonly id: string | undefined;
  /** Whether no turn before has answered the message. */
  readonly isNew: boolean;
  resolve(turn: Turn): void;
  reject(error: unknown): void;
  /** Whether it is to be stopped as soon as it begins. */
  isUnwanted: boolean;
}

/**
 * The topic of a chat, as long as somebody in this page has a use for it: one subscription
 * that stays, from which everybody reads.
 */
export class ChatFeed {
  /** The newest turn. */
  #turn: Turn | undefined;
  readonly #subscription: Subscription;
  readonly #clock: Clock;
  readonly #onOver: () => void;
  /** Resolves when nobody has a use for this. */
  readonly #closed: Promise<void>;
  #close: () => void = () => {};
  readonly #listeners = new Set<TurnListener>();
  readonly #expected = new Set<Expected>();
  /** Resolves once the relay has said what there is. */
  readonly #known: Promise<void>;
  #resolveKnown: () => void = () => {};
  #rejectKnown: (error: unknown) => void = () => {};
  #users = 0;

  /**
   * Begins to read.
   *
   * @param subscription Stays; it is closed when nobody has a use for it.
   * @param clock The source of time.
   * @param onOver Called when this feed is of no more use.
   */
  constructor(subscription: Subscription, clock: Clock, onOver: () => void) {
    this.#subscription = subscription;
    this.#clock = clock;
    this.#onOver = onOver;
    this.#closed = new Promise((resolve) => this.#close = resolve);
    // No `Promise.withResolvers`: Node 20 has none.
    this.#known = new Promise((resolve, reject) => {
      this.#resolveKnown = resolve;
      this.#rejectKnown = reject;
    });
    this.#known.catch(() => {});
    void this.#follow();
  }

  /**
   * The turn that is going on, once the relay has said what there is; or the last one, if
   * somebody was told of it who has not read it yet.
   */
  async running(): Promise<Turn | undefined> {
    await this.#known;
    const turn = this.#turn;
    return turn?.isUnread ? turn : this.#current;
  }

  /** The turn that is going on. */
  get #current(): Turn | undefined {
    const turn = this.#turn;
    return turn?.hasBegun && !turn.isOld && !turn.isOver ? turn : undefined;
  }

  /**
   * Keeps the subscription.
   *
   * @returns Ends that.
   */
  use(): () => void {
    this.#users += 1;
    let isUsed = true;
    return () => {
      if (!isUsed) return;
      isUsed = false;
      this.#users -= 1;
      if (this.#users > 0) return;
      this.#onOver();
      this.#close();
      void this.#subscription.close();
    };
  }

  /**
   * Tells a listener of turns.
   *
   * @returns Ends that.
   */
  listen(listener: TurnListener): () => void {
    this.#listeners.add(listener);
    const turn = this.#turn;
    if (turn && turn === this.#current) tell(listener, turn);
    else if (turn?.ending) this.#tellMissed(listener, turn, turn.ending);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves once the relay has said what there is: a turn that comes after is new. */
  get known(): Promise<void> {
    return this.#known;
  }

  /**
   * Waits for the turn that answers a message from here.
   *
   * @param id The id of the message.
   * @param isNew Whether no turn before has answered the message. Then one that the relay
   * says has ended is its answer too: a short one may be faster than this connection.
   */
  expect(id: string | undefined, isNew: boolean): {
    readonly turn: Promise<Turn>;
    /** Waits no more. */
    readonly forget: () => void;
  } {
    let forget = (): void => {};
    const turn = new Promise<Turn>((resolve, reject) => {
      const expected = { id, isNew, resolve, reject, isUnwanted: false };
      this.#expected.add(expected);
      forget = () => void this.#expected.delete(expected);
    });
    turn.catch(() => {});
    return { turn, forget };
  }

  /**
   * Stops the turn that is going on, or that was asked for from here, for everybody.
   *
   * @returns Resolves when it is over.
   */
  async stop(reason: string | undefined): Promise<void> {
    for (const expected of this.#expected) expected.isUnwanted = true;
    await this.#known;
    const turn = this.#current;
    if (!turn) return;
    this.#subscription.cancel(reason);
    await turn.over();
  }

  async #follow(): Promise<void> {
    let error: unknown = lostPart();
    try {
      for await (const message of this.#subscription) {
        switch (message.type) {
          case "subscribed": {
            const { epoch, state } = message;
            const last = this.#turn;
            // Its end has not come, and will not: the relay has lost it.
            last?.end({ error: lostPart() });
            if (last) await this.#read(last);
            // A turn that ended while this page was away is new to this page.
            this.#turn = new Turn(epoch, !last && state === "ended");
            if (state !== "open") this.#resolveKnown();
            break;
          }
          case "event":
          case "merged":
            this.#take(message.data);
            this.#resolveKnown();
            break;
          case "gap":
            // A log that was begun anew has lost nothing of its own.
            if (message.to < message.from) break;
            this.#turn?.end({ error: lostPart() });
            break;
          case "end": {
            const { status, reason } = message;
            this.#end({ status, ...(reason !== undefined && { reason }) });
          }
        }
      }
    } catch (cause) {
      error = cause;
    }
    this.#onOver();
    this.#turn?.end({ error });
    this.#rejectKnown(error);
    for (const { reject } of this.#expected) reject(error);
    for (const { onError } of this.#listeners) onError(error);
  }

  /** Waits until a turn is read, though not for ever. */
  async #read(turn: Turn): Promise<void> {
    let cancelTimer = (): void => {};
    const limit = new Promise<void>((resolve) => {
      cancelTimer = this.#clock.setTimeout(resolve, READ_LIMIT);
    });
    await Promise.race([turn.read(), limit, this.#closed]);
    cancelTimer();
  }

  #take(data: string): void {
    const turn = this.#turn;
    if (!turn || turn.isOver) return;
    try {
      const isFirst = !turn.hasBegun;
      // `[DONE]` ends the turn for readers that do not see the end of a topic.
      if (data === DONE) return;
      turn.add(parseChunk(data));
      if (isFirst) this.#begun(turn);
    } catch (cause) {
      turn.end({ error: lostPart(cause) });
    }
  }

  #begun(turn: Turn): void {
    const id = idOf(turn.message);
    for (const expected of this.#expected) {
      if (expected.id === undefined || expected.id !== id) continue;
      const { isOld } = turn;
      if (isOld && !expected.isNew) continue;
      turn.claim();
      this.#expected.delete(expected);
      expected.resolve(turn);
      if (expected.isUnwanted && !isOld) this.#subscription.cancel();
      return;
    }
    if (turn.isOld) return;
    for (const listener of this.#listeners) tell(listener, turn);
  }

  #end(end: TopicEnd): void {
    const turn = this.#turn;
    if (!turn || turn.isOver) return;
    turn.end({ end });
    for (const listener of this.#listeners) {
      if (turn.isOld) this.#tellMissed(listener, turn, end);
      else listener.onEnd(end);
    }
  }

  /** Tells of a turn that has ended between the loading of a page and its first look here. */
  #tellMissed(listener: TurnListener, turn: Turn, end: TopicEnd): void {
    if (!listener.messages || !lacksTurn(listener.messages, turn)) return;
    tell(listener, turn);
    listener.onEnd(end);
  }
}

function tell(listener: TurnListener, turn: Turn): void {
  turn.tell();
  listener.onTurn(turn.message);
}
