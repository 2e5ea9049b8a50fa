import { parseArgs } from "node:util";
import { number, numbers } from "../command_line.ts";
import { V8_FLAGS } from "../fanout/servers/relay.ts";

/** What is measured, and how. */
export interface Options {
  /** How many runs there are at a time. */
  readonly runs: readonly number[];
  /** How many follow each run. */
  readonly followers: readonly number[];
  /** In events a second, of each run. */
  readonly rate: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly relay: string;
  /** Flags of V8 that the relay is started with; none where it is empty. */
  readonly v8Flags: string;
}

/** What `--help` says. */
export const USAGE =
  `Usage: deno task bench:gateway [FLAG ...]     a list is 1,20,100

  --runs LIST       runs at a time, default 1,20,100
  --followers LIST  WebSocket subscribers of each run, default 0,3
  --rate NUMBER     events a second of each run, default 50
  --seconds NUMBER  of each measurement, default 3
  --rounds NUMBER   default 3: what is shown are the medians
  --relay PATH      another relay's main module, default relay/main.ts
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
      rounds: { type: "string", default: "3" },
      relay: { type: "string", default: "relay/main.ts" },
      "v8-flags": { type: "string", default: V8_FLAGS },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  return {
    runs: numbers(values.runs, 1),
    followers: numbers(values.followers, 0),
    rate: number(values.rate, 1),
    seconds: number(values.seconds, 1),
    rounds: number(values.rounds, 1),
    relay: values.relay,
    v8Flags: values["v8-flags"],
  };
}
