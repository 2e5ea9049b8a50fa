import { slices } from "../slices.ts";
import type { Message } from "./long_message.ts";
import type { Pump } from "./pump.ts";
import { Speakers } from "./speakers.ts";
import type { Subscription, Waker } from "./subscription.ts";
import type { Watch, Watched } from "./watch.ts";

/** The destination of a subscriber's bytes. */
export interface Sink {
  /**
   * Writes bytes, a message or a part of one, and calls `done` when they have left
   * for the network: that a peer does not read is seen by `done` not being called.
   */
  write(bytes: Uint8Array, done: () => void): void;
}

/**
 * The most bytes that are given to a sink at once. A socket tells nothing of a write
 * before all of it is taken: of a whole frame of 16 MiB, a reader that takes 100 KiB
 * a second could not be told from one that takes nothing for three minutes.
 */
const PART = 64 * 1024;

/** Counts the bytes that were written for a peer, and that it has not taken. */
export interface QueuedBytes {
  /** Sets how many there are of a message that is this peer's alone. */
  set(bytes: number): void;
  /** Counts a message that other peers may be written, too. */
  hold(message: Message, bytes: number): void;
  /** Counts a message off that was held. */
  release(message: Message): void;
  /** The peer has taken a part. */
  taken(): void;
  /** The peer is gone. */
  close(): void;
}

/** The rules for readers that have unread events and take nothing. */
export interface SlowReaders {
  /** Looks after readers that take no bytes. Default: nobody does. */
  readonly watch?: Watch | undefined;
  /** Looks after subscriptions whose window is full. Default: nobody does. */
  readonly acks?: Watch | undefined;
  /** Whether they lose what they have not read, or the connection. */
  readonly then: "gap" | "close";
}

/** The events that a subscriber reports to its door. */
export interface SubscriberEvents {
  /** The end of a subscription has been written; it says nothing more. */
  onEnd(subscription: Subscription): void;
  /** Something cannot be read from a log, or written: the subscriber cannot be served rightly. */
  onError(error: unknown): void;
  /** The peer is too slow to be kept; called again while it takes nothing. */
  onSlow(): void;
  /** All answers have been written. */
  onDrain?(): void;
}

/** A subscriber of this many topics is told at once how they stand: of each in three messages. */
const FEW = 8;

/** An empty list that all subscribers share. Nothing is ever added to it. */
const NONE: never[] = [];

/** The number of lanes that were named. */
let lanes = 0;

/**
 * One peer, with any number of subscriptions and one write under way.
 *
 * It keeps no events: when a write is done it asks its subscriptions, in turn,
 * for what comes next. A peer that stops reading costs the one write that does
 * not finish.
 */
export class Subscriber implements Waker, Watched, Disposable {
  readonly #sink: Sink;
  readonly #pump: Pump;
  readonly #events: SubscriberEvents;
  readonly #slow: SlowReaders | undefined;
  /** Answers to what the peer asked: they go before events. */
  #answers: Uint8Array[] = NONE;
  // A list, as most have one subscription: each map costs an idle connection 200
  // bytes of 8 KiB.
  #subscriptions: Subscription[] = NONE;
  readonly #speakers = new Speakers();
  #begun = 0;
  #finished = 0;
  #told = 0;
  readonly #queued: QueuedBytes | undefined;
  /** The large message under way, of which all counts until all is taken. */
  #held: Message | undefined;
  /** The bytes under way that were not given to the sink yet: what is left of a part, and the parts after it. */
  #rest: Uint8Array | undefined;
  #parts: Iterator<Uint8Array> | undefined;
  /** The number of writes at the last check whether the peer reads. */
  #seen = 0;
  /** The subscription whose next message is being read or encoded. */
  #reading: Subscription | undefined;
  /** Whether a beginning waits for its turn, and the lane in which it does. */
  #isBeginning = false;
  #lane: string | undefined;
  #closed = false;
  /** The offset before which each subscription has to be written, and what follows then. */
  #awaited:
    | { readonly to: ReadonlyMap<Subscription, number>; then(): void }
    | undefined;

  /**
   * Makes a subscriber that follows nothing yet.
   *
   * @param sink The destination of its bytes.
   * @param pump Wakes it.
   * @param events The listener.
   * @param slow The rules for a slow subscriber. Default: none.
   * @param queued Counts its bytes. Default: nothing does.
   */
  constructor(
    sink: Sink,
    pump: Pump,
    events: SubscriberEvents,
    slow?: SlowReaders,
    queued?: QueuedBytes,
  ) {
    this.#queued = queued;
    this.#sink = sink;
    this.#pump = pump;
    this.#events = events;
    this.#slow = slow;
    slow?.watch?.add(this);
  }

  /** The subscriptions, each up to its end. */
  get subscriptions(): readonly Subscription[] {
    return this.#subscriptions;
  }

  /** Whether the peer has taken something since this was last asked, or has nothing to take. */
  takeSign(): boolean {
    const before = this.#seen;
    this.#seen = this.#begun;
    return this.#begun > before || this.#begun === this.#finished;
  }

