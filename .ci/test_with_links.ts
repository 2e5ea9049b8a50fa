/**
 * Runs `deno test` with another list of linked packages.
 *
 * `links` can be told in the configuration file alone, so there is a second one
 * for as long as the tests run, beside the first: paths in it are relative.
 */
export async function testWithLinks(
  links: string[],
  args: string[],
): Promise<number> {
  const root = new URL("../", import.meta.url);
  const file = "deno.jsr.json";
  // The lock file records what the links resolved to.
  const { links: _links, lock: _lock, ...config } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  await Deno.writeTextFile(
    new URL(file, root),
    JSON.stringify(links.length > 0 ? { ...config, links } : config, null, 2),
  );
  // An interrupt reaches the tests too; this process stays to clean up.
  const stay = () => {};
  Deno.addSignalListener("SIGINT", stay);
  try {
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--doc", "--config", file, "--no-lock", ...args],
      cwd: root,
    }).spawn().status;
    return code;
  } finally {
    Deno.removeSignalListener("SIGINT", stay);
    await Deno.remove(new URL(file, root));
  }
}
