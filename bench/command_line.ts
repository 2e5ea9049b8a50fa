import { messageOf } from "../src/fetch/message_of.ts";

/** Reads words with commas between them; none where there is nothing. */
export function list(text: string): string[] {
  return text === "" ? [] : text.split(",");
}

/**
 * Reads whole numbers with commas between them.
 *
 * @throws {RangeError} If one is none, or below `least`.
 */
export function numbers(list: string, least: number): number[] {
  return list.split(",").map((text) => {
    const number = Number(text);
    if (text !== "" && Number.isInteger(number) && number >= least) {
      return number;
    }
    throw new RangeError(
      `Expected whole numbers, ${least} at least, with commas between them: got '${list}'`,
    );
  });
}

/**
 * Reads a whole number.
 *
 * @throws {RangeError} If it is none, or below `least`.
 */
export function number(text: string, least: number): number {
  const [first = NaN, ...others] = numbers(text, least);
  if (others.length > 0) throw new RangeError(`Expected a number: got ${text}`);
  return first;
}

/**
 * Reads the options of a bench, or ends the process: with the usage where help is
 * asked for, and with status 2 where the flags are wrong.
 *
 * @param parse Reads the flags; returns `undefined` for help, throws for wrong ones.
 * @param usage The text of the help.
 */
export function readOptions<Options>(
  parse: (args: readonly string[]) => Options | undefined,
  usage: string,
): Options {
  try {
    const options = parse(Deno.args);
    if (options) return options;
    console.log(usage);
    Deno.exit();
  } catch (error) {
    console.error(messageOf(error));
    console.error(usage);
    Deno.exit(2);
  }
}
