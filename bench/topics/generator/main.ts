/**
 * The provider, the callers, the publishers and the followers of the topics bench,
 * in one process and one thread, so that what they cost is known.
 *
 * Its first line of output is the provider's port. Then it reads a line with a
 * {@linkcode Plan} as JSON, and says `measuring` when what is measured begins,
 * `measured` when it has been sent, and the {@linkcode Counts} as JSON once all has
 * come, or nothing more is waited for.
 *
 * @module
 */
import { Latencies } from "../../fanout/generator/tally.ts";
import type { Load } from "../load.ts";
import { Arrivals } from "./arrivals.ts";
import { call } from "./caller.ts";
import { FIRST, StampedEvent } from "./events.ts";
import { follow } from "./follower.ts";
import { Loop } from "../../net/loop.ts";
import { readLine } from "../../net/read_line.ts";
import type { Counts, Plan, Side } from "./plan.ts";
import { Provider } from "./provider.ts";
import { Publishers } from "./publisher.ts";

/**
 * The number of clients that wait for their answers at a time: less than a
 * server's backlog.
 */
const CONNECTING = 64;

/** The number of events sent before what has come is read. */
const BURST = 32;

/** The time limit for all clients to be there, in milliseconds. */
const START_LIMIT = 30_000;

const loop = new Loop();
const provider = new Provider(loop);

function waitUntil(isDone: () => boolean, limit: number): boolean {
  const end = performance.now() + limit;
  while (!isDone()) {
    if (performance.now() > end) return false;
    loop.turn(10);
  }
  return true;
}

function start(isDone: () => boolean, what: string): void {
  if (!waitUntil(isDone, START_LIMIT)) {
    throw new Error(`Expected ${what} in ${START_LIMIT / 1_000} s`);
  }
}

function topicOf(index: number): string {
  return `bench-${index}`;
}

/** Sends as many events of each topic, at the rate, in turn. */
function send(
  connections: readonly number[],
  { topics, rate }: Load,
  first: number,
  events: number,
): void {
  const event = new StampedEvent();
  const total = topics * events;
  const interval = 1_000 / (topics * rate);
  const begin = performance.now();
  for (let sent = 0; sent < total;) {
    let now = performance.now();
    const due = Math.min(total, Math.floor((now - begin) / interval) + 1);
    for (const end = Math.min(due, sent + BURST); sent < end; sent++) {
      const sequence = first + Math.floor(sent / topics);
      event.stamp(Math.floor(now * 1_000), sequence);
      loop.send(connections[sent % topics]!, event.bytes); // one for each topic
      now = performance.now();
    }
    const wait = begin + sent * interval - now;
    loop.turn(wait > 0 ? Math.ceil(wait) : 0);
  }
}

function sideOf(arrivals: Arrivals, due: number): Side {
  const { arrived, latencies } = arrivals;
  return {
    due,
    arrived,
    p50: latencies.percentile(0.5),
    p99: latencies.percentile(0.99),
    max: latencies.max,
  };
}

function run({ port, load, warmUp, events, patience }: Plan): Counts {
  const { kind, topics, followers } = load;
  const calls = kind === "runs" ? topics : 0;
  const callers = new Arrivals(new Latencies(), warmUp);
  const following = new Arrivals(new Latencies(), warmUp);
  let ready = 0;
  for (let i = 0; i < topics * followers; i++) {
    start(() => i - ready < CONNECTING, "followers");
    const topic = topicOf(i % topics);
    follow(loop, port, topic, following, () => ready++);
  }
  start(() => ready === topics * followers, "all followers");

  const publishers = new Publishers(loop, port);
  for (let i = 0; i < topics; i++) {
    if (kind === "runs") {
      start(() => i - provider.begun < CONNECTING, "runs");
      call(loop, port, i, topicOf(i), callers);
    } else publishers.begin(i, topicOf(i));
  }
  start(() => provider.begun === calls, "all runs");
  const origin = kind === "runs" ? provider : publishers;

  send(origin.connections, load, FIRST, warmUp);
  console.log("measuring");
  const began = performance.now();
  send(origin.connections, load, FIRST + warmUp, events);
  const sending = (performance.now() - began) / 1_000;
  console.log("measured");
  for (let i = 0; i < topics; i++) origin.end(i);
  waitUntil(
    () => callers.ended === calls && following.ended === topics * followers,
    patience,
  );
  return {
    callers: sideOf(callers, calls * events),
    followers: sideOf(following, topics * followers * events),
    errors: callers.errors + following.errors,
    sending,
  };
}

console.log(provider.port);
const plan: Plan = JSON.parse(readLine()); // as bench/topics/measure.ts writes it
console.log(JSON.stringify(run(plan)));
// The bench ends the process: its connections are not to close before that.
for (;;) loop.turn(-1);
