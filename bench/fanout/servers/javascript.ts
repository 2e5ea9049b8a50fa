import * as esbuild from "esbuild";
import { startAndHear, versionOf } from "./program.ts";
import { flagsOf } from "./relay.ts";
import type { Missing, Server } from "./server.ts";

const BUN = "1.4.5";

const PORT = /^port ([0-9]+)$/;

const SCRIPTS = new URL("./scripts/", import.meta.url);

function server(name: string, title: string, command: string[]): Server {
  return {
    name,
    title,
    protocol: "text",
    feed: "sse",
    start: (launch) =>
      startAndHear([...command, launch.upstream], launch, PORT),
  };
}

/** Deno's own WebSocket. */
export function deno(): Server {
  const script = new URL("deno.ts", SCRIPTS).pathname;
  return server("deno", `Deno ${Deno.version.deno} WebSocket`, [
    Deno.execPath(),
    "run",
    "-A",
    script,
  ]);
}

/**
 * `ws` on Deno, which the relay stands on: the floor of what a subscriber takes there.
 *
 * @param v8Flags Flags of V8 that Deno is started with, as the relay is; "" for none.
 */
export function bare(v8Flags: string): Server {
  const script = new URL("ws.ts", SCRIPTS).pathname;
  const flags = flagsOf(v8Flags);
  return server(
    "bare",
    `ws (Deno ${Deno.version.deno}${flags.map((flag) => `, ${flag}`)})`,
    [Deno.execPath(), "run", "-A", ...flags, script],
  );
}

/** `ws` on Node, in the version that the relay has. */
export async function ws(folder: string): Promise<Server | Missing> {
  const name = "ws";
  const node = await versionOf("node", ["--version"], /^v([0-9.]+)/);
  if (!node) return { name, why: "Node is not installed" };
  const { imports }: { imports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("../../../deno.json", import.meta.url)),
  );
  const from = imports.ws ?? "npm:ws";
  const problem = await install(folder, "ws", from);
  if (problem !== undefined) return { name, why: problem };
  const bundle = `${folder}/ws.mjs`;
  try {
    await esbuild.build({
      entryPoints: [new URL("ws.ts", SCRIPTS).pathname],
      bundle: true,
      platform: "node",
      format: "esm",
      external: ["ws"],
      outfile: bundle,
    });
  } finally {
    await esbuild.stop();
  }
  const version = from.split("@").at(-1);
  return server(name, `ws ${version} (Node ${node})`, ["node", bundle]);
}

/** Bun's publish; Bun comes from npm. */
export async function bun(folder: string): Promise<Server | Missing> {
  const name = "bun";
  const arch = Deno.build.arch === "x86_64" ? "x64" : "aarch64";
  const bun = `@oven/bun-${Deno.build.os}-${arch}`;
  const problem = await install(folder, bun, `npm:${bun}@${BUN}`);
  if (problem !== undefined) return { name, why: problem };
  const program = `${folder}/node_modules/${bun}/bin/bun`;
  await Deno.chmod(program, 0o755);
  const script = new URL("bun.ts", SCRIPTS).pathname;
  return server(name, `Bun ${BUN} publish`, [program, script]);
}

/** Gets a package from npm into a folder; returns why it cannot. */
async function install(
  folder: string,
  name: string,
  from: string,
): Promise<string | undefined> {
  await Deno.writeTextFile(
    `${folder}/deno.json`,
    JSON.stringify({ nodeModulesDir: "auto", imports: { [name]: from } }),
  );
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--quiet"],
    cwd: folder,
    stderr: "piped",
  }).output();
  if (success) return undefined;
  return new TextDecoder().decode(stderr).trim().split("\n").at(-1);
}
