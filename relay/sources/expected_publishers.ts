import type { Clock } from "../../src/fetch/clock.ts";
import { readFilling, writeFilling } from "../topics/filling.ts";
import { LeaseHeldError } from "../topics/lease.ts";
import type { Hold, Leases } from "../topics/leases.ts";
import type { Topic } from "../topics/topic.ts";

/** The longest time that a publisher may ask for, in milliseconds. */
export const MAX_WITHIN = 600_000;

/**
 * The delay of a timer after which this process was itself held up, in milliseconds: it
 * may not have heard of a publication yet.
 */
const HELD_UP = 1_000;

/** The parts that waiting for publishers needs. */
export interface ExpectedPublishersOptions {
  readonly clock: Clock;
  /** Of the relays that share a store, the one with the lease on a topic waits for its publisher. */
  readonly leases: Leases;
  /** Whether there are other relays. Default: no. */
  readonly areShared?: boolean;
  /** Aborted when this relay ends no more topics: the next one does. */
  readonly stopped: AbortSignal | undefined;
}

/** Topics whose publishers have said in which time they go on. */
export class ExpectedPublishers {
  readonly #options: ExpectedPublishersOptions;
  readonly #expected = new WeakMap<Topic, Expectation>();
  /** Those that wait now. */
  readonly #waiting = new Set<Expectation>();

  /** Expects nobody. */
  constructor(options: ExpectedPublishersOptions) {
    this.#options = options;
    options.stopped?.addEventListener("abort", () => {
      for (const expectation of this.#waiting) expectation.stop();
    }, { once: true });
  }

  /**
   * Takes note of a publication.
   *
   * @param topic The topic.
   * @param within The time in which another publication begins after this one, in
   * milliseconds. Default: what an earlier publication has said.
   * @returns Has to be disposed of when the publication is over: unless another one begins
   * in time, the topic ends as truncated.
   */
  begin(topic: Topic, within: number | undefined): Disposable | undefined {
    if (topic.verdict) return undefined;
    const before = this.#expected.get(topic);
    // An earlier publication may have come to another relay.
    const asked = within ?? before?.within ?? keptWithin(topic);
    if (asked === undefined) return undefined;
    const expectation = before ?? this.#expect(topic, asked);
    expectation.begin(asked);
    return {
      [Symbol.dispose]: () => {
        // It was refused, and so was what it has said.
        const isRefused = !before && topic.state.kind === "pending";
        if (!isRefused) return expectation.end();
        this.#expected.delete(topic);
        expectation.refuse();
      },
    };
  }

  /** Goes on with what a relay before this one expected of a topic. */
  resume(topic: Topic, within: number): void {
    const before = this.#expected.get(topic);
    (before ?? this.#expect(topic, within)).resume();
  }

  #expect(topic: Topic, within: number): Expectation {
    const expectation = new Expectation(topic, within, {
      ...this.#options,
      waiting: this.#waiting,
    });
    this.#expected.set(topic, expectation);
    return expectation;
  }
}

/** The parts of an expectation. */
interface ExpectationOptions extends ExpectedPublishersOptions {
  /** Those that wait now. */
  readonly waiting: Set<Expectation>;
}

/** The time in which the publisher of one topic goes on. */
class Expectation {
  readonly #topic: Topic;
  readonly #options: ExpectationOptions;
  #within: number;
  #underWay = 0;
  /** The time of the last sign of a publisher, at any relay. */
  #heardAt: number;
  /** The lease, if there are other relays, once this relay has asked for it. */
  #hold: Hold | undefined;
  /** Whether another relay waits for the publisher. */
  #isElsewhere = false;
  #isOver = false;
  #cancel: () => void = () => {};
  #stopObserving: () => void = () => {};

  constructor(topic: Topic, within: number, options: ExpectationOptions) {
    this.#topic = topic;
    this.#within = within;
    this.#options = options;
    this.#heardAt = options.clock.now();
    void topic.ended.then(() => this.#close());
    if (!options.areShared) return;
    this.#stopObserving = topic.observe({
      changed: () => void (this.#heardAt = options.clock.now()),
    });
    this.#ask();
  }

