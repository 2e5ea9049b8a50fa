import { BenchProcess, usageOf } from "../fanout/process.ts";
import type { Counts as FanoutCounts } from "../fanout/generator/main.ts";
import { TOPIC } from "../fanout/event.ts";
import { sleep } from "../sleep.ts";
import type {
  Counts as TopicsCounts,
  Plan as TopicsPlan,
} from "../topics/generator/plan.ts";
import { Confinement, pin } from "./confinement.ts";
import type { Counts, Plan } from "./generator/main.ts";
import type { Kind, Options, Shape } from "./options.ts";
import { type OptionsOf, startShape } from "./shapes.ts";

/** One measurement. Shares are of one core's time. */
export interface Measurement {
  /** The rate a second: events delivered, runs ended, or events published and delivered. */
  readonly rate: number;
  /** The processor time of all processes with connections for each of these, in µs. */
  readonly cpuEach: number;
  /** The share of each of these processes, on average. */
  readonly workerShare: number;
  /** The share of the process with the store; NaN where there is none. */
  readonly storeShare: number;
  /** The processor time of the process with the store for each event that was filled in, in µs. */
  readonly storeEach: number;
  /** The share of the generator. */
  readonly generatorShare: number;
  /** The events that subscribers were told to have missed. */
  readonly missed: number;
  /** The number of failures. */
  readonly errors: number;
}

/** The bytes of an event's data. */
const SIZE = 120;

/** Events in a chunk of the upstream. */
const CHUNK = 64;

/** The events of a run, besides its first and its last. */
const EVENTS_OF_RUN = 20;

/** Events a second of each publisher. */
const PUBLISH_RATE = 10;

/** A generator and what it does to a relay. */
interface Work extends AsyncDisposable {
  readonly processes: readonly BenchProcess[];
  /** Options of the relay, or of each relay. */
  readonly optionsOf: OptionsOf;
  /**
   * Does it once.
   *
   * @param measuring Called when what is measured begins, and when it ends.
   * @returns What was done, the events that were filled in for that, and what went wrong.
   */
  run(
    port: number,
    measuring: () => void,
  ): Promise<
    { done: number; filled: number; missed?: number; errors: number }
  >;
}

function program(path: string, args: readonly unknown[] = []): BenchProcess {
  const module = new URL(path, import.meta.url).pathname;
  return new BenchProcess([
    Deno.execPath(),
    "run",
    "-A",
    module,
    ...args.map(String),
  ]);
}

