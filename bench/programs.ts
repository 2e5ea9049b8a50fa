/**
 * Counts the lines of three programs that do the same with this library, `openai`
 * and `ai`: `deno run --allow-read bench/programs.ts`.
 *
 * `tests/bench/programs_test.ts` runs each of them against one server, and holds
 * them to the same results. Lines that are blank, or nothing but a comment, do not
 * count.
 *
 * @module
 */

/** The programs, and what each of them needs. */
export const PROGRAMS = {
  describe:
    "an image, settings and a header of one request, text as it comes, every ending and error, raw usage",
  tools: "a tool with checked arguments that may fail, until the answer",
  data: "an answer that fits a schema, or its text",
} as const;

/** The libraries, by the names of the files. */
export const LIBRARIES = {
  rivulet: "`ModelClient`",
  openai: "`openai` 7.57",
  ai: "`ai` 7.0",
} as const;

/** A line that is blank, or nothing but a comment. */
const NO_CODE = /^\s*(?:\/\/.*|\/\*\*.*\*\/)?$/;

/** Returns the number of lines of code in a module. */
export function countLines(source: string): number {
  return source.split("\n").filter((line) => !NO_CODE.test(line)).length;
}

async function linesOf(program: string, library: string): Promise<number> {
  const url = new URL(`programs/${program}/${library}.ts`, import.meta.url);
  return countLines(await Deno.readTextFile(url));
}

/** Returns the table of all lines, in Markdown. */
export async function programTable(): Promise<string> {
  const names = Object.keys(LIBRARIES);
  const rows = [
    ["a program with", ...Object.values(LIBRARIES)],
    ["---", ...names.map(() => "--:")],
  ];
  const sums = names.map(() => 0);
  for (const [program, needs] of Object.entries(PROGRAMS)) {
    const lines = await Promise.all(
      names.map((name) => linesOf(program, name)),
    );
    for (const [index, count] of lines.entries()) {
      sums[index] = (sums[index] ?? 0) + count;
    }
    rows.push([needs, ...lines.map(String)]);
  }
  rows.push(["lines in all", ...sums.map(String)]);
  return rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

if (import.meta.main) console.log(await programTable());
