/**
 * Many runs through the gateway at a time, each with its caller and subscribers,
 * for as long as you like: `deno run -A tests/relay/gateway/load_main.ts --help`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import {
  type GatewayLoadOptions,
  type GatewayLoadRound,
  runGatewayLoad,
} from "../../support/gateway/load/gateway_load.ts";

const HELP = `Many runs through the gateway, of which every event is checked.

Usage: load_main.ts [FLAG ...]

  --runs NUMBER         at a time, default 500
  --rate NUMBER         events a second of each, default 50
  --subscribers NUMBER  of each, default 3
  --seconds NUMBER      of each round, default 30
  --rounds NUMBER       default 3
  --help                this text
`;

const FLAGS = {
  runs: { type: "string", default: "500" },
  rate: { type: "string", default: "50" },
  subscribers: { type: "string", default: "3" },
  seconds: { type: "string", default: "30" },
  rounds: { type: "string", default: "3" },
  help: { type: "boolean", default: false },
} as const;

const MIB = 2 ** 20;

const milliseconds = (value: number | null): string =>
  value === null ? "–" : `${value.toFixed(1)} ms`;

const mebibytes = (value: number): string => `${(value / MIB).toFixed(1)} MiB`;

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

/** The lines that say what a round has shown. */
export function describeRound(
  { callers, subscribers, seconds, ...rest }: GatewayLoadRound,
  { runs, subscribers: each }: GatewayLoadOptions,
): string[] {
  const sides = [
    ["subscribers", subscribers, runs * each],
    ["callers", callers, runs],
  ] as const;
  return [
    ...sides.map(([name, side, count]) =>
      `${name}: ${side.whole} of ${count} whole, ${side.events} events (${
        Math.round(side.events / seconds)
      }/s) in ${side.messages} messages; p50 ${milliseconds(side.p50)}, p99 ${
        milliseconds(side.p99)
      }, max ${milliseconds(side.max)}`
    ),
    `${seconds.toFixed(1)} s; relay ${
      percent(rest.relayShare)
    } of a core, and ${percent(rest.relayWaitShare)} waited for one; provider ${
      percent(rest.providerShare)
    }, clients ${percent(rest.clientsShare)}`,
    `relay's memory afterwards: heap ${
      mebibytes(rest.memory.heapUsed)
    }, outside ${mebibytes(rest.memory.external)}, resident ${
      mebibytes(rest.memory.rss)
    }`,
    ...rest.errors.map((error) => `WRONG: ${error}`),
  ];
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: FLAGS });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const number = (
    name: "runs" | "rate" | "subscribers" | "seconds" | "rounds",
  ) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value > 0) return value;
    throw new TypeError(
      `--${name}: expected a number from 1, got '${values[name]}'`,
    );
  };
  const options: GatewayLoadOptions = {
    runs: number("runs"),
    rate: number("rate"),
    subscribers: number("subscribers"),
    seconds: number("seconds"),
    rounds: number("rounds"),
  };
  const report = await runGatewayLoad(options);
  console.log(
    `before: heap ${mebibytes(report.memory.heapUsed)}, resident ${
      mebibytes(report.memory.rss)
    }`,
  );
  for (const [index, round] of report.rounds.entries()) {
    console.log(`round ${index + 1}`);
    for (const line of describeRound(round, options)) console.log(`  ${line}`);
  }
  return report.rounds.some(({ errors }) => errors.length > 0) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
