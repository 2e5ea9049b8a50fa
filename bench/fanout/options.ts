import { parseArgs } from "node:util";
import { number, numbers } from "../command_line.ts";
import { LEAST_SIZE } from "./event.ts";
import { SERVER_NAMES, type ServerName } from "./servers/server.ts";
import { V8_FLAGS } from "./servers/relay.ts";

/** The servers and loads to measure, and the way of measuring. */
export interface Options {
  readonly servers: readonly ServerName[];
  readonly subscribers: readonly number[];
  readonly sizes: readonly number[];
  readonly rates: readonly number[];
  /**
   * The number of idle subscribers that the memory is measured with; 0 leaves
   * it out.
   */
  readonly idle: number;
  /** The number of events replayed; 0 leaves it out. */
  readonly replay: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly chunk: number;
  readonly relay: string;
  /** Flags of V8 that the relay is started with. */
  readonly v8Flags: string;
  readonly save: boolean;
}

/** The text of `--help`. */
export const USAGE =
  `Usage: deno task bench:fanout [FLAG ...]     a list is 1,100,1000

  --servers LIST      of ${SERVER_NAMES.join(",")}: default all
  --subscribers LIST  default 1000; with --full 1,100,1000,10000
  --sizes LIST        bytes of an event, default 120; with --full
                      60,120,250,1000
  --rates LIST        events a second, 0 for full speed: default 0,100,1000;
                      with --full 0,10,100,1000
  --idle NUMBER       subscribers whose memory is measured, default 10000; 0: none
  --replay NUMBER     events that the relay replays, default 10000; 0: none
  --seconds NUMBER    of each measurement, default 4
  --rounds NUMBER     default 3: what is shown are the medians
  --full              the whole matrix: hours
  --chunk NUMBER      events in an HTTP chunk of the upstream, default 1
  --relay PATH        another relay's main module, default relay/main.ts
  --v8-flags FLAGS    for the relay, as of deno run; "" for none; default
                      ${V8_FLAGS}
  --save              writes bench/results/fanout-DATE.md and .svg
`;

function isServerName(name: string): name is ServerName {
  return SERVER_NAMES.some((known) => known === name);
}

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
      servers: { type: "string", default: SERVER_NAMES.join() },
      subscribers: { type: "string" },
      sizes: { type: "string" },
      rates: { type: "string" },
      idle: { type: "string", default: "10000" },
      replay: { type: "string", default: "10000" },
      seconds: { type: "string", default: "4" },
      rounds: { type: "string", default: "3" },
      full: { type: "boolean", default: false },
      chunk: { type: "string", default: "1" },
      relay: { type: "string", default: "relay/main.ts" },
      "v8-flags": { type: "string", default: V8_FLAGS },
      save: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const { full } = values;
  const servers = values.servers.split(",").map((name) => {
    if (isServerName(name)) return name;
    throw new RangeError(
      `Expected servers of ${SERVER_NAMES.join()}: got '${name}'`,
    );
  });
  return {
    servers,
    subscribers: numbers(
      values.subscribers ?? (full ? "1,100,1000,10000" : "1000"),
      1,
    ),
    sizes: numbers(
      values.sizes ?? (full ? "60,120,250,1000" : "120"),
      LEAST_SIZE,
    ),
    rates: numbers(values.rates ?? (full ? "0,10,100,1000" : "0,100,1000"), 0),
    idle: number(values.idle, 0),
    replay: number(values.replay, 0),
    seconds: number(values.seconds, 1),
    rounds: number(values.rounds, 1),
    chunk: number(values.chunk, 1),
    relay: values.relay,
    v8Flags: values["v8-flags"],
    save: values.save,
  };
}
