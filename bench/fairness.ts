/**
 * The fairness bench: what subscribers that read have to wait for, with others
 * beside them that are stuck, against without. One run after the other, each in
 * new processes.
 *
 * `deno run -A bench/fairness.ts [--fast 1000] [--stuck 1000] [--rate 1000]
 * [--size 120] [--seconds 4] [--rounds 5] [--relay PATH]`
 *
 * @module
 */
import { parseArgs } from "node:util";
import { upgradeRequest } from "../tests/support/http/upgrade_request.ts";
import { stalledSockets } from "../tests/support/relay/stalled_sockets.ts";
import type { Counts } from "./fanout/generator/main.ts";
import { Setup } from "./fanout/load.ts";
import { median } from "./fanout/median.ts";
import { relay, V8_FLAGS } from "./fanout/servers/relay.ts";
import { TOPIC } from "./fanout/event.ts";
import { sleep } from "./sleep.ts";

/** Time for the compiler to find what is hot, and for the stuck ones to fill up, in milliseconds. */
const WARM_UP = 3_000;

/** The largest ratio of the p99 with stuck readers to the p99 without. */
const TARGET = 1.2;

const REQUEST = upgradeRequest(`/topics/${TOPIC}`);

const { values } = parseArgs({
  options: {
    fast: { type: "string", default: "1000" },
    stuck: { type: "string", default: "1000" },
    rate: { type: "string", default: "1000" },
    size: { type: "string", default: "120" },
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "5" },
    relay: { type: "string", default: "relay/main.ts" },
  },
});
const fast = Number(values.fast);
const rate = Number(values.rate);
const size = Number(values.size);
const seconds = Number(values.seconds);

interface Run extends Counts {
  /** The shares of the time in which the relay ran, and waited for its core. */
  readonly share: number;
  readonly waited: number;
}

async function measure(stuck: number): Promise<Run> {
  const server = relay(values.relay, V8_FLAGS);
  await using setup = await Setup.start(server, { size, rate }, 1);
  using sockets = stalledSockets(setup.server.port);
  for (let opened = 0; opened < stuck; opened++) await sockets.open(REQUEST);
  await setup.connect(fast);
  await setup.feed.say("go");
  await sleep(WARM_UP);
  const before = setup.server.process.usage();
  await setup.generator.say("begin");
  await sleep(seconds * 1_000);
  await setup.generator.say("end");
  const after = setup.server.process.usage();
  const [json] = await setup.generator.hear(/^\{.*\}$/);
  const counts: Counts = JSON.parse(json);
  return {
    ...counts,
    share: (after.cpu - before.cpu) / seconds,
    waited: (after.waited - before.waited) / seconds,
  };
}

const kinds = [0, Number(values.stuck)];
const runs = kinds.map((): Run[] => []);
console.log(
  `${fast} subscribers that read, events of ${size} bytes, ${rate} a second, ${seconds} s each\n`,
);
console.log(
  "| stuck beside them | p50 | p99 | max | delivered/s | errors | relay CPU | waited for it |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [index, stuck] of kinds.entries()) {
    const run = await measure(stuck);
    runs[index]?.push(run);
    const ms = (value: number | null): string => `${value?.toFixed(1)} ms`;
    const percent = (value: number): string => `${(value * 100).toFixed(0)} %`;
    const { p50, p99, max, delivered, errors, share, waited } = run;
    console.log(
      `| ${stuck} | ${ms(p50)} | ${ms(p99)} | ${ms(max)} | ${
        Math.round(delivered / seconds).toLocaleString("en")
      } | ${errors} | ${percent(share)} | ${percent(waited)} |`,
    );
  }
}
const [without = NaN, beside = NaN] = runs.map((kind) =>
  median(kind.map(({ p99 }) => p99 ?? NaN))
);
console.log(
  `\nmedian p99: ${without.toFixed(1)} ms without, ${
    beside.toFixed(1)
  } ms with: ${(beside / without).toFixed(2)} times (to reach: ${TARGET})`,
);
