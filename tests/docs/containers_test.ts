// The Dockerfile and compose.yml, as far as they can be tried without Docker: what the
// one copies and runs is done in an empty folder, and what is started then is started
// as the same user, from files that it cannot write.
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import {
  copy,
  copyDeno,
  fillCache,
  NO_NETWORK,
  npmCache,
} from "../support/docs/locked_tree.ts";
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

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

function instructionsOf(dockerfile: string): Instruction[] {
  return dockerfile.split("\n").filter((line) => /^[A-Z]/.test(line))
    .map((line) => {
      const [, name = "", rest = ""] = /^(\w+) (.*)$/.exec(line) ?? [];
      return { name, rest };
    });
}

/** The image of a Dockerfile: its stages, one upon the other, in a folder. */
class Image implements AsyncDisposable {
  readonly folder: string;
  readonly #env: Record<string, string> = {};
  #workdir = "/";
  #user: number | undefined;
  #entrypoint: string[] = [];
  #command: string[] = [];
  #health: string[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async build(dockerfile: string): Promise<Image> {
    const folder = await Deno.makeTempDir({ prefix: "rivulet-image-" });
    await Deno.chmod(folder, 0o755);
    const image = new Image(folder);
    await copyDeno(`${folder}/bin/deno`);
    // For the steps that make the image, which have a network; then for its relay.
    await Deno.mkdir(`${folder}/cache`);
    await Deno.symlink(await npmCache(), `${folder}/cache/npm`);
    await fillCache(`${folder}/app/.deno`);
    for (const instruction of instructionsOf(dockerfile)) {
      await image.#follow(instruction);
    }
    return image;
  }

  /** The arguments of the command, which others may replace. */
  get command(): readonly string[] {
    return this.#command;
  }

  /** Starts a program of the image. */
  spawn(args: readonly string[], port: number): Deno.ChildProcess {
    const [program = "", ...rest] = args.map((arg) =>
      this.#inFolder(arg).replaceAll("0.0.0.0", "127.0.0.1")
        .replaceAll(":8787", `:${port}`)
    );
    assertEquals(program, "deno");
    // Only root may become the user of the image.
    const user = Deno.uid() === 0 ? this.#user : undefined;
    return new Deno.Command(`${this.folder}/bin/deno`, {
      args: rest,
      cwd: this.folder + this.#workdir,
      clearEnv: true,
      env: {
        ...NO_NETWORK,
        PATH: `${this.folder}/bin`,
        DENO_DIR: `${this.folder}/cache`,
        ...Object.fromEntries(
          Object.entries(this.#env).map((
            [name, value],
          ) => [name, this.#inFolder(value)]),
        ),
      },
      ...user !== undefined && { uid: user, gid: user },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** Starts the relay, with these arguments in place of the command's. */
  start(args: readonly string[], port: number): Deno.ChildProcess {
    return this.spawn(
      [...this.#entrypoint, ...args, "--port", String(port)],
      port,
    );
  }

  /** Asks for the health; returns the status. */
  async health(port: number): Promise<number> {
    const { code } = await this.spawn(this.#health, port).output();
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }

  /** The path in the folder of each path of the image. */
  #inFolder(text: string): string {
    return text.replaceAll(
      /(^|[=,:])(\/(?:app|checkout|data|run\/secrets)\b)/g,
      `$1${this.folder}$2`,
    );
  }

  async #follow({ name, rest }: Instruction): Promise<void> {
    switch (name) {
      case "FROM":
        assert(/^denoland\/deno:(?:distroless-)?\d+\.\d+\.\d+\b/.test(rest));
        assert(rest.includes(Deno.version.deno), rest);
        return;
      case "WORKDIR":
        this.#workdir = rest;
        return;
      case "COPY":
        return await this.#copy(rest.split(" "));
      case "ENV":
        for (const setting of rest.split(" ")) {
          const equals = setting.indexOf("=");
          this.#env[setting.slice(0, equals)] = setting.slice(equals + 1);
        }
        return;
      case "RUN":
        return await this.#run(rest);
      case "USER": {
        const [, user = "", group] = /^(\d+):(\d+)$/.exec(rest) ?? [];
        assertEquals(user, group);
        this.#user = Number(user);
        return;
      }
      case "ENTRYPOINT":
        this.#entrypoint = JSON.parse(rest);
        return;
      case "CMD":
        this.#command = JSON.parse(rest);
        return;
      case "HEALTHCHECK":
        this.#health = JSON.parse(rest.slice(rest.indexOf("[")));
        return;
      case "VOLUME":
        await Deno.stat(this.folder + rest);
        return;
      case "EXPOSE":
        assertEquals(rest, "8787");
        return;
      case "STOPSIGNAL":
        assertEquals(rest, "SIGTERM");
        return;
      default:
        throw new Error(`This test does not know ${name}`);
    }
  }

  async #copy(words: readonly string[]): Promise<void> {
    const flags = words.filter((word) => word.startsWith("--"));
    const paths = words.filter((word) => !word.startsWith("--"));
    const to = paths.at(-1) ?? "";
    if (flags.includes("--from=build")) {
      // The stages share the folder.
      assertEquals(paths, [to, to]);
      await Deno.stat(this.folder + to);
      return;
    }
    assertEquals(paths, [".", "."]);
    const ignored = await Deno.readTextFile(`${root}/.dockerignore`);
    for (const [, path] of ignored.matchAll(/^!(.+)$/gm)) {
      await copy(`${root}/${path}`, `${this.folder}${this.#workdir}/${path}`);
    }
  }

  async #run(command: string): Promise<void> {
    if (command.startsWith("mkdir /data && chown ")) {
      await Deno.mkdir(`${this.folder}/data`);
      const owner = Number(/chown (\d+):\1 \/data$/.exec(command)?.[1]);
      assert(owner > 0, command);
      if (Deno.uid() === 0) {
        await Deno.chown(`${this.folder}/data`, owner, owner);
      }
      return;
    }
    const { success, stderr } = await this.spawn(command.split(" "), 0)
      .output();
    assert(success, new TextDecoder().decode(stderr));
  }
}

/** The lists that services have under a key. */
function valuesOf(compose: string, key: string): string[][] {
  return [...compose.matchAll(new RegExp(`^ +${key}: (\\[[^\\]]*\\])`, "gm"))]
    .map(([, value = ""]) => JSON.parse(value.replace(/,\s*\]$/, "]")));
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
