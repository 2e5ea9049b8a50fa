// docs/cluster.compose.yml runs without Docker: three nats-servers, three relays from the
// image's folder and Caddy, each with its command as it stands, and one relay stops.
import { assertEquals } from "@std/assert";
import { servicesOf, valuesOf } from "../support/docs/compose.ts";
import { flagsIn, OTHER_FLAGS, relayHelp } from "../support/docs/relay_help.ts";
import { lacksApart, runApart } from "../support/apart.ts";
import { lacksNats } from "../support/nats/nats_server.ts";
import { isMissing } from "../support/tools.ts";

const docs = new URL("../../docs/", import.meta.url);
const compose = await Deno.readTextFile(new URL("cluster.compose.yml", docs));

Deno.test("cluster.compose.yml has relays with options that there are, and time to stop", async () => {
  const [command = [], ...others] = valuesOf(compose, "command");
  assertEquals(others, []);
  const known = new Set(flagsIn(await relayHelp()));
  assertEquals(
    flagsIn(command.join(" "))
      .filter((flag) => !known.has(flag) && !OTHER_FLAGS.has(flag)),
    [],
  );
  const drain = Number.parseInt(command[command.indexOf("--drain") + 1] ?? "");
  const [, grace] = /^ +stop_grace_period: (\d+)s$/m.exec(compose) ?? [];
  assertEquals(Number(grace) > drain + 3, true);
});

Deno.test("cluster.compose.yml mounts files and volumes that there are", async () => {
  const [, declared = ""] = /^volumes:\n((?: .*\n)*)/m.exec(compose) ?? [];
  const mounted = [...servicesOf(compose).values()].flatMap((text) =>
    [...text.matchAll(/^ +volumes: \["([^:]+):/gm)].map(([, from = ""]) => from)
  );
  const files = mounted.filter((from) => from.startsWith("./"));
  for (const file of files) await Deno.stat(new URL(file, docs));
  assertEquals(
    mounted.filter((from) => !from.startsWith("./")),
    [...declared.matchAll(/^ {2}([\w-]+):$/gm)].map(([, name]) => name),
  );
});

Deno.test("cluster.compose.yml has each NATS server know the others", () => {
  const servers = [...servicesOf(compose)]
    .filter(([, text]) => text.includes("<<: *nats"));
  const names = servers.map(([name]) => name);
  assertEquals(names.length, 3);
  for (const [name, text] of servers) {
    const [, own, routes = ""] =
      /command: "-n (\S+) .* --routes (\S+)"$/m.exec(text) ?? [];
    assertEquals(own, name);
    assertEquals(
      routes.split(","),
      names.filter((other) => other !== name)
        .map((other) => `nats://${other}:6222`),
    );
  }
});

Deno.test({
  name: "cluster.compose.yml runs, and goes on when a relay stops",
  ignore: lacksApart() || lacksNats() ||
    isMissing("caddy", "On Debian: apt-get install caddy", "version"),
  async fn() {
    const { code, stdout, stderr } = await runApart(
      new URL("../support/docs/cluster_compose.ts", import.meta.url),
      [],
    );
    const decoder = new TextDecoder();
    assertEquals(code, 0, decoder.decode(stderr));
    assertEquals(decoder.decode(stdout).trim(), "7 services ran");
  },
});
