// The package works without a checkout: what would be published is put into an empty
// folder, from which every command and every program of the README is run.
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { commands } from "../../relay/commands/commands.ts";
import { VERSION } from "../../src/version.ts";
import { blocksOf } from "../support/docs/markdown.ts";
import { commandsOf, wordsOf } from "../support/docs/shell.ts";
import { type Output, PackedApp } from "../support/packed_app.ts";
import { startRelay } from "../support/relay/relay.ts";
import { TemporaryFolder } from "../support/relay/sqlite_world.ts";
import { freePort } from "../support/http/free_port.ts";

/** As users write it. */
const CLI = "jsr:@rivulet/rivulet/cli";

/** The files and folders that a user of the package needs, and the stand-ins of a checkout. */
const NEEDED = [
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "deno.json",
  "links",
  "mod.ts",
  "relay",
  "src",
];

const windows = Deno.build.os === "windows"; // has no signals to stop a process by

/** A permission of a command's help, and the values of its placeholders. */
interface Permission {
  readonly name: "net" | "env" | "read" | "write";
  readonly values?: Readonly<Record<string, string>>;
}

/** Returns permissions as a command's help has them. */
function permissionsOf(
  help: string,
  permissions: readonly Permission[],
): string[] {
  const [, text = ""] = help.split("Permissions, instead of -A:");
  return permissions.map(({ name, values = {} }) => {
    const [, allowed] =
      new RegExp(`^ {2}--allow-${name}='?([^\\s']+)`, "m").exec(text) ?? [];
    assert(allowed !== undefined, `--allow-${name}: ${help}`);
    const flag = Object.entries({ ...values, ",...": "" })
      .reduce((text, [from, to]) => text.replace(from, to), allowed);
    assert(!/ADDRESS|PORT|PATHS|FILE|FOLDER|DIR|\.\.\./.test(flag), flag);
    return `--allow-${name}=${flag}`;
  });
}

/** The permissions of a relay on a port. */
function relayPermissions(port: number): Permission[] {
  const values = { "ADDRESS:PORT": `127.0.0.1:${port}`, "8787": String(port) };
  return [{ name: "net", values }, { name: "env" }];
}

/** An event stream, for commands of the README that name one of this machine. */
function startUpstream(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      new Response("data: a\n\n", {
        headers: { "Content-Type": "text/event-stream" },
      }),
  );
}

/** Asserts that a command has not failed; returns its output. */
function assertDone({ code, stdout, stderr }: Output): string {
  assertEquals([code, stderr], [0, ""], stdout);
  return stdout;
}

/** Reads an event stream until it matches. */
async function readUntil(response: Response, pattern: RegExp): Promise<void> {
  let text = "";
  for await (
    const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []
  ) {
    text += chunk;
    if (pattern.test(text)) return;
  }
  throw new Error(`Expected ${pattern}, got: ${text}`);
}