  /** The peer has taken nothing for as long as it may. */
  onQuiet(): void {
    if (this.#slow?.then === "close") return this.#events.onSlow();
    for (const subscription of this.#subscriptions) subscription.skip();
  }

  /** The peer has acknowledged nothing of a subscription for as long as it may. */
  onBlocked(subscription: Subscription): void {
    if (this.#slow?.then === "close") this.#events.onSlow();
    else subscription.skip();
  }

  /** The number of answers that wait for an earlier write. */
  get backlog(): number {
    return this.#answers.length;
  }

  /** Whether anything was written since this was last asked, or still is. */
  takeWrote(): boolean {
    const before = this.#told;
    this.#told = this.#begun;
    return this.#begun > before || this.#begun > this.#finished;
  }

  /** The number of writes begun: a large message takes several. */
  get begun(): number {
    return this.#begun;
  }

  /**
   * The number of writes finished: one less than begun while a write is under
   * way.
   */
  get finished(): number {
    return this.#finished;
  }

  /** Whether only a part of a message was given to the sink: nothing else may follow it. */
  get isWithinMessage(): boolean {
    return this.#rest !== undefined;
  }

  /** Gives the sink what is left of a message that was begun. */
  flush(): void {
    let rest = this.#rest;
    if (!rest) return;
    this.#rest = undefined;
    for (let next = this.#nextPart(); next; next = this.#nextPart()) {
      this.#sink.write(rest, () => {});
      rest = next;
    }
    this.#begun++;
    this.#sink.write(rest, () => this.#onDone());
  }

  /** Sends an answer, before any further events. */
  answer(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#answers = added(this.#answers, bytes);
    this.#work();
  }

  /** Begins to deliver a subscription. */
  add(subscription: Subscription): void {
    this.#subscriptions = added(this.#subscriptions, subscription);
    subscription.join(this);
    this.#pump.join(subscription);
    this.wake(subscription);
  }

  /** Stops delivering a subscription. */
  remove(subscription: Subscription): void {
    this.#remove(subscription);
    // It may have waited for its turn on behalf of the others.
    this.#work();
  }

  /**
   * Takes an ack. Nobody gets more turns than others by acknowledging more often.
   *
   * @param subscription One of its own.
   * @param offset The last event that the peer has taken.
   * @returns Whether it was sent that event, or does not need it.
   */
  ack(subscription: Subscription, offset: number): boolean {
    const { blocked } = subscription;
    if (!subscription.ack(offset)) return false;
    if (!blocked || subscription.blocked) return true;
    this.#slow?.acks?.delete(subscription);
    this.wake(subscription);
    return true;
  }

  /** Lets a subscription have its turn: it may have something to say. */
  wake(subscription: Subscription): void {
    this.#speakers.add(subscription);
    this.#work(true);
  }

  /** Calls back, once, when all events and ends that there are now have been written. */
  whenWritten(then: () => void): void {
    const to = this.#subscriptions.map((subscription) =>
      [subscription, subscription.topic.log.next] as const
    );
    this.#awaited = { to: new Map(to), then };
    this.#checkWritten();
  }

  #checkWritten(): void {
    if (!this.#awaited || this.#closed) return;
    const { to, then } = this.#awaited;
    for (const [subscription, next] of to) {
      // The others were removed, or have said their end.
      if (subscription.waker !== this) continue;
      const { cursor, topic } = subscription;
      if (cursor < next || topic.state.kind === "ended") return;
    }
    this.#awaited = undefined;
    then();
  }

  /**
   * Stops everything, but for the answers that are still due: they go out now.
   * Whether they do is still watched.
   */
  close(): void {
    this.#closed = true;
    this.flush();
    const answers = this.#answers;
    this.#answers = NONE;
    for (const answer of answers) this.#sink.write(answer, () => {});
    for (const subscription of [...this.#subscriptions]) {
      this.#remove(subscription);
    }
  }

  /** Stops everything: the peer is gone. */
  [Symbol.dispose](): void {
    this.close();
    this.#queued?.close();
    this.#slow?.watch?.delete(this);
  }

  #remove(subscription: Subscription): void {
    if (!takeOut(this.#subscriptions, subscription)) return;
    this.#speakers.delete(subscription);
    // Nobody waits for its message any more, and it may never come.
    if (this.#reading === subscription) this.#reading = undefined;
    subscription.leave();
    this.#slow?.acks?.delete(subscription);
    this.#pump.leave(subscription);
  }

  get #isBusy(): boolean {
    return this.#reading !== undefined || this.#begun > this.#finished ||
      this.isWithinMessage;
  }

  /**
   * Writes what comes next.
   *
   * @param isTurn Whether events may be written. Without that, who has more of
   * them waits for its turn: a peer that reads as fast as it is written to would
   * have all others wait.
   */
  #work(isTurn = false): void {
    try {
      this.#writeNext(isTurn);
      this.#checkWritten();
    } catch (error) {
      // Those who are woken after this one have no part in it.
      this.#fail(error);
    }
  }

  #writeNext(isTurn: boolean): void {
    while (!this.#isBusy && !this.#closed) {
      const answer = this.#answers.shift();
      if (answer) {
        this.#write(answer);
        if (this.#answers.length > 0) continue;
        this.#answers = NONE;
        this.#events.onDrain?.();
        continue;
      }
      const subscription = this.#speakers.first;
      if (!subscription) return;
      // A message about events is no turn: what retention takes meanwhile could
      // make it the only one that ever comes.
      if (!isTurn && subscription.saidEvents && subscription.hasNews) {
        return this.#pump.goOn(subscription);
      }
      const hasMany = this.#subscriptions.length > FEW;
      if (!isTurn && hasMany && !subscription.hasBegun) {
        return this.#beginLater();
      }
      // Taken out and put in again: the next write is another subscription's turn.
      this.#speakers.delete(subscription);
      const bytes = subscription.next();
      if (bytes instanceof Promise) {
        this.#writeLater(subscription, bytes);
      } else if (bytes) {
        this.#speakers.add(subscription);
        this.#write(bytes);
      } else if (subscription.ended) {
        this.#remove(subscription);
        this.#events.onEnd(subscription);
      } else {
        if (subscription.blocked) this.#slow?.acks?.add(subscription);
        this.#pump.wait(subscription);
      }
    }
  }

  /** Goes on when all that was given to the sink has left for the network. */
  #onDone(): void {
    this.#finished++;
    const rest = this.#rest;
    if (rest) {
      this.#queued?.taken();
      this.#goOn(rest);
      return;
    }
    if (this.#held) this.#queued?.release(this.#held);
    this.#held = undefined;
    this.#queued?.set(0);
    this.#work();
  }

  #write(message: Message): void {
    if (message instanceof Uint8Array && message.byteLength <= PART) {
      this.#queued?.set(message.byteLength);
      return this.#writePart(message);
    }
    const shared = message instanceof Uint8Array ? message : message.shared;
    this.#held = shared;
    this.#queued?.hold(shared, shared.byteLength);
    if (message instanceof Uint8Array) return this.#writePart(message);
    this.#queued?.set(message.byteLength - shared.byteLength);
    this.#parts = message.parts.values();
    const first = this.#nextPart();
    if (first) this.#writePart(first);
  }

  #writePart(bytes: Uint8Array): void {
    const isWhole = bytes.byteLength <= PART;
    this.#rest = isWhole ? this.#nextPart() : bytes.subarray(PART);
    this.#begun++;
    // A function for each write: one that is kept takes 100 bytes of an idle connection.
    this.#sink.write(
      isWhole ? bytes : bytes.subarray(0, PART),
      () => this.#onDone(),
    );
  }

