/** A run of a program that has ended. */
export interface ProgramRun {
  /** Its exit code. */
  readonly code: number;
  /** The text on its stdout. */
  readonly stdout: string;
  /** The text on its stderr. */
  readonly stderr: string;
}

/**
 * Runs `deno` with these arguments to its end, in the repository's folder.
 *
 * @param args The arguments, from the subcommand on.
 * @param env Variables besides those of the test.
 */
export async function runDeno(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ProgramRun> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: new URL("../../", import.meta.url),
    env: { NO_COLOR: "1", ...env },
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}