Deno.test({
  name:
    "The package works without a checkout, with the permissions of the help",
  ignore: windows,
  async fn(t) {
    await using app = await PackedApp.create();
    const run = (
      permissions: readonly string[],
      args: readonly string[],
      env: Readonly<Record<string, string>> = {},
    ): Promise<Output> => app.run(["run", ...permissions, CLI, ...args], env);
    const help: Record<string, string> = {};

    await t.step("It has only what its users need", () => {
      const parts = new Set(app.files.map((file) => file.split("/")[0]));
      assertEquals([...parts].sort(), NEEDED);
    });

    await t.step("help and --version need no permissions", async () => {
      assertEquals(
        assertDone(await run([], ["--version"])),
        `rivulet ${VERSION}\n`,
      );
      for (const name of Object.keys(commands)) {
        help[name] = assertDone(await run([], ["help", name]));
      }
    });

    await using running = await startRelay();
    const { relay } = running;
    /** Runs a command that talks to a relay; returns its output. */
    const remote = async (name: string, ...args: string[]): Promise<string> => {
      const values = { "HOST:PORT": new URL(running.url).host };
      const permissions = permissionsOf(help[name] ?? "", [
        { name: "net", values },
        { name: "env" },
      ]);
      const env = { RIVULET_URL: running.url };
      return assertDone(await run(permissions, [name, ...args], env));
    };
    const tried: Record<string, () => Promise<void>> = {
      async serve() {
        const port = freePort();
        await using relay = await app.start([
          ...permissionsOf(help["serve"] ?? "", relayPermissions(port)),
          ...[CLI, "serve", "--port", String(port), "--drain", "0s"],
        ]);
        const response = await fetch(`${relay.url}/healthz`);
        await response.body?.cancel();
        assertEquals(response.status, 200);
        assertEquals(await relay.stop(), { code: 0, stderr: "" });
      },
      async demo() {
        const port = freePort();
        await using relay = await app.start([
          ...permissionsOf(help["demo"] ?? "", relayPermissions(port)),
          ...[CLI, "demo", "--port", String(port), "--drain", "0s"],
        ]);
        const response = await fetch(`${relay.url}/topics/demo`);
        await readUntil(response, /event: response\.output_text\.delta/);
        assertEquals(await relay.stop(), { code: 0, stderr: "" });
      },
      async token() {
        const text = help["token"] ?? "";
        const key = assertDone(await run([], ["token", "--new-key"])).trim();
        const fromVariable = assertDone(
          await run(
            permissionsOf(text, [{ name: "env" }]),
            ["token", "--read", "demo"],
            { RIVULET_JWT_KEY: key },
          ),
        );
        assertMatch(fromVariable, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
        await app.write("key.txt", key);
        const values = { FILE: "key.txt" };
        assertDone(
          await run(
            permissionsOf(text, [{ name: "read", values }]),
            ["token", "--read", "demo", "--key-file", "key.txt"],
          ),
        );
      },
      async replay() {
        const recording = ": +5ms\ndata: a\n\n";
        await app.write("run.sse", recording);
        const values = { FILE: "run.sse" };
        assertEquals(
          assertDone(
            await run(
              permissionsOf(help["replay"] ?? "", [{ name: "read", values }]),
              ["replay", "run.sse"],
            ),
          ),
          recording,
        );
      },
      async follow() {
        const topic = relay.topics.create("followed");
        topic.append([{ data: "a" }]);
        topic.end("complete");
        assertEquals(await remote("follow", "followed"), "a\n");
      },
      async publish() {
        // Without an input, it publishes nothing but the end.
        assertEquals(await remote("publish", "published", "--end"), "");
        const topic = relay.topics.get("published");
        assertEquals(topic?.state.kind, "ended");
      },
      async cancel() {
        const topic = relay.topics.create("cancelled");
        assertEquals(await remote("cancel", "cancelled"), "");
        assertEquals((await topic.ended).status, "cancelled");
      },
      async topics() {
        assertMatch(await remote("topics"), /^cancelled +cancelled /m);
      },
      async top() {
        relay.topics.create("open").append([{ data: "a" }]);
        assertMatch(await remote("top", "--every", "1ms"), /^open +open /m);
      },
      async backup() {
        await using folder = new TemporaryFolder();
        const { path } = folder;
        await Deno.copyFile(
          new URL("../../fixtures/stores/version_1.db", import.meta.url),
          `${path}/store.db`,
        );
        const paths = [`${path}/store.db`, `${path}/copy.db`];
        const printed = await run(
          permissionsOf(help["backup"] ?? "", [
            { name: "read", values: { "FOLDER,FOLDER": path } },
            { name: "write", values: { FOLDER: path } },
          ]),
          ["backup", ...paths],
        );
        assertEquals(
          assertDone(printed),
          `Copied ${paths[0]} to ${paths[1]}\n`,
        );
      },
      async hostile() {
        const port = freePort();
        await app.write("run.sse", "data: a\n\n");
        await using provider = await app.start([
          ...permissionsOf(help["hostile"] ?? "", [
            { name: "net", values: { "8788": String(port) } },
            { name: "read", values: { PATHS: "run.sse" } },
          ]),
          ...[CLI, "hostile", "--port", String(port), "--recording", "run.sse"],
        ]);
        const response = await fetch(`${provider.url}/responses`, {
          method: "POST",
          headers: { Hostile: "recording=run" },
          body: '{"model":"m","input":"a","stream":true}',
        });
        assertEquals(await response.text(), "data: a\n\n");
        assertEquals(await provider.stop(), { code: 0, stderr: "" });
      },
    };
    assertEquals(Object.keys(tried), Object.keys(commands));
    for (const [name, attempt] of Object.entries(tried)) {
      await t.step(`${name} runs`, attempt);
    }

    await t.step("The code of the README runs", async () => {
      await Deno.copyFile(
        new URL("../../README.md", import.meta.url),
        `${app.folder}/README.md`,
      );
      await Deno.mkdir(`${app.folder}/fixtures`, { recursive: true });
      await Deno.copyFile(
        new URL("../../fixtures/demo.sse", import.meta.url),
        `${app.folder}/fixtures/demo.sse`,
      );
      const { code, stdout, stderr } = await app.run([
        ...["test", "--doc", "--allow-net=127.0.0.1,localhost"],
        ...["--allow-env=WS_NO_BUFFER_UTIL", "--allow-read=fixtures"],
        "README.md",
      ]);
      assertEquals(code, 0, `${stdout}${stderr}`);
      assertMatch(stdout, /^ok \| [1-9]/m);
    });

    const readme = await Deno.readTextFile(
      new URL("../../README.md", import.meta.url),
    );
    const written = blocksOf(readme).filter(({ language }) => language === "sh")
      .flatMap(({ text }) => commandsOf(text)).map(wordsOf)
      .filter((words) => words.includes(CLI));
    await t.step("The README has commands of the command line", () => {
      assert(written.length > 0);
    });
    for (const words of written) {
      await t.step(`${words.join(" ")} runs`, async () => {
        const at = words.indexOf(CLI);
        const permissions = words.slice(2, at);
        const args = words.slice(at + 1);
        assertEquals(words.slice(0, 2), ["deno", "run"]);
        // There is no network: of these only the flags can be tried.
        if (args.some((arg) => /https:/.test(arg) || arg === "openai")) {
          assertStringIncludes(
            assertDone(await run(permissions, [...args, "--print-config"])),
            '"config"',
          );
        } else if (args[0] === "token" || args[0] === "replay") {
          const env = { RIVULET_JWT_KEY: "k".repeat(32) };
          assertDone(await run(permissions, args, env));
        } else {
          await using upstream = startUpstream();
          const port = String(freePort());
          const source = `http://127.0.0.1:${upstream.addr.port}`;
          await using program = await app.start([
            ...permissions.map((flag) => flag.replace(/878[78]$/, port)),
            CLI,
            ...args.map((arg, index) =>
              args[index - 1] === "--source"
                ? arg.replace(/http:\/\/localhost:\d+/, source)
                : arg
            ),
            ...["--port", port],
          ]);
          assertEquals(await program.stop(), { code: 0, stderr: "" });
        }
      });
    }
  },
});
