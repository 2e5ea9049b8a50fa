// The topics bench, small: everything arrives, and the figures are printed.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { figure } from "../support/figure.ts";
import { loadText, parseLoad } from "../../bench/topics/load.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test({
  name: "bench:topics prints what each load costs, and everything arrives",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { stdout, code } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "bench/topics.ts", "--quick"]
        .concat("--beside", "bare,direct", "--bound", "60000"),
      cwd: ROOT,
      stderr: "inherit",
    }).output();
    assertEquals(code, 0);
    const rows = new TextDecoder().decode(stdout).split("\n")
      .filter((line) => line.startsWith("| ")).slice(2)
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
    const relay = "relay/main.ts";
    assertEquals(rows.map(([load, by]) => `${load} ${by}`), [
      `10x1@50 ${relay}`,
      "10x1@50 bare",
      `10x0@50 ${relay}`,
      "10x0@50 bare",
      "10x0@50 direct",
      `publish:10x1@50 ${relay}`,
      "publish:10x1@50 bare",
    ]);
    for (const row of rows) {
      const [load = "", , events, caller, , follower, , ...rest] = row;
      const [late, errors, usable, ...figures] = rest;
      assertEquals([late, errors, usable], ["0", "0", "1 of 1"], row.join());
      assert(figure(events) > 0, `events/s: ${events}`);
      const hasCallers = !load.startsWith("publish");
      const hasFollowers = load.includes("x1@");
      assertEquals(figure(caller) > 0, hasCallers, `caller p50: ${caller}`);
      assertEquals(figure(follower) > 0, hasFollowers, `p50: ${follower}`);
      const [event, delivery, , , rss, peak, generator] = figures;
      assert(figure(event) > 0, `µs an event: ${event}`);
      assert(figure(delivery) > 0, `µs a delivery: ${delivery}`);
      assert(
        figure(rss) > 10 && figure(peak) >= figure(rss),
        `${rss}, ${peak}`,
      );
      assert(/^\d+ %/.test(generator ?? ""), generator);
    }
  },
});

Deno.test("bench:topics reads loads, and says what it expects", () => {
  for (const text of ["500x3@20", "publish:400x1@50", "1x0@1"]) {
    assertEquals(loadText(parseLoad(text)), text);
  }
  assertEquals(loadText(parseLoad("500x3")), "500x3@50");
  for (const text of ["", "500", "0x1", "500x3@0", "subscribe:1x1", "1x1x1"]) {
    assertThrows(() => parseLoad(text), RangeError, `got '${text}'`);
  }
});
