// The cluster bench, small: everything arrives, and the figures are printed.
import { assert, assertEquals } from "@std/assert";
import { figure } from "../support/figure.ts";
import { lacksNats } from "../support/nats/nats_server.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test({
  name: "bench:cluster prints what a cluster costs, and everything arrives",
  ignore: Deno.build.os !== "linux" || lacksNats(),
  fn: async () => {
    const { stdout, code } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "bench/cluster.ts"]
        .concat("--rates", "100", "--topics", "5", "--subscribers", "6")
        .concat("--seconds", "1", "--rounds", "1"),
      cwd: ROOT,
      stderr: "inherit",
    }).output();
    assertEquals(code, 0);
    const rows = new TextDecoder().decode(stdout).split("\n")
      .filter((line) => /^\| [0-9]/.test(line))
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
    assertEquals(
      rows.map((cells) => cells.slice(0, -2).join(" ")),
      [
        ...["100 one relay", "100 cluster, R3", "100 bare clients, R3"],
        ...["6 one relay", "6 cluster, R3", "6 R3 beside one relay"],
        ...[1, 10, 100].flatMap((size) =>
          ["one relay", "cluster, R1", "cluster, R3", "bare client, R3"]
            .map((relays) => `5 ${size} ${relays}`)
        ),
      ],
    );
    for (const [name, ...cells] of rows) {
      // A bare client has no relay whose processor time could be told.
      const isBare = cells.includes("bare client, R3");
      const figures = cells.slice(-2, isBare ? -1 : undefined);
      for (const text of figures) {
        const [value = ""] = text.split(";");
        assert(figure(value) > 0, `${name}: ${text}`);
      }
    }
  },
});
