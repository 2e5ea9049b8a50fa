/**
 * The cost of a level of relays: the time that it adds to an event, the
 * parent's processor time for each event, and the absence of the subscribers of
 * an edge that dies. Linux only, as processor time is read from `/proc`.
 *
 * `deno run -A bench/edges.ts [--seconds 6] [--topics 1000] [--subscribers 20000]`
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { LinkedTopics } from "./edges/linked_topics.ts";
import { Crowd, LAST } from "./edges/crowd.ts";
import { Feed, Latencies } from "./edges/feed.ts";
import { RelayProcess } from "./edges/relay_process.ts";
import { sleep } from "./sleep.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "6" },
    topics: { type: "string", default: "1000" },
    subscribers: { type: "string", default: "20000" },
  },
});
const seconds = Number(values.seconds);

/** Time for the compiler to find what is hot, in milliseconds. */
const WARM_UP = 2_000;

/** The subscribers that measure latency, at each level. */
const READERS = 10;

/** The time over which subscribers come back whose edge has died, in milliseconds. */
const SPREAD = 5_000;

/** Limits that a crowd from one address needs. */
const CROWD = [
  ...["--max-connections", "40000"],
  ...["--max-connections-per-address", "40000"],
];

/** Measures what a level adds, at a rate: the same events at the parent and at the edge. */
async function addedLatency(rate: number): Promise<void> {
  await using root = await RelayProcess.start(["--links"]);
  await using edge = await RelayProcess.start(["--store", root.url]);
  using above = new Latencies(root.url, READERS);
  using below = new Latencies(edge.url, READERS);
  await using feed = await Feed.open(root.url);
  await Promise.all([above.ready, below.ready]);
  void feed.run(rate);
  await sleep(WARM_UP);
  above.begin();
  below.begin();
  await sleep(seconds * 1_000);
  feed.stop();
  const [one, two] = [above.summary(), below.summary()];
  console.log(
    `${rate} events/s: parent p50 ${ms(one.p50)} p99 ${ms(one.p99)}, edge p50 ${
      ms(two.p50)
    } p99 ${ms(two.p99)}, a level adds p50 ${ms(two.p50 - one.p50)} p99 ${
      ms(two.p99 - one.p99)
    } ms (${two.count} deliveries)`,
  );
}

/** Measures the parent's processor time for each event that a link appends. */
async function parentCpu(rate: number, others: number): Promise<void> {
  const topics = Number(values.topics);
  await using root = await RelayProcess.start(["--links"]);
  await using linked = await LinkedTopics.open(root.url, topics, others);
  linked.run(rate);
  await sleep(WARM_UP);
  const [cpu, count, own] = [root.cpu(), linked.acknowledged, ownCpu()];
  await sleep(seconds * 1_000);
  const events = linked.acknowledged - count;
  const used = root.cpu() - cpu;
  linked.stop();
  await sleep(500);
  console.log(
    `${topics} topics, ${others} other links that follow all: ${
      Math.round(events / seconds)
    } events/s, parent ${
      (used / events * 1e6).toFixed(2)
    } s of processor time for a million (${
      (100 * used / seconds).toFixed(0)
    } % of a core; the generator ${
      (100 * (ownCpu() - own) / seconds).toFixed(0)
    } %)${others > 0 ? `, ${linked.told} of ${linked.acknowledged} told` : ""}`,
  );
}

/** Kills an edge, and has its subscribers come back at another one. */
async function storm(): Promise<void> {
  const count = Number(values.subscribers);
  await using root = await RelayProcess.start(["--links"]);
  const doomed = await RelayProcess.start(["--store", root.url, ...CROWD]);
  await using other = await RelayProcess.start([
    ...["--store", root.url, ...CROWD],
  ]);
  const crowd = new Crowd();
  await using feed = await Feed.open(root.url);
  using above = new Latencies(root.url, 1);
  using below = new Latencies(other.url, 1);
  await Promise.all([above.ready, below.ready]);
  await crowd.join(doomed.url, count);
  const connecting = performance.now();
  while (crowd.connected < count && performance.now() < connecting + 30_000) {
    await sleep(50);
  }
  const joined = crowd.connected;
  void feed.run(2);
  await sleep(2_000);
  crowd.moveTo([other.url], SPREAD);
  above.begin();
  below.begin();
  const [cpu, edgeCpu] = [root.cpu(), other.cpu()];
  const killed = performance.now();
  await doomed.kill();
  while (crowd.connected < joined && performance.now() < killed + 40_000) {
    await sleep(20);
  }
  const back = performance.now() - killed;
  await feed.say(LAST);
  const said = performance.now();
  while (crowd.done < joined && performance.now() < said + 20_000) {
    await sleep(20);
  }
  feed.stop();
  console.log(
    `${joined} subscribers of an edge that dies: ${crowd.connected} back after ${
      (back / 1_000).toFixed(1)
    } s (spread over ${
      SPREAD / 1_000
    } s), ${crowd.done} have the last event; parent: latency at most ${
      ms(above.summary().max)
    } ms, ${
      (root.cpu() - cpu).toFixed(2)
    } s of processor time; the other edge: at most ${
      ms(below.summary().max)
    } ms, ${((other.cpu() - edgeCpu) / joined * 1e6).toFixed(0)} µs for each`,
  );
  crowd.leave();
}

function ms(duration: number): string {
  return duration.toFixed(2);
}

/** The processor time of this process, in seconds. */
function ownCpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

for (const rate of [100, 1_000]) await addedLatency(rate);
for (const others of [0, 1]) await parentCpu(50, others);
await storm();
