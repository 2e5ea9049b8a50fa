import { parseArgs } from "node:util";
import { number } from "../command_line.ts";
import { ATTACKS } from "./attacks.ts";

/** The attacks to measure, and the way of measuring. */
export interface Options {
  /** The beginnings of the names of attacks. */
  readonly attacks: readonly string[];
  /** The length of each attack. */
  readonly seconds: number;
  /** The main module of the relay. */
  readonly relay: string;
  /** Whether the floor is measured, too. */
  readonly floor: boolean;
}

/** The text of `--help`. */
export const USAGE = `Usage: deno task bench:attack [FLAG ...]

  --attack NAME     an attack, or all whose names begin so; may be repeated;
                    default: all, which takes about eight minutes
  --seconds NUMBER  of each attack, default 2
  --relay PATH      another relay's main module, default relay/main.ts
  --no-floor        leaves out what the runtime takes by itself
  --help            this text

Attacks: ${ATTACKS.map(({ name }) => name).join(", ")}
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
      attack: { type: "string", multiple: true, default: [""] },
      seconds: { type: "string", default: "2" },
      relay: { type: "string", default: "relay/main.ts" },
      "no-floor": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const unknown = values.attack.find((name) =>
    !ATTACKS.some((attack) => attack.name.startsWith(name))
  );
  if (unknown !== undefined) {
    throw new RangeError(`Expected the name of an attack: got '${unknown}'`);
  }
  return {
    attacks: values.attack,
    seconds: number(values.seconds, 1),
    relay: values.relay,
    floor: !values["no-floor"],
  };
}
