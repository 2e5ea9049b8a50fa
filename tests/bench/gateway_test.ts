// The gateway bench, small, with short requests alone.
import { assert, assertEquals } from "@std/assert";
import { figure } from "../support/figure.ts";

Deno.test({
  name: "bench:gateway prints what short requests cost, and all are answered",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { stdout, code } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "bench/gateway.ts", "--runs", ""]
        .concat("--short", "2", "--beside", "direct", "--warm-up", "1")
        .concat("--seconds", "1", "--rounds", "1"),
      cwd: new URL("../../", import.meta.url),
      stderr: "inherit",
    }).output();
    assertEquals(code, 0);
    const rows = new TextDecoder().decode(stdout).split("\n")
      .filter((line) => line.startsWith("| ")).slice(2)
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
    assertEquals(rows.map((row) => row.slice(0, 3).join(" ")), [
      "chat 2 relay/main.ts",
      "chat 2 direct",
      "chat of an SDK 2 relay/main.ts",
      "chat of an SDK 2 direct",
      "embeddings 2 relay/main.ts",
      "embeddings 2 direct",
    ]);
    for (const [, , , requests, p50, p99, cost, ...rest] of rows) {
      assert(figure(requests) > 0, `requests: ${requests}`);
      assert(figure(p50) > 0 && figure(p99) >= figure(p50), `${p50}, ${p99}`);
      assert(figure(cost) > 0, `µs a request: ${cost}`);
      assertEquals(rest.at(-1), "0", "errors");
    }
  },
});