async function deliveries(options: Options, shape: Shape): Promise<Work> {
  const { subscribers, warmUp, seconds, count } = options;
  const feeds: BenchProcess[] = [];
  const ports: string[] = [];
  for (let left = shape === "relays" ? count : 1; left > 0; left--) {
    const feed = program("../fanout/feed/main.ts", [
      ...["sse", 0, SIZE, 0, CHUNK, 0],
    ]);
    feeds.push(feed);
    ports.push((await feed.hear(/^[0-9]+$/))[0]);
  }
  const processes = [...feeds];
  return {
    processes,
    optionsOf: (index) => ({
      sources: [{ name: TOPIC, url: `http://127.0.0.1:${ports[index]}/` }],
    }),
    async run(port, measuring) {
      const generator = program("../fanout/generator/main.ts", [
        "relay",
        port,
        SIZE,
      ]);
      processes.push(generator);
      await generator.say(`connect ${subscribers}`);
      await generator.hear(/^connected$/);
      await Promise.all(feeds.map((feed) => feed.say("go")));
      await sleep(warmUp * 1_000);
      await generator.say("begin");
      measuring();
      await sleep(seconds * 1_000);
      measuring();
      await generator.say("end");
      const [json] = await generator.hear(/^\{.*\}$/);
      const { delivered, missed, errors }: FanoutCounts = JSON.parse(json);
      return {
        done: delivered,
        filled: delivered / subscribers,
        missed,
        errors,
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(processes.map((one) => one[Symbol.asyncDispose]()));
    },
  };
}

async function runs(options: Options): Promise<Work> {
  const { callers, warmUp, seconds } = options;
  const generator = program("generator/main.ts");
  const [provider] = await generator.hear(/^[0-9]+$/);
  return {
    processes: [generator],
    optionsOf: () => ({
      gateway: {
        providers: [{ name: "bench", url: `http://127.0.0.1:${provider}/v1` }],
      },
      retention: { endedTtl: 1_000 },
    }),
    async run(port, measuring) {
      const plan: Plan = {
        port,
        callers,
        events: EVENTS_OF_RUN,
        warmUp: warmUp * 1_000,
        duration: seconds * 1_000,
      };
      await generator.say(JSON.stringify(plan));
      await generator.hear(/^measuring$/, warmUp * 2_000);
      measuring();
      const [json] = await generator.hear(/^\{.*\}$/, seconds * 2_000);
      measuring();
      const { runs, errors }: Counts = JSON.parse(json);
      return { done: runs, filled: runs * (EVENTS_OF_RUN + 2), errors };
    },
    [Symbol.asyncDispose]: () => generator[Symbol.asyncDispose](),
  };
}

async function publish(options: Options): Promise<Work> {
  const { topics, warmUp, seconds } = options;
  const generator = program("../topics/generator/main.ts");
  await generator.hear(/^[0-9]+$/);
  return {
    processes: [generator],
    optionsOf: () => ({}),
    async run(port, measuring) {
      const plan: TopicsPlan = {
        port,
        load: { kind: "publish", topics, followers: 1, rate: PUBLISH_RATE },
        warmUp: warmUp * PUBLISH_RATE,
        events: seconds * PUBLISH_RATE,
        patience: 10_000,
      };
      await generator.say(JSON.stringify(plan));
      await generator.hear(/^measuring$/, warmUp * 10_000);
      measuring();
      await generator.hear(/^measured$/, seconds * 10_000);
      measuring();
      const [json] = await generator.hear(/^\{.*\}$/, 10_000);
      const { followers, errors }: TopicsCounts = JSON.parse(json);
      const late = followers.due - followers.arrived;
      return {
        done: followers.arrived,
        filled: topics * plan.events,
        errors: errors + late,
      };
    },
    [Symbol.asyncDispose]: () => generator[Symbol.asyncDispose](),
  };
}

const WORKS: Readonly<
  Record<Kind, (options: Options, shape: Shape) => Promise<Work>>
> = {
  deliveries,
  runs,
  publish,
};

/** Whether a kind can be measured: of relays that share nothing, a follower may be at another. */
export function canMeasure(kind: Kind, shape: Shape): boolean {
  return kind !== "publish" || shape !== "relays";
}

/** Measures once. */
export async function measure(
  kind: Kind,
  shape: Shape,
  options: Options,
): Promise<Measurement> {
  const { count, share } = options;
  using confinement = new Confinement();
  await using work = await WORKS[kind](options, shape);
  await using relay = await startShape(shape, count, work.optionsOf);
  const { pids } = relay;
  for (const [index, pid] of pids.entries()) {
    pin(pid, index % navigator.hardwareConcurrency);
    if (share < 1) confinement.confine(pid, share);
  }
  const read = () => ({
    time: performance.now() / 1_000,
    workers: pids.reduce((sum, each) => sum + usageOf(each).cpu, 0),
    store: relay.storeCpu(),
    generator: work.processes.reduce((sum, each) => sum + each.usage().cpu, 0),
  });
  const readings: ReturnType<typeof read>[] = [];
  const { done, filled, missed = 0, errors } = await work.run(
    relay.port,
    () => void readings.push(read()),
  );
  const [before, after] = readings;
  if (!before || !after) throw new Error("Nothing was measured");
  const elapsed = after.time - before.time;
  const used = (what: "workers" | "store" | "generator"): number =>
    after[what] - before[what];
  return {
    rate: done / elapsed,
    cpuEach: used("workers") / done * 1e6,
    workerShare: used("workers") / elapsed / pids.length,
    storeShare: used("store") / elapsed,
    storeEach: used("store") / filled * 1e6,
    generatorShare: used("generator") / elapsed,
    missed,
    errors,
  };
}
