import { parseArgs } from "node:util";
import { list, number, numbers } from "../command_line.ts";
import { V8_FLAGS } from "../fanout/servers/relay.ts";
import { type Beside, otherOf, OTHERS } from "../proxies/candidates.ts";

/** The loads to measure, and the way of measuring. */
export interface Options {
  /** The number of runs at a time. */
  readonly runs: readonly number[];
  /** The number of followers of each run. */
  readonly followers: readonly number[];
  /** In events a second, of each run. */
  readonly rate: number;
  readonly seconds: number;
  /** Of short requests, before each measurement, in seconds. */
  readonly warmUp: number;
  readonly rounds: number;
  /** The number of short requests at a time; none: they are left out. */
  readonly short: readonly number[];
  /** The main modules of the relays. */
  readonly relays: readonly string[];
  /** The candidates to measure beside them with short requests. */
  readonly beside: readonly Beside[];
  /** Flags of V8 that the relay is started with; none where it is empty. */
  readonly v8Flags: string;
}

/** The text of `--help`. */
export const USAGE =
  `Usage: deno task bench:gateway [FLAG ...]     a list is 1,20,100

  --runs LIST       runs at a time, default 1,20,100; "" leaves them out
  --short LIST      short requests at a time, default 16; "" leaves them out
  --followers LIST  WebSocket subscribers of each run, default 0,3
  --rate NUMBER     events a second of each run, default 50
  --seconds NUMBER  of each measurement, default 3
  --warm-up NUMBER  seconds of short requests before each measurement, default 10:
                    in the first 20 s V8 compiles much of the relay
  --rounds NUMBER   default 3: what is shown are the medians
  --relay PATH      another relay's main module, default relay/main.ts; give it
                    several times to compare several
  --beside LIST     of ${OTHERS.join(",")}, for short requests;
                    default nginx,haproxy,bare; "" for none. bare: a proxy of
                    node:http alone, the floor; direct: the callers call
                    the provider, which shows what the generator itself does
  --v8-flags FLAGS  for the relay, as of deno run; "" for none; default
                    ${V8_FLAGS}
  --help            this text
`;

/**
 * Reads the command line.
 *
 * @returns `undefined` where help was asked for.
 * @throws {RangeError | TypeError} If it cannot be understood.
 */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "1,20,100" },
      followers: { type: "string", default: "0,3" },
      rate: { type: "string", default: "50" },
      seconds: { type: "string", default: "3" },
      "warm-up": { type: "string", default: "10" },
      rounds: { type: "string", default: "3" },
      short: { type: "string", default: "16" },
      relay: { type: "string", multiple: true, default: ["relay/main.ts"] },
      beside: { type: "string", default: "nginx,haproxy,bare" },
      "v8-flags": { type: "string", default: V8_FLAGS },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  return {
    runs: values.runs === "" ? [] : numbers(values.runs, 1),
    short: values.short === "" ? [] : numbers(values.short, 1),
    followers: numbers(values.followers, 0),
    rate: number(values.rate, 1),
    seconds: number(values.seconds, 1),
    warmUp: number(values["warm-up"], 1),
    rounds: number(values.rounds, 1),
    relays: values.relay,
    beside: list(values.beside).map(otherOf),
    v8Flags: values["v8-flags"],
  };
}
