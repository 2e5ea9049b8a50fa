import { assert, assertEquals } from "@std/assert";
import { fromUrl } from "../../../.ci/portable/paths.ts";
import { bundleClient } from "../../support/client/client_bundle.ts";
import {
  type ClientProgramResult,
  runClientProgram,
} from "../../support/client/client_program.ts";
import {
  ClientWorld,
  EXPECTED,
  isWhole,
} from "../../support/client/client_world.ts";
import { isMissing } from "../../support/tools.ts";

const ROOT = new URL("../../../", import.meta.url);

/** As in `.ci/test_runtime.ts`. */
const BUN = `@oven/bun-${Deno.build.os}-${
  Deno.build.arch === "x86_64" ? "x64" : "aarch64"
}`;
const BUN_VERSION = "1.4.5";

const windows = Deno.build.os === "windows"; // its commands have other names

function check({ flaky, ...rest }: ClientProgramResult): void {
  assertEquals(rest, EXPECTED);
  assert(isWhole(flaky), `${flaky}`);
}

/** A folder with the program, the package `ws` and, if need be, Bun. */
class Folder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(packages: Record<string, string>): Promise<Folder> {
    const folder = new Folder(await Deno.makeTempDir());
    const { path } = folder;
    await Deno.writeTextFile(
      `${path}/program.mjs`,
      await bundleClient("program"),
    );
    await Deno.writeTextFile(
      `${path}/main.mjs`,
      `import { runClientProgram } from "./program.mjs";
      const options = {};
      // As Node 20, which has none of its own.
      if (process.argv[3]) options.WebSocket = (await import("ws")).WebSocket;
      const urls = JSON.parse(process.argv[2]);
      const result = await runClientProgram(urls, options);
      console.log(JSON.stringify(result));`,
    );
    await Deno.copyFile(
      fromUrl(new URL("deno.lock", ROOT)),
      `${path}/deno.lock`,
    );
    await Deno.writeTextFile(
      `${path}/deno.json`,
      JSON.stringify({ nodeModulesDir: "auto", imports: packages }),
    );
    await run(path, Deno.execPath(), ["install", "--quiet"]);
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** Runs a command to its own end; what it prints. */
async function run(
  cwd: string,
  command: string,
  args: string[],
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    stdin: "null",
    signal: AbortSignal.timeout(60_000),
  }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr));
  return decoder.decode(stdout);
}

async function importsOf(): Promise<Record<string, string>> {
  const { imports }: { imports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", ROOT)),
  );
  return imports;
}

Deno.test("the client runs in Deno", async () => {
  await using world = await ClientWorld.start();
  check(await runClientProgram(world.urls));
});

Deno.test({
  name: "the client runs in Node, with the package ws",
  ignore: isMissing("node", "Get it from https://nodejs.org"),
  async fn() {
    const { ws = "" } = await importsOf();
    await using folder = await Folder.make({ ws });
    await using world = await ClientWorld.start();
    const output = await run(folder.path, "node", [
      "main.mjs",
      JSON.stringify(world.urls),
      "ws",
    ]);
    check(JSON.parse(output));
  },
});

Deno.test({
  name: "the client runs in Bun",
  ignore: windows,
  async fn() {
    await using folder = await Folder.make({
      [BUN]: `npm:${BUN}@${BUN_VERSION}`,
    });
    const bun = `${folder.path}/node_modules/${BUN}/bin/bun`;
    await Deno.chmod(bun, 0o755);
    await using world = await ClientWorld.start();
    const output = await run(folder.path, bun, [
      "main.mjs",
      JSON.stringify(world.urls),
    ]);
    check(JSON.parse(output));
  },
});
