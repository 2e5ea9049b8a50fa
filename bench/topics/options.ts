import { parseArgs } from "node:util";
import { list, number } from "../command_line.ts";
import { V8_FLAGS } from "../fanout/servers/relay.ts";
import { type Beside, otherOf, OTHERS } from "../proxies/candidates.ts";
import { type Load, parseLoad } from "./load.ts";

/** The loads to measure, and the way of measuring. */
export interface Options {
  readonly loads: readonly Load[];
  /** The main modules of the relays. */
  readonly relays: readonly string[];
  /** The candidates to measure beside them. */
  readonly beside: readonly Beside[];
  /** The p99 up to which a load is usable, in milliseconds. */
  readonly bound: number;
  readonly warmUp: number;
  readonly seconds: number;
  readonly rounds: number;
  /** Flags of V8 that the relays are started with. */
  readonly v8Flags: string;
}

const LOADS = "400x1,500x3,500x0,publish:400x1";

/** The text of `--help`. */
export const USAGE =
  `Usage: deno task bench:topics [FLAG ...]     a list is 400x1,500x3

Many topics with few followers each: the relay has one core; the provider, the
callers, the publishers and the followers are one process on another core.
Needs Linux.

  --loads LIST      default ${LOADS}
                      500x3             500 runs with 3 followers each, 50 events/s
                      500x3@20          the same at 20 events/s
                      publish:400x1     400 publishers with a follower each
  --relay PATH      a relay's main module, default relay/main.ts; give it several
                    times to compare several, which are measured in turn
  --beside LIST     of ${OTHERS.join(",")}; default nginx,haproxy,bare;
                    "" for none. bare: the floor, node:http alone, which writes
                    what it reads to the caller and each follower, and neither
                    parses nor keeps it. The others take runs without followers;
                    direct: the callers call the provider, which shows what the
                    generator itself adds
  --bound NUMBER    p99 up to which a load is usable, default 100 ms
  --warm-up NUMBER  seconds before each measurement, default 3
  --seconds NUMBER  of each measurement, default 4
  --rounds NUMBER   default 3: what is shown are the medians
  --v8-flags FLAGS  for the relay, as of deno run; "" for none; default
                    ${V8_FLAGS}
  --quick           10x1,10x0,publish:10x1, one second each, one round
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
      loads: { type: "string" },
      relay: { type: "string", multiple: true, default: ["relay/main.ts"] },
      beside: { type: "string", default: "nginx,haproxy,bare" },
      bound: { type: "string", default: "100" },
      "warm-up": { type: "string" },
      seconds: { type: "string" },
      rounds: { type: "string" },
      "v8-flags": { type: "string", default: V8_FLAGS },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const { quick } = values;
  const loads = values.loads ?? (quick ? "10x1,10x0,publish:10x1" : LOADS);
  return {
    loads: list(loads).map(parseLoad),
    relays: values.relay,
    beside: list(values.beside).map(otherOf),
    bound: number(values.bound, 1),
    warmUp: number(values["warm-up"] ?? (quick ? "1" : "3"), 1),
    seconds: number(values.seconds ?? (quick ? "1" : "4"), 1),
    rounds: number(values.rounds ?? (quick ? "1" : "3"), 1),
    v8Flags: values["v8-flags"],
  };
}
