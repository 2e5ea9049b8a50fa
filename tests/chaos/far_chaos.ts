/**
 * The chaos on relays in processes of their own, which are killed while runs go through their
 * gateways: workers and the process with the topics, or the levels of a tree.
 *
 * @module
 */
import { Upstreams } from "../crash/upstreams.ts";
import { Random } from "../support/random.ts";
import { TemporaryFolder } from "../support/relay/sqlite_world.ts";
import { until } from "../support/within.ts";
import { FarFeeder } from "./far_feeder.ts";
import { emptyRunsTally, FarRunner, type RunsTally } from "./far_runs.ts";
import { FarTruth } from "./far_truth.ts";
import {
  type Ground,
  type GroundKind,
  type GroundStore,
  makeGround,
} from "./grounds.ts";
import { type Audience, KINDS, makeSubscribers, settingsOf } from "./plan.ts";
import type { Subscriber } from "./subscriber.ts";
import {
  type Door,
  emptyTally,
  type Settings,
  type Tally,
  type World,
} from "./world.ts";

/** The relays, the length and the size of a run. */
export interface FarChaosOptions extends Audience {
  readonly relays: GroundKind;
  readonly store: GroundStore;
  readonly seed: number;
  /** The callers who make runs through the gateways, one after the other. */
  readonly callers: number;
  /** After how many seconds it stops. */
  readonly seconds: number;
  /** The smallest number of kills before it stops, however long that takes. Default: 0. */
  readonly kills?: number;
  /** Called now and then. */
  readonly onProgress?: (result: FarChaosResult) => void;
}

/** The result of a run. */
export interface FarChaosResult extends Tally {
  readonly steps: number;
  readonly seconds: number;
  readonly logs: number;
  /** The number of events that were acknowledged. */
  readonly acknowledged: number;
  /** The number of requests of publishers that were made again. */
  readonly repeated: number;
  /** The number of kills, by what was killed. */
  readonly kills: Readonly<Record<string, number>>;
  readonly runs: RunsTally;
}

/** The time limit for the end, in milliseconds. */
const LIMIT = 120_000;

/** After how many milliseconds progress is told. */
const PROGRESS = 5_000;

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

