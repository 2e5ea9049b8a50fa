/**
 * The image that the Dockerfile makes, as a folder: each step is done in it.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import {
  copy,
  copyDeno,
  fillCache,
  NO_NETWORK,
  npmCache,
} from "./locked_tree.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));

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

/** A program of an image, in its folder. */
export interface Program {
  readonly path: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Record<string, string>;
}

/** The image of a Dockerfile: its stages, one upon the other, in a folder. */
export class Image implements AsyncDisposable {
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

  /** The user that the image runs as. */
  get user(): number | undefined {
    return this.#user;
  }

  /** Returns a program of the image, with its arguments and its surroundings. */
  program(args: readonly string[]): Program {
    const [program, ...rest] = args.map((arg) => this.#inFolder(arg));
    assertEquals(program, "deno");
    return {
      path: `${this.folder}/bin/deno`,
      args: rest,
      cwd: this.folder + this.#workdir,
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
    };
  }

  /** The relay of the image, with these arguments in place of the command's. */
  relay(args: readonly string[]): Program {
    return this.program([...this.#entrypoint, ...args]);
  }

  /** The program that asks for the health. */
  get healthCheck(): Program {
    return this.program(this.#health);
  }

  /** Starts a program of the image on a port of this machine. */
  spawn(args: readonly string[], port: number): Deno.ChildProcess {
    const program = this.program(args);
    // Only root may become the user of the image.
    const user = Deno.uid() === 0 ? this.#user : undefined;
    return new Deno.Command(program.path, {
      args: program.args.map((arg) =>
        arg.replaceAll("0.0.0.0", "127.0.0.1").replaceAll(":8787", `:${port}`)
      ),
      cwd: program.cwd,
      clearEnv: true,
      env: program.env,
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
