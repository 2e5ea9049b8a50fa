/**
 * The fan-out bench: one SSE stream, a relay on one core, and subscribers that
 * count what comes on another.
 *
 * `deno run -A bench/fanout.ts [--subscribers 1000] [--seconds 10] [--size 120]
 * [--rate N] [--chunk 1] [--relay PATH]`: events of `size` bytes of data, `rate`
 * of them a second; 0 sends as many as the relay takes. Without a rate it
 * measures full speed, and then the latencies at 100 and 1,000 events a second.
 * The upstream puts `chunk` events into an HTTP chunk: one, as servers do that
 * send each event when they have it. `relay` is another relay's main module.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { TOPIC } from "./fanout_event.ts";
import { BenchProcess, canPin, type Usage } from "./fanout_process.ts";

/** What is measured once. */
interface Load {
  /** The relay's main module, as a path from this one's place. */
  readonly relay: string;
  readonly subscribers: number;
  readonly seconds: number;
  readonly size: number;
  /** In events a second; 0 for as many as the relay takes. */
  readonly rate: number;
  /** Events in an HTTP chunk of the upstream. */
  readonly chunk: number;
}

/** What the subscribers say of the measured time. */
interface Counts {
  readonly delivered: number;
  readonly messages: number;
  readonly gaps: number;
  readonly missed: number;
  readonly errors: number;
  readonly p50: number | null;
  readonly p99: number | null;
}

/** Time for the compiler to find what is hot, in milliseconds. */
const WARM_UP = 2_000;

const RELAY_CORE = 0;
const LOAD_CORE = 1;

const pinned = canPin() && navigator.hardwareConcurrency > 1;

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function nextOffset(url: string): Promise<number> {
  const response = await fetch(`${url}/topics/${TOPIC}`, { method: "HEAD" });
  return Number(response.headers.get("Rivulet-Next"));
}

function start(module: string, core: number, args: unknown[]): BenchProcess {
  return new BenchProcess(module, args.map(String), pinned ? core : undefined);
}

async function measure(load: Load): Promise<string[]> {
  const { subscribers, seconds, size, rate, chunk } = load;
  await using upstream = start("fanout_upstream.ts", LOAD_CORE, [
    size,
    rate,
    chunk,
  ]);
  const [port] = await upstream.hear(/^[0-9]+$/);
  await using relay = start(load.relay, RELAY_CORE, [
    "--port",
    0,
    "--source",
    `${TOPIC}=http://127.0.0.1:${port}/`,
  ]);
  const [, url = ""] = await relay.hear(/ on (http:\/\/\S+)$/);
  await relay.hear(/Ctrl-C/);
  await using readers = start("fanout_subscribers.ts", LOAD_CORE, [
    new URL(url).port,
    subscribers,
    size,
  ]);
  await readers.hear(/^ready$/);
  await sleep(500);
  const idle = relay.usage();

  await upstream.say("go");
  await sleep(WARM_UP);
  await readers.say("begin");
  const began = performance.now();
  const before = [relay.usage(), readers.usage(), upstream.usage()];
  const first = await nextOffset(url);
  await sleep(seconds * 1_000);
  const after = [relay.usage(), readers.usage(), upstream.usage()];
  const elapsed = (performance.now() - began) / 1_000;
  await readers.say("end");
  const ingested = await nextOffset(url) - first;
  const [json] = await readers.hear(/^\{.*\}$/);
  const counts: Counts = JSON.parse(json);

  const used = (i: number): number =>
    (after[i]?.cpu ?? NaN) - (before[i]?.cpu ?? NaN);
  const share = (i: number): string =>
    `${(used(i) / elapsed * 100).toFixed(0)} %`;
  const memory = (usage: Usage | undefined): string =>
    usage ? `${(usage.rss / 2 ** 20).toFixed(0)} MiB` : "–";
  return [
    rate === 0 ? "full speed" : `${rate} events/s`,
    count(counts.delivered / elapsed),
    count(ingested / elapsed),
    (used(0) / counts.delivered * 1e6).toFixed(3),
    `${counts.p50?.toFixed(1)} ms`,
    `${counts.p99?.toFixed(1)} ms`,
    memory(idle),
    memory(after[0]),
    (counts.delivered / counts.messages).toFixed(1),
    `${counts.gaps} (${count(counts.missed)})`,
    `${counts.errors}`,
    share(0),
    share(1),
    share(2),
  ];
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function processor(): string {
  try {
    const [, model = "?"] = /^model name\s*: (.*)$/m
      .exec(Deno.readTextFileSync("/proc/cpuinfo")) ?? [];
    return model;
  } catch {
    return Deno.build.arch;
  }
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

const { values } = parseArgs({
  options: {
    subscribers: { type: "string", default: "1000" },
    seconds: { type: "string", default: "10" },
    size: { type: "string", default: "120" },
    rate: { type: "string" },
    chunk: { type: "string", default: "1" },
    relay: { type: "string", default: "../relay/main.ts" },
  },
});
const load = {
  relay: values.relay,
  subscribers: Number(values.subscribers),
  seconds: Number(values.seconds),
  size: Number(values.size),
  chunk: Number(values.chunk),
};
const rates = values.rate === undefined
  ? [0, 100, 1_000]
  : [Number(values.rate)];

console.log(
  `${
    count(load.subscribers)
  } WebSocket subscribers, events of ${load.size} bytes, ${load.seconds} s each; ` +
    (pinned
      ? "the relay on one core, upstream and subscribers on another"
      : "processes not pinned: no taskset, or a single core") +
    `\n${processor()}, ${navigator.hardwareConcurrency} cores, Deno ${Deno.version.deno}, ${
      new Date().toISOString().slice(0, 10)
    }\n`,
);
const columns = [
  "load",
  "delivered/s",
  "ingested/s",
  "CPU s per million",
  "p50",
  "p99",
  "RSS idle",
  "RSS at end",
  "events/message",
  "gaps (events)",
  "errors",
  "relay CPU",
  "readers' CPU",
  "upstream's CPU",
];
console.log(row(columns));
console.log(row(columns.map(() => "---")));
for (const rate of rates) console.log(row(await measure({ ...load, rate })));
