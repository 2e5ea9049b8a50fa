import { parseArgs } from "node:util";
import { list, number } from "../command_line.ts";

/** The kinds of measurements. */
const KINDS = ["deliveries", "runs", "publish"] as const;

/** A kind of measurement: see {@linkcode USAGE}. */
export type Kind = typeof KINDS[number];

/** The shapes that are compared. */
const SHAPES = ["process", "relays", "edges", "workers"] as const;

/** Processes that serve one port: see {@linkcode USAGE}. */
export type Shape = typeof SHAPES[number];

/** The options of the bench. */
export interface Options {
  readonly kinds: readonly Kind[];
  readonly shapes: readonly Shape[];
  /** The number of relays, edges or workers. */
  readonly count: number;
  /** The part of a core that each worker has. */
  readonly share: number;
  readonly subscribers: number;
  readonly callers: number;
  readonly topics: number;
  readonly warmUp: number;
  readonly seconds: number;
  readonly rounds: number;
}

/** The text of `--help`. */
export const USAGE =
  `Usage: deno task bench:workers [FLAG ...]     a list is 1,2

One relay, and several processes that share its port. Each is bound to a core. The
generator and the process with the topics need cores, too: with --share, the kernel
gives each process a part of a core's time, so that enough is left for them. Needs
Linux, and root for the parts.

  --kinds LIST         of ${KINDS.join(",")}; default all
                         deliveries   one topic at full speed, to all subscribers
                         runs         short runs of a provider, one after the other
                         publish      1,000 publishers with a follower each
  --shapes LIST        of ${SHAPES.join(",")}; default all
                         process      one relay
                         relays       relays that share nothing but the port: the
                                      floor of what several processes cost
                         edges        edges of one parent
                         workers      one relay with workers
  --count NUMBER       of relays, edges or workers; default 2
  --share NUMBER       of a core for each process, in percent; default 100
  --subscribers NUMBER default 400
  --callers NUMBER     runs under way; default 32
  --topics NUMBER      publishers; default 1000, at 10 events/s each
  --warm-up NUMBER     seconds before each measurement, default 2
  --seconds NUMBER     of each measurement, default 4
  --rounds NUMBER      default 3: what is shown are the medians
  --quick              small, one round
  --help               this text
`;

function oneOf<T extends string>(names: readonly T[], name: string): T {
  const found = names.find((one) => one === name);
  if (found) return found;
  throw new RangeError(`Expected of ${names.join()}: got '${name}'`);
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
      kinds: { type: "string", default: KINDS.join() },
      shapes: { type: "string", default: SHAPES.join() },
      count: { type: "string", default: "2" },
      share: { type: "string", default: "100" },
      subscribers: { type: "string" },
      callers: { type: "string" },
      topics: { type: "string" },
      "warm-up": { type: "string" },
      seconds: { type: "string" },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const { quick } = values;
  const of = (text: string | undefined, small: string, usual: string): number =>
    number(text ?? (quick ? small : usual), 1);
  return {
    kinds: list(values.kinds).map((name) => oneOf(KINDS, name)),
    shapes: list(values.shapes).map((name) => oneOf(SHAPES, name)),
    count: number(values.count, 1),
    share: number(values.share, 1) / 100,
    subscribers: of(values.subscribers, "20", "400"),
    callers: of(values.callers, "4", "32"),
    topics: of(values.topics, "20", "1000"),
    warmUp: of(values["warm-up"], "1", "2"),
    seconds: of(values.seconds, "1", "4"),
    rounds: of(values.rounds, "1", "3"),
  };
}
