/**
 * Gets other runtimes from npm.
 *
 * @module
 */
const ROOT = new URL("../../", import.meta.url);

/** The version of Bun that is tested. */
export const BUN = "1.4.5";

/** The package with the program of Bun. The package `bun` fetches it in a script. */
export const BUN_PACKAGE = `@oven/bun-${Deno.build.os}-${
  Deno.build.arch === "x86_64" ? "x64" : "aarch64"
}`;

/** The package with the program of Node. The package `node` fetches it in a script. */
export const NODE_PACKAGE = `node-${
  Deno.build.os === "windows" ? "win" : Deno.build.os
}-${Deno.build.arch === "x86_64" ? "x64" : "arm64"}`;

/**
 * Installs packages into a folder's `node_modules`, from the cache of Deno where it has
 * them.
 *
 * @param folder The folder, which gets a `deno.json`.
 * @param packages What to import them as, and from where: `npm:ws@8.23.0`.
 */
export async function installPackages(
  folder: string,
  packages: Readonly<Record<string, string>>,
): Promise<void> {
  await Deno.copyFile(new URL("deno.lock", ROOT), `${folder}/deno.lock`);
  await Deno.writeTextFile(
    `${folder}/deno.json`,
    JSON.stringify({ nodeModulesDir: "auto", imports: packages }),
  );
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--quiet"],
    cwd: folder,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/**
 * Returns the path of a program that was installed.
 *
 * @param folder Where {@linkcode installPackages} has put its package.
 * @param name The package.
 * @param binary The program.
 */
export async function binaryIn(
  folder: string,
  name: string,
  binary: string,
): Promise<string> {
  const command = `${folder}/node_modules/${name}/bin/${binary}${
    Deno.build.os === "windows" ? ".exe" : ""
  }`;
  if (Deno.build.os !== "windows") await Deno.chmod(command, 0o755);
  return command;
}
