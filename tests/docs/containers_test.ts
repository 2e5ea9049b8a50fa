// The Dockerfile and compose.yml, as far as they can be tried without Docker: what the
// one copies and runs is done in an empty folder, and what is started then is started
// as the same user, from files that it cannot write.
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { valuesOf } from "../support/docs/compose.ts";
import { Image } from "../support/docs/image.ts";
import { flagsIn, OTHER_FLAGS, relayHelp } from "../support/docs/relay_help.ts";
import { LIMIT, within } from "../support/within.ts";
import { freePort } from "../support/http/free_port.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

for (const name of ["Dockerfile", "compose.yml", "docs/containers.md"]) {
  Deno.test(`${name} names only options that there are`, async () => {
    const known = new Set(flagsIn(await relayHelp()));
    const unknown = flagsIn(await Deno.readTextFile(`${root}/${name}`))
      .filter((flag) => !known.has(flag) && !OTHER_FLAGS.has(flag));
    assertEquals(unknown, []);
  });
}

Deno.test({
  name:
    "The image starts, answers and stops, as its user and without a network",
  ignore: Deno.build.os === "windows", // has neither users nor signals of this kind
  async fn() {
    const compose = await Deno.readTextFile(`${root}/compose.yml`);
    const commands = valuesOf(compose, "command");
    assert(commands.length > 0);
    await using image = await Image.build(
      await Deno.readTextFile(`${root}/Dockerfile`),
    );
    await Deno.mkdir(`${image.folder}/run/secrets`, { recursive: true });
    await Deno.writeTextFile(
      `${image.folder}/run/secrets/jwt_key`,
      "k".repeat(32),
    );
    // The same arguments need not be tried twice.
    const tried = new Set(
      [image.command, ...commands].map((args) => JSON.stringify(args)),
    );
    for (const args of tried) {
      const port = freePort();
      await using process = image.start(JSON.parse(args), port);
      const stderr = new Response(process.stderr).text();
      const lines = process.stdout.pipeThrough(new TextDecoderStream())
        .getReader();
      let banner = "";
      while (!banner.includes("Tokens are required.")) {
        const { done, value = "" } = await within(
          lines.read(),
          LIMIT,
          () => `the relay's start, after ${banner}`,
        );
        if (done) throw new Error(await stderr);
        banner += value;
      }
      assertEquals(await image.health(port), 0);
      assertEquals(await image.health(freePort()), 1);
      process.kill("SIGTERM");
      while (!(await lines.read()).done);
      const { code } = await process.status;
      const said = await stderr;
      assertEquals(code, 0, said);
      assert(!/NotCapable|Requires|--max-memory/.test(said), said);
      assert((await Deno.stat(`${image.folder}/data/store.db`)).isFile);
    }
  },
});

Deno.test("compose.yml gives the relay time to stop, and the files that it names", async () => {
  const compose = await Deno.readTextFile(`${root}/compose.yml`);
  const drains = valuesOf(compose, "command").flatMap((args) =>
    Number.parseInt(args[args.indexOf("--drain") + 1] ?? "")
  );
  const graces = [...compose.matchAll(/^ +stop_grace_period: (\d+)s$/gm)]
    .map(([, seconds]) => Number(seconds));
  assertEquals(drains.length, graces.length);
  for (const [index, drain] of drains.entries()) {
    assert((graces[index] ?? 0) > drain + 3);
  }
  // Each named volume and secret is declared, and none else.
  for (const section of ["volumes", "secrets"] as const) {
    const used = new Set(
      [...compose.matchAll(new RegExp(`^    ${section}: \\[(.*)\\]$`, "gm"))]
        .flatMap(([, list = ""]) => list.split(", "))
        .map((item) => item.replaceAll('"', "").split(":")[0]),
    );
    const declared = new Set(
      [
        ...(compose.split(new RegExp(`^${section}:\n`, "m"))[1] ?? "")
          .split(/^\S/m)[0]!.matchAll(/^ {2}(\w+):/gm), // a split has a first part
      ].map(([, name]) => name),
    );
    assertEquals(declared, used, section);
  }
});
