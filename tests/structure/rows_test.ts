// The kinds of faults that were found by attacks and by reports of users: each has a
// row with a letter and a number, and a test whose name begins with it.
import { assertEquals } from "@std/assert";

/** The rows: of one peer (A), rights (B), ends (C), proxies (D), operators (E), programmers (F). */
const ROWS: Readonly<Record<string, number>> = {
  A: 8,
  B: 7,
  C: 8,
  D: 8,
  E: 12,
  F: 5,
};

async function* testFiles(folder: URL): AsyncGenerator<URL> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* testFiles(new URL(`${name}/`, folder));
    else if (name.endsWith("_test.ts")) yield new URL(name, folder);
  }
}

Deno.test("each kind of fault that was found has a test with its number", async () => {
  const named = new Set<string>();
  for await (const file of testFiles(new URL("../", import.meta.url))) {
    const text = await Deno.readTextFile(file);
    // Names of tests and of steps, and of the rows of their tables.
    for (const [, row] of text.matchAll(/["'`\s(]([A-F]\d{1,2})(?=[:,\s)])/g)) {
      if (row !== undefined) named.add(row);
    }
  }
  const missing = Object.entries(ROWS).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`)
      .filter((row) => !named.has(row))
  );
  assertEquals(missing, []);
});