  /** The time, in milliseconds. */
  get within(): number {
    return this.#within;
  }

  /** A publication begins, and says the time. */
  begin(within: number): void {
    this.#within = within;
    const kept = keptWithin(this.#topic);
    // If something else fills the topic, whoever takes that over ends it.
    const isOwn = kept !== undefined || this.#topic.filling === undefined;
    if (isOwn && kept !== within) this.#say();
    this.#underWay++;
    this.#heard();
  }

  /** A publication is over. */
  end(): void {
    this.#underWay--;
    this.#heard();
  }

  /** The first publication was refused: nobody is expected. */
  refuse(): void {
    if (this.#topic.verdict) return;
    if (keptWithin(this.#topic) !== undefined) this.#topic.filling = undefined;
    this.#close();
  }

  /** The relay that has waited for the publisher is gone. */
  resume(): void {
    if (this.#isElsewhere) this.#ask();
    this.#heard();
  }

  /** Waits no more, and leaves the topic to the next relay. */
  stop(): void {
    this.#isOver = true;
    this.#schedule();
  }

  #close(): void {
    this.stop();
    this.#stopObserving();
    this.#hold?.[Symbol.dispose]();
  }

  #say(): void {
    const within = this.#within;
    this.#topic.filling = writeFilling({ kind: "publisher", within });
  }

  #heard(): void {
    this.#heardAt = this.#options.clock.now();
    this.#schedule();
  }

  /** Asks for the lease, which another relay may have: then that one waits. */
  #ask(): void {
    this.#isElsewhere = false;
    const onLost = (): void => {
      this.#isElsewhere = true;
      this.#schedule();
    };
    try {
      const hold = this.#hold = this.#options.leases.hold(this.#topic, {
        onLost,
      });
      hold.ready?.then(() => this.#schedule(), (error) => this.#refused(error));
    } catch (error) {
      onLost();
      this.#refused(error);
    }
  }

  /** If the store cannot say who has the lease, nobody may have it. */
  #refused(error: unknown): void {
    if (error instanceof LeaseHeldError) return;
    this.#wait(Math.max(this.#within, HELD_UP), () => this.#ask());
  }

  /** The time until there is something to do; `undefined` if another relay or publisher has to do it. */
  get #interval(): number | undefined {
    if (this.#isOver || this.#options.stopped?.aborted) return undefined;
    if (this.#underWay > 0) {
      return this.#isElsewhere ? this.#within / 2 : undefined;
    }
    const isAsking = this.#options.areShared && !this.#hold?.lease;
    return this.#isElsewhere || isAsking ? undefined : this.#within;
  }

  #schedule(): void {
    const { clock } = this.#options;
    const interval = this.#interval;
    if (interval === undefined) return this.#wait();
    const due = this.#heardAt + interval;
    this.#wait(due - clock.now(), () => {
      const late = clock.now() - due;
      if (this.#heardAt + interval > due) this.#schedule();
      else if (late >= HELD_UP) this.#heard();
      else this.#act();
    });
  }

  /** Calls something later, and nothing that was to be called before. */
  #wait(delay?: number, callback?: () => void): void {
    const { clock, waiting } = this.#options;
    this.#cancel();
    this.#cancel = () => {};
    waiting.delete(this);
    if (delay === undefined || !callback) return;
    this.#cancel = clock.setTimeout(() => {
      waiting.delete(this);
      callback();
    }, Math.max(0, delay));
    waiting.add(this);
  }

  /** Nobody was heard of for long enough. */
  #act(): void {
    if (this.#underWay > 0) {
      // A publication here is silent: the relay that waits has to hear of it.
      this.#say();
      return this.#heard();
    }
    const reason = `Its publisher has not gone on within ${this.#within} ms`;
    this.#topic.end("truncated", reason, undefined, this.#hold);
  }
}

/** Returns the time that a publisher has said, as the topic has it. */
function keptWithin({ filling: text }: Topic): number | undefined {
  const filling = text === undefined ? undefined : readFilling(text);
  return filling?.kind === "publisher" ? filling.within : undefined;
}
