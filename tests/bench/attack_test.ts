// The attack bench, once, with one attack.
import { assert, assertEquals } from "@std/assert";

Deno.test("bench:attack prints what an attack does to a relay", async () => {
  const { stdout, code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "bench/attack.ts"]
      .concat("--attack", "pongs", "--seconds", "1"),
    cwd: new URL("../../", import.meta.url),
    stderr: "inherit",
  }).output();
  assertEquals(code, 0);
  const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
  const cells = (lines.at(-1) ?? "").split("|").map((cell) => cell.trim());
  const [, name, , p50, p99, max, failed, cpu, floor, memory] = cells;
  assertEquals(name, "pongs");
  for (const time of [p50, p99, max]) {
    assert(Number.parseFloat(time ?? "") > 0, `a time: ${time}`);
  }
  assert(/^\d+ of \d+$/.test(failed ?? ""), failed);
  assert(/^\d+ %, \d+ %$/.test(cpu ?? ""), cpu);
  assert(/^\d+\.\d, \d+\.\d$/.test(floor ?? ""), floor);
  assert(/^\d+, \d+, \d+$/.test(memory ?? ""), memory);
});

Deno.test("bench:attack names its attacks where one is unknown", async () => {
  const { stderr, code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "bench/attack.ts", "--attack", "x"],
    cwd: new URL("../../", import.meta.url),
  }).output();
  assertEquals(code, 2);
  const text = new TextDecoder().decode(stderr);
  assert(text.includes("Expected the name of an attack: got 'x'"), text);
  assert(text.includes("a4-comments"), text);
});
