/**
 * Whether a test that needs a command has to be ignored, which is said with how
 * to get it; where nothing may be ignored, it is not, and fails.
 *
 * @param command The command.
 * @param install How to get it.
 * @param version How it is asked for its version.
 */
export function isMissing(
  command: string,
  install: string,
  version = "--version",
): boolean {
  try {
    const { success } = new Deno.Command(command, {
      args: [version],
      stdout: "null",
      stderr: "null",
    }).outputSync();
    if (success) return false;
  } catch {
    // It is not there.
  }
  if (Deno.env.get("RIVULET_REQUIRE_ALL") === "1") return false;
  console.log(
    `Tests that need '${command}' are ignored: it is not installed. ${install}`,
  );
  return true;
}
