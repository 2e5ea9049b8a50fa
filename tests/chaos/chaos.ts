/**
 * A relay, its topics and its subscribers, in which everything happens that can,
 * in steps that a seed decides.
 *
 * @module
 */
import { createOpenRelay, type OpenRelay } from "../support/relay/relay.ts";
import type { EndStatus } from "../../relay/topics/end.ts";
import type { Topic } from "../../relay/topics/topic.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import { Random } from "../support/random.ts";
import { until } from "../support/within.ts";
import type { ContentKind } from "./content.ts";
import type { Subscriber } from "./subscriber.ts";
import {
  type Audience,
  DELETED,
  KINDS,
  makeSubscribers,
  settingsOf,
  STATUSES,
} from "./plan.ts";
import { OwnTruth } from "./truth.ts";
import {
  type Door,
  emptyTally,
  type Settings,
  type Tally,
  type World,
} from "./world.ts";

/** The length and the size of a run. */
export interface ChaosOptions extends Audience {
  readonly seed: number;
  /** The longest duration, in seconds. */
  readonly seconds: number;
  /** After how many steps it stops. */
  readonly steps: number;
  /** After how many deliveries it stops. */
  readonly deliveries: number;
  /** Called now and then. */
  readonly onProgress?: (result: ChaosResult) => void;
}

/** The result of a run. */
export interface ChaosResult extends Tally {
  readonly steps: number;
  readonly seconds: number;
  readonly logs: number;
}

/** The time limit for the end, in milliseconds of real time. */
const LIMIT = 60_000;

/** After how many steps progress is told. */
const PROGRESS = 1_000;

/** The numbers of events added in a step: one of these, for a while. */
const RATES: Record<ContentKind, readonly number[]> = {
  plain: [0, 0, 1, 3, 20, 300],
  responses: [0, 1, 5, 50, 400],
  chat: [0, 1, 5, 50, 400],
  large: [0, 0, 1, 2, 15],
  fixed: [0, 20, 500, 1_500, 3_000],
};

/** The largest number of events in a log. */
const MOST: Record<ContentKind, number> = {
  plain: 5_000,
  responses: 5_000,
  chat: 5_000,
  large: 500,
  fixed: 1e9,
};

/** Fills one topic, and ends it, again and again. */
class Feeder {
  readonly name: string;
  readonly #kind: ContentKind;
  readonly #random: Random;
  readonly #truth: OwnTruth;
  #rate = 1;
  #rateUntil = 0;

  constructor(
    name: string,
    kind: ContentKind,
    random: Random,
    truth: OwnTruth,
  ) {
    this.name = name;
    this.#kind = kind;
    this.#random = random;
    this.#truth = truth;
  }

