// The workers bench, small: everything is done, and the figures are printed.
import { assert, assertEquals } from "@std/assert";
import { figure } from "../support/figure.ts";

const ROOT = new URL("../../", import.meta.url);

/** Each kind and each shape once: a measurement starts two to five processes. */
const PARTS = [
  ["deliveries", ["process", "edges"]],
  ["runs", ["relays", "workers"]],
] as const;

/** Runs the bench, and returns the cells of its table. */
async function measure(kind: string, shapes: string): Promise<string[][]> {
  const { stdout, code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "bench/workers.ts", "--quick"]
      .concat("--kinds", kind, "--shapes", shapes),
    cwd: ROOT,
    stderr: "inherit",
  }).output();
  assertEquals(code, 0);
  return new TextDecoder().decode(stdout).split("\n")
    .filter((line) => line.startsWith("| ")).slice(2)
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test({
  name:
    "bench:workers prints what one process, and two of each other shape, do",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const rows: string[][] = [];
    for (const [kind, shapes] of PARTS) {
      const part = await measure(kind, shapes.join());
      assertEquals(
        part.map(([kind, shape]) => [kind, shape]),
        shapes.map((shape) => [kind, shape]),
      );
      rows.push(...part);
    }
    for (const row of rows) {
      const [, shape = "", rate, times, cpu, , , store] = row;
      for (const value of [rate, times, cpu]) {
        assert(figure(value) > 0, row.join());
      }
      const hasStore = ["edges", "workers"].includes(shape);
      assertEquals(store !== "", hasStore, row.join());
      assertEquals(row.at(-1), "0", row.join());
    }
  },
});
