/**
 * Relays that share topics through NATS, beside one relay alone:
 * `deno task bench:cluster`
 *
 * All processes share the cores of this machine, and so does this one, which plays the
 * publishers and the subscribers: read the ratios.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { bareLatency, bareThroughput } from "./cluster/floor.ts";
import { fanOut, type Latency, latency, throughput } from "./cluster/loads.ts";
import { type Relays, Setup } from "./cluster/relays.ts";
import { number, numbers, readOptions } from "./command_line.ts";
import { median } from "./fanout/median.ts";
import { runAndKill } from "./fanout/process.ts";

const USAGE =
  `deno task bench:cluster [--rates 100,1000,10000] [--topics 1,1000]
  [--batches 1,10,100] [--subscribers 1000] [--fan-out-rate 20] [--seconds 3] [--rounds 3]`;

/** The goals, each for one of the rows. */
const GOALS = {
  latency: { rate: 1_000, p50: 2, p99: 8 },
  cpu: 1.1,
  throughput: { topics: 1_000, batch: 10, rate: 150_000 },
};

interface Options {
  readonly rates: readonly number[];
  readonly topics: readonly number[];
  readonly batches: readonly number[];
  readonly subscribers: number;
  readonly fanOutRate: number;
  readonly seconds: number;
  readonly rounds: number;
}

function parse(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rates: { type: "string", default: "100,1000,10000" },
      topics: { type: "string", default: "1,1000" },
      batches: { type: "string", default: "1,10,100" },
      subscribers: { type: "string", default: "1000" },
      "fan-out-rate": { type: "string", default: "20" },
      seconds: { type: "string", default: "3" },
      rounds: { type: "string", default: "3" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  return {
    rates: numbers(values.rates, 1),
    topics: numbers(values.topics, 1),
    batches: numbers(values.batches, 1),
    subscribers: number(values.subscribers, 1),
    fanOutRate: number(values["fan-out-rate"], 1),
    seconds: number(values.seconds, 1),
    rounds: number(values.rounds, 1),
  };
}

/** Measures each kind of relays in turn, round after round. */
async function inTurn<T>(
  all: readonly Relays[],
  rounds: number,
  measure: (relays: Relays) => Promise<T>,
): Promise<readonly (readonly [string, readonly T[]])[]> {
  const measured = new Map<string, T[]>(all.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const relays of all) {
      measured.get(relays.name)?.push(await measure(relays));
    }
  }
  return [...measured];
}

async function run(options: Options): Promise<void> {
  const { rates, topics, batches, subscribers } = options;
  const { fanOutRate, seconds, rounds } = options;
  await using setup = await Setup.start();
  const alone = await setup.alone();
  const three = await setup.cluster(3);
  console.log(
    "From a publisher at one relay to a subscriber at another, in ms",
  );
  console.log("(a publication each 10 ms):\n");
  console.log("| events/s | relays | p50 | p99 |\n| --- | --- | --- | --- |");
  for (const rate of rates) {
    const measure = (relays: Relays) => latency(relays, rate, seconds);
    const measured = await inTurn([alone, three], rounds, measure);
    const bare: Latency[] = [];
    for (let round = 0; round < rounds; round++) {
      bare.push(await bareLatency(setup.servers, rate, seconds));
    }
    const rows = [...measured, ["bare clients, R3", bare] as const];
    for (const [name, all] of rows) {
      const p50 = median(all.map(({ p50 }) => p50)).toFixed(2);
      const p99 = median(all.map(({ p99 }) => p99)).toFixed(2);
      console.log(`| ${rate} | ${name} | ${p50} | ${p99} |`);
    }
    const { p50, p99 } = GOALS.latency;
    if (rate === GOALS.latency.rate) {
      console.log(`| ${rate} | to reach: less than | ${p50} | ${p99} |`);
    }
  }
  console.log("\nDeliveries of each relay, of one topic to its subscribers:\n");
  console.log("| subscribers | relays | deliveries/s | CPU s a million |");
  console.log("| --- | --- | --- | --- |");
  const load = { subscribers, rate: fanOutRate, seconds };
  const measureFanOut = (relays: Relays) => fanOut(relays, load);
  const figures: (readonly [number, number])[] = [];
  const delivered = await inTurn([alone, three], rounds, measureFanOut);
  for (const [name, all] of delivered) {
    const count = median(all.map(({ delivered }) => delivered));
    const cpu = median(all.map(({ cpuPerMillion }) => cpuPerMillion));
    figures.push([count, cpu]);
    console.log(
      `| ${subscribers} | ${name} | ${Math.round(count)} | ${cpu.toFixed(2)} |`,
    );
  }
  const [[count, cpu] = [NaN, NaN], [countOfThree, cpuOfThree] = [NaN, NaN]] =
    figures;
  console.log(
    `| ${subscribers} | R3 beside one relay | ${
      (countOfThree / count).toFixed(2)
    } | ${(cpuOfThree / cpu).toFixed(2)}; to reach: at most ${GOALS.cpu} |`,
  );
  const one = await setup.cluster(1);
  console.log(
    "\nAcknowledged at full speed; CPU of the relays alone, without NATS:\n",
  );
  console.log("| topics | at a time | relays | events/s | CPU µs an event |");
  console.log("| --- | --- | --- | --- | --- |");
  for (const count of topics) {
    for (const batch of batches) {
      const load = { count, batch, seconds };
      const measure = (relays: Relays) => throughput(relays, load);
      const all = await inTurn([alone, one, three], rounds, measure);
      const bare: number[] = [];
      for (let round = 0; round < rounds; round++) {
        bare.push(await bareThroughput(setup.servers, load));
      }
      const print = (name: string, rates: readonly number[], cpu: string) =>
        console.log(
          `| ${count} | ${batch} | ${name} | ${
            Math.round(median(rates))
          } | ${cpu} |`,
        );
      for (const [name, results] of all) {
        const cpu = median(results.map(({ cpu }) => cpu)).toFixed(1);
        print(name, results.map(({ rate }) => rate), cpu);
      }
      print("bare client, R3", bare, "");
      const goal = GOALS.throughput;
      if (count === goal.topics && batch === goal.batch) {
        print("to reach: at least, R3", [goal.rate], "");
      }
    }
  }
}

const options = readOptions(parse, USAGE);
await runAndKill(() => run(options));