  /**
   * Writes the next part of a message when there is time for it. Sockets take parts at
   * once, up to some MiB: those of a hundred subscribers took 400 ms, in which nobody
   * else was served.
   */
  #goOn(rest: Uint8Array): void {
    const step = (): IteratorReturnResult<void> => {
      if (this.#rest === rest) this.#writePart(rest);
      return { done: true, value: undefined };
    };
    // `flush` may have written it before its turn comes.
    void slices.run("parts", { next: step }, () => this.#rest === rest);
  }

  /**
   * Says the next of a beginning when there is time for it. Sockets take what is said of
   * many topics at once: twenty readers of a hundred topics each kept everybody else
   * waiting for 600 ms.
   */
  #beginLater(): void {
    if (this.#isBeginning) return;
    this.#isBeginning = true;
    const step = (): IteratorReturnResult<void> => {
      this.#isBeginning = false;
      this.#work(true);
      return { done: true, value: undefined };
    };
    this.#lane ??= `beginnings of ${++lanes}`;
    void slices.run(this.#lane, { next: step }, () => !this.#closed);
  }

  #nextPart(): Uint8Array | undefined {
    const next: Uint8Array | undefined = this.#parts?.next().value;
    if (!next) this.#parts = undefined;
    return next;
  }

  #writeLater(subscription: Subscription, read: Promise<Message>): void {
    this.#reading = subscription;
    read.then((message) => {
      if (this.#reading !== subscription) return;
      this.#reading = undefined;
      this.#speakers.add(subscription);
      this.#write(message);
    }, (error) => {
      if (this.#reading === subscription) throw error;
    }).catch((error) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (!this.#closed) this.#events.onError(error);
  }
}

/**
 * Returns a list with an item more. An empty list may be {@linkcode NONE}, so it is
 * replaced: V8 gives an empty list room for 17 items at the first push.
 */
function added<T>(list: T[], item: T): T[] {
  if (list.length === 0) return [item];
  list.push(item);
  return list;
}

/** Takes something out of a list; whether it was in it. */
function takeOut<T>(list: T[], item: T): boolean {
  const index = list.indexOf(item);
  if (index < 0) return false;
  list.splice(index, 1);
  return true;
}