class FarChaos implements World {
  readonly truth: FarTruth;
  readonly tally: Tally = emptyTally();
  readonly doors: readonly [Door, ...Door[]];
  readonly settings: Settings;
  readonly isBehind = true;
  tick = 0;
  isCalm = false;
  readonly #options: FarChaosOptions;
  readonly #random: Random;
  readonly #ground: Ground;
  readonly #feeders: readonly FarFeeder[];
  readonly #runners: readonly FarRunner[];
  readonly #runs: RunsTally = emptyRunsTally();
  readonly #subscribers: readonly Subscriber[];
  readonly #client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  readonly #started = performance.now();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: FarChaosOptions, folder: string, provider: string) {
    this.#options = options;
    const seed = options.seed >>> 0;
    const random = new Random(seed);
    this.#random = random.fork();
    this.settings = settingsOf(this.#random);
    this.truth = new FarTruth(seed, KINDS);
    const { relays, store } = options;
    this.#ground = makeGround(relays, store, folder, provider, this.settings);
    this.doors = this.#ground.doors;
    const kept = Math.min(
      this.settings.maxEvents,
      this.settings.maxBytes / 40,
    ) / 2;
    this.#feeders = [...this.truth.lines.values()].map((line) =>
      new FarFeeder(line, this.#ground, random.fork(), kept, this.#client)
    );
    this.#subscribers = makeSubscribers(options, random, this);
    this.#runners = Array.from(
      { length: options.callers },
      (_, index) =>
        new FarRunner(`run.${index}`, this.#ground, random.fork(), this.#runs),
    );
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  get result(): FarChaosResult {
    const { kills } = this.#ground;
    const lines = [...this.truth.lines.values()];
    return {
      ...this.tally,
      restarts: Object.values(kills).reduce((sum, count) => sum + count, 0),
      steps: this.tick,
      seconds: (performance.now() - this.#started) / 1_000,
      logs: this.truth.generations,
      acknowledged: lines.reduce((sum, { base }) => sum + base, 0),
      repeated: this.#feeders.reduce((sum, { repeated }) => sum + repeated, 0),
      kills,
      runs: this.#runs,
    };
  }

  async run(): Promise<FarChaosResult> {
    const stop = new AbortController();
    const parts: Promise<void>[] = [];
    const begin = (part: Promise<void>): void => {
      parts.push(part.catch((error) => this.fail(error)));
    };
    const { seconds, kills = 0, onProgress } = this.#options;
    let isRight = false;
    try {
      await this.#ground.start();
      const begun = performance.now();
      for (const feeder of this.#feeders) begin(feeder.run(stop.signal));
      for (const runner of this.#runners) begin(runner.run(stop.signal));
      begin(this.#kill(stop.signal));
      let told = begun;
      while (
        performance.now() < begun + seconds * 1_000 ||
        this.result.restarts < kills
      ) {
        await this.#step();
        if (performance.now() < told + PROGRESS) continue;
        told = performance.now();
        onProgress?.(this.result);
      }
      stop.abort();
      await this.#together(Promise.all(parts), "publishers and kills to stop");
      await this.#calmDown();
      isRight = true;
      return this.result;
    } finally {
      stop.abort();
      if (!isRight) console.error(await this.#ground.describe());
      await Promise.all(this.#subscribers.map((one) => one.dispose()));
      const said = await this.#ground.stop();
      if (!isRight) console.error(said);
      await Promise.all(parts);
      this.#client.close();
    }
  }

  /** Kills something now and then. */
  async #kill(stop: AbortSignal): Promise<void> {
    const ground = this.#ground;
    while (!stop.aborted) {
      await pause(this.#random.integer(200, 3_000));
      if (stop.aborted) return;
      const target = this.#random.integer(0, ground.targets - 1);
      await ground.kill(target, this.#random);
    }
  }

  async #step(): Promise<void> {
    this.tick++;
    for (const subscriber of this.#subscribers) subscriber.step();
    await pause(this.#random.integer(5, 40));
    this.#check();
  }

  #check(): void {
    if (!this.#failure) return;
    const { error } = this.#failure;
    const { relays, store, seed } = this.#options;
    throw new Error(
      `${relays}, ${store}, seed ${seed}, step ${this.tick}, after ${
        JSON.stringify(this.#ground.kills)
      }: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }

  /** Goes on with the steps until something is done. */
  async #together<T>(done: Promise<T>, what: string): Promise<T> {
    let isDone = false;
    const mark = (): void => {
      isDone = true;
    };
    done.then(mark, mark);
    await until(
      async () => {
        await this.#step();
        return isDone || undefined;
      },
      LIMIT,
      what,
    );
    return await done;
  }

  /** Everything ends, and everybody has to see it. */
  async #calmDown(): Promise<void> {
    this.isCalm = true;
    const stop = new AbortController();
    const parts = this.#feeders.map((feeder) =>
      feeder.calm(stop.signal).catch((error) => this.fail(error))
    );
    await until(
      async () => {
        await this.#step();
        return this.#subscribers.every(({ isDone }) => isDone) || undefined;
      },
      LIMIT,
      () =>
        `everybody to see the end: ${
          this.#subscribers.filter(({ isDone }) => !isDone)
            .map(({ state }) => state).join("\n")
        }`,
    ).finally(() => stop.abort());
    await Promise.all(parts);
    for (const { url, name } of this.#ground.places) {
      let left: unknown;
      await until(
        async () => {
          const answer = await fetch(`${url}/topics?limit=1000`);
          const { topics } = await answer.json();
          left = topics.filter((topic: { subscribers: number }) =>
            topic.subscribers > 0
          );
          return (left as unknown[]).length === 0 || undefined;
        },
        LIMIT,
        () => `${name} to forget all: ${JSON.stringify(left)}`,
      );
    }
    this.#check();
  }
}

/** Runs it; throws at the first thing that is wrong. */
export async function runFarChaos(
  options: FarChaosOptions,
): Promise<FarChaosResult> {
  await using folder = new TemporaryFolder();
  await using upstreams = await Upstreams.start(new Random(options.seed + 1));
  const provider = `${upstreams.origin}/v1`;
  return await new FarChaos(options, folder.path, provider).run();
}
