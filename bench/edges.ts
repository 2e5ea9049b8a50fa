/**
 * The cost of a level of relays: the time that it adds to an event, the
 * parent's processor time for each event, and the absence of the subscribers of
 * an edge that dies. Linux only, as processor time is read from `/proc`.
 *
 * `deno run -A bench/edges.ts [--parts latency,parent,storm] [--seconds 6]
 * [--topics 1000] [--subscribers 20000] [--edges 2] [--spread 5]`
 *
 * A process may have 20,000 files open on many systems, so that two edges have the
 * subscribers, and two processes play them.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { LinkedTopics } from "./edges/linked_topics.ts";
import { list } from "./command_line.ts";
import { LAST } from "./edges/crowd.ts";
import { CrowdProcess } from "./edges/crowd_process.ts";
import { Feed, Latencies } from "./edges/feed.ts";
import { RelayProcess } from "./edges/relay_process.ts";
import { sleep } from "./sleep.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "6" },
    topics: { type: "string", default: "1000" },
    subscribers: { type: "string", default: "20000" },
    edges: { type: "string", default: "2" },
    spread: { type: "string", default: "5" },
    parts: { type: "string", default: "latency,parent,storm" },
  },
});
const seconds = Number(values.seconds);

/** Time for the compiler to find what is hot, in milliseconds. */
const WARM_UP = 2_000;

/** The subscribers that measure latency, at each level. */
const READERS = 10;

/** The time over which subscribers come back whose edge has died, in milliseconds. */
const SPREAD = Number(values.spread) * 1_000;

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

/** Adds up the counts of all parts of a crowd. */
async function countOf(
  crowds: readonly CrowdProcess[],
): Promise<{ connected: number; done: number }> {
  const counts = await Promise.all(crowds.map((crowd) => crowd.count()));
  return {
    connected: counts.reduce((sum, [connected]) => sum + connected, 0),
    done: counts.reduce((sum, [, done]) => sum + done, 0),
  };
}

/** Looks at a crowd until it is as it should be, or time is up; returns the last counts. */
async function watch(
  crowds: readonly CrowdProcess[],
  limit: number,
  isReady: (count: { connected: number; done: number }) => boolean,
): Promise<{ connected: number; done: number }> {
  const start = performance.now();
  for (;;) {
    const count = await countOf(crowds);
    if (isReady(count) || performance.now() > start + limit) return count;
    await sleep(20);
  }
}

/** Kills edges, and has their subscribers come back at others. */
async function storm(): Promise<void> {
  const edges = Number(values.edges);
  const each = Math.ceil(Number(values.subscribers) / edges);
  await using root = await RelayProcess.start(["--links"]);
  await using started = new AsyncDisposableStack();
  const start = async (): Promise<RelayProcess> =>
    started.use(
      await RelayProcess.start(["--store", root.url, ...CROWD]),
    );
  const doomed: RelayProcess[] = [];
  const others: RelayProcess[] = [];
  const crowds: CrowdProcess[] = [];
  for (let count = 0; count < edges; count++) {
    doomed.push(await start());
    others.push(await start());
    crowds.push(started.use(new CrowdProcess()));
  }
  await using feed = await Feed.open(root.url);
  // To read each event 20,000 times would be what is measured.
  await using pulse = await Feed.open(root.url, "pulse");
  using above = new Latencies(root.url, 1, "pulse");
  using below = new Latencies(others[0]!.url, 1, "pulse"); // one at least
  await Promise.all([above.ready, below.ready]);
  await Promise.all(
    crowds.map((crowd, at) => crowd.join(doomed[at]!.url, each)), // as many
  );
  const { connected: joined } = await watch(
    crowds,
    60_000,
    ({ connected }) => connected >= each * edges,
  );
  await feed.say("the first event");
  void pulse.run(10);
  await sleep(2_000);
  const urls = others.map(({ url }) => url);
  await Promise.all(crowds.map((crowd) => crowd.moveTo(urls, SPREAD)));
  above.begin();
  below.begin();
  const cpuOf = (relays: readonly RelayProcess[]): number =>
    relays.reduce((sum, relay) => sum + relay.cpu(), 0);
  const [cpu, edgeCpu] = [root.cpu(), cpuOf(others)];
  const killed = performance.now();
  await Promise.all(doomed.map((edge) => edge.kill()));
  // Those of a dead edge that have not noticed yet still count as connected.
  await watch(crowds, 5_000, ({ connected }) => connected < joined / 2);
  const { connected } = await watch(
    crowds,
    60_000,
    ({ connected }) => connected >= joined,
  );
  const back = performance.now() - killed;
  await feed.say(LAST);
  const { done } = await watch(crowds, 30_000, ({ done }) => done >= joined);
  pulse.stop();
  console.log(
    `${joined} subscribers of ${edges} edges that die: ${connected} back after ${
      (back / 1_000).toFixed(1)
    } s (spread over ${
      SPREAD / 1_000
    } s), ${done} have the last event; parent: latency at most ${
      ms(above.summary().max)
    } ms, ${
      (root.cpu() - cpu).toFixed(2)
    } s of processor time; the other edges: at most ${
      ms(below.summary().max)
    } ms, ${((cpuOf(others) - edgeCpu) / joined * 1e6).toFixed(0)} µs for each`,
  );
}

function ms(duration: number): string {
  return duration.toFixed(2);
}

/** The processor time of this process, in seconds. */
function ownCpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const parts = list(values.parts);
if (parts.includes("latency")) {
  for (const rate of [100, 1_000]) await addedLatency(rate);
}
if (parts.includes("parent")) {
  for (const others of [0, 1]) await parentCpu(50, others);
}
if (parts.includes("storm")) await storm();