  step(relay: OpenRelay, tick: number, most: number): void {
    const [what, share, rate] = [
      this.#random.next(),
      this.#random.next(),
      this.#random.pick(RATES[this.#kind]),
    ];
    const status = this.#random.pick(STATUSES);
    const known = relay.topics.get(this.name);
    if (known?.state.kind === "ended") {
      // Otherwise it expires.
      if (what < 0.01) relay.topics.delete(this.name);
      return;
    }
    if (known?.state.kind !== "open" && what > 0.1) return;
    const topic = relay.topics.create(this.name);
    const generation = this.#truth.of(topic);
    if (tick >= this.#rateUntil) {
      this.#rate = rate;
      this.#rateUntil = tick + Math.floor(1 + share * 60);
    }
    // A little less than what is kept, so that who reads can follow, mostly.
    const count = Math.ceil(
      Math.min(this.#rate * (0.5 + share), share < 0.02 ? Infinity : most),
    );
    if (count > 0) generation.feed(count);
    if (what < 0.003 || generation.count > MOST[this.#kind]) {
      this.end(topic, status, share < 0.5 ? `because of ${tick}` : undefined);
    } else if (what < 0.0035) {
      generation.verdict = {
        status: "cancelled",
        reason: DELETED,
      };
      relay.topics.delete(this.name);
    } else if (what > 0.99) {
      topic.setUpstream({ state: "retrying", attempt: tick, retryIn: 100 });
    } else if (what > 0.98) {
      topic.setUpstream({ state: "open" });
    }
  }

  end(topic: Topic, status: EndStatus, reason?: string): void {
    const generation = this.#truth.of(topic);
    generation.verdict = { status, ...(reason !== undefined && { reason }) };
    topic.end(status, reason);
  }
}

class Chaos implements World, Door {
  readonly truth: OwnTruth;
  readonly tally: Tally = emptyTally();
  readonly doors: readonly [Door] = [this];
  readonly isAlone = false;
  readonly absences = 0;
  readonly isBehind = false;
  tick = 0;
  port = 0;
  settings: Settings;
  incarnation = 0;
  isGoing = false;
  isCalm = false;
  readonly #options: ChaosOptions;
  readonly #random: Random;
  readonly #clock = new FakeClock(1_000_000);
  readonly #feeders: readonly Feeder[];
  readonly #subscribers: readonly Subscriber[];
  readonly #started = performance.now();
  #relay: OpenRelay | undefined;
  #failure: { readonly error: unknown } | undefined;
  #restartedAt = 0;
  /** The phase of the relay's restart, if it is restarting. */
  #going:
    | { phase: "draining" | "closing" | "closed"; backAt: number }
    | undefined;

  constructor(options: ChaosOptions) {
    this.#options = options;
    // Only its 32 bits count: -1 is the seed that 4294967295 is.
    const seed = options.seed >>> 0;
    const random = new Random(seed);
    this.#random = random.fork();
    this.settings = settingsOf(this.#random);
    this.truth = new OwnTruth(
      seed,
      KINDS,
      (name) => this.#relay?.topics.get(name),
    );
    this.#feeders = Array.from(
      KINDS,
      ([name, kind]) => new Feeder(name, kind, random.fork(), this.truth),
    );
    this.#subscribers = makeSubscribers(options, random, this);
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  get result(): ChaosResult {
    return {
      ...this.tally,
      steps: this.tick,
      seconds: (performance.now() - this.#started) / 1_000,
      logs: this.truth.generations,
    };
  }

  async run(): Promise<ChaosResult> {
    const { seconds, steps, deliveries, onProgress } = this.#options;
    try {
      await this.#start();
      const end = this.#started + seconds * 1_000;
      while (
        performance.now() < end && this.tick < steps &&
        this.tally.deliveries < deliveries
      ) {
        await this.#step();
        if (this.tick % PROGRESS === 0) onProgress?.(this.result);
      }
      await this.#calmDown();
      return this.result;
    } finally {
      await Promise.all(this.#subscribers.map((one) => one.dispose()));
      await this.#clock.run(this.#relay?.close() ?? Promise.resolve());
      // After an answer whose request had a body, @hono/node-server looks twice,
      // a timer each, whether it was read: they are not to outlive the test.
      for (let turn = 0; turn < 3; turn++) await this.#turn();
    }
  }

  async #start(): Promise<void> {
    const { heartbeat, slowTimeout, onSlow, awaitTopics, ...retention } =
      this.settings;
    this.#relay = createOpenRelay({
      port: this.port,
      retention,
      delivery: { heartbeat, slowTimeout, onSlow, awaitTopics },
      // Much is said here in little of the time that this clock has.
      limits: {
        maxMessageRate: 1e9,
        maxMessageBytesRate: 1e9,
        // Of real time: a step takes a second where the machine is busy, and the relay
        // reads little in each of them.
        headTimeout: 3_600_000,
      },
      clock: this.#clock,
    });
    ({ port: this.port } = await this.#relay.listen());
    this.incarnation++;
    this.isGoing = false;
    this.#restartedAt = this.tick;
  }

  /** Remembers the present topics, which would not be known later. */
  #look(): void {
    for (const topic of this.#relay?.topics ?? []) this.truth.of(topic);
  }

  async #step(): Promise<void> {
    this.tick++;
    this.#look();
    const relay = this.#relay;
    const isThere = this.#going === undefined ||
      this.#going.phase === "draining";
    if (relay && isThere) {
      const most = Math.min(
        this.settings.maxEvents,
        this.settings.maxBytes / 40,
      ) / 2;
      for (const feeder of this.#feeders) {
        feeder.step(relay, this.tick, most);
      }
    }
    await this.#restart();
    for (const subscriber of this.#subscribers) subscriber.step();
    await this.#clock.advance(this.#random.integer(5, 60));
    await this.#turn();
    this.#check();
  }

  #check(): void {
    if (!this.#failure) return;
    const { error } = this.#failure;
    throw new Error(
      `Seed ${this.#options.seed}, step ${this.tick}: ${
        error instanceof Error ? error.message : error
      }`,
      { cause: error },
    );
  }

  async #restart(): Promise<void> {
    const [what, long] = [this.#random.next(), this.#random.integer(1, 40)];
    const relay = this.#relay;
    if (!relay) return;
    if (!this.#going) {
      if (what > 0.004 || this.tick - this.#restartedAt < 100) return;
      this.isGoing = true;
      this.tally.restarts++;
      const isDrain = what < 0.002;
      if (isDrain) this.tally.drains++;
      this.#going = { phase: isDrain ? "draining" : "closing", backAt: 0 };
      const going = this.#going;
      const gone = isDrain
        ? relay.drain(long * 100).then(() => {
          going.phase = "closing";
          return relay.close();
        })
        : relay.close();
      gone.then(() => {
        going.phase = "closed";
        going.backAt = this.tick + long;
      }, (error) => this.fail(error));
    } else if (
      this.#going.phase === "closed" && this.tick >= this.#going.backAt
    ) {
      this.#going = undefined;
      this.settings = settingsOf(this.#random);
      await this.#start();
    }
  }

  /** Everything ends, and everybody has to see it. */
  async #calmDown(): Promise<void> {
    this.#look();
    for (let step = 0; this.#going; step++) {
      await this.#step();
      if (step > 2_000) throw new Error("The relay does not close");
    }
    const relay = this.#relay;
    if (!relay) return;
    this.isCalm = true;
    for (const feeder of this.#feeders) {
      const known = relay.topics.get(feeder.name);
      if (known?.state.kind === "ended") relay.topics.delete(feeder.name);
      const topic = relay.topics.create(feeder.name);
      this.truth.of(topic).feed(5);
      feeder.end(topic, "complete", "calm");
    }
    const check = () => {
      this.#check();
      for (const subscriber of this.#subscribers) subscriber.step();
      this.tick++;
    };
    await until(
      () => {
        check();
        return this.#subscribers.every(({ isDone }) => isDone) || undefined;
      },
      LIMIT,
      () =>
        `everybody to see the end: ${
          this.#subscribers.filter(({ isDone }) => !isDone)
            .map(({ state }) => state).join("\n")
        }`,
    );
    await until(
      () => [...relay.topics].every((one) => one.followers === 0) || undefined,
      LIMIT,
      () =>
        `all to be forgotten: ${
          [...relay.topics].map((one) => `${one.name} ${one.followers}`)
        }`,
    );
    this.#check();
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve));
  }
}

/** Runs it; throws at the first thing that is wrong. */
export function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  return new Chaos(options).run();
}
