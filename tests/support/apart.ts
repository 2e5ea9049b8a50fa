/**
 * Runs programs in a network of their own, which has nothing but loopback: every port is
 * free, and nothing is fetched.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/**
 * The options of `unshare` for a program with its own mounts. If another test unmounts its
 * `FailingDisk` meanwhile, the program loses its copy of that mount, which would keep the
 * device in use.
 */
export const OWN_MOUNTS = ["--mount", "--propagation", "slave"] as const;

/** A network, mounts, and processes that end with the first of them. */
const OWN = [
  ...["unshare", "--net", ...OWN_MOUNTS, "--pid", "--fork"],
  ...["--kill-child", "--mount-proc"],
];

/** The ways to get them: as root, as root of one's own, and by becoming root. */
const WAYS: readonly (readonly string[])[] = [
  OWN,
  [...OWN, "--user", "--map-root-user"],
  ["sudo", "-n", "-E", ...OWN],
];

function works([command = "", ...args]: readonly string[]): boolean {
  try {
    const { success } = new Deno.Command(command, {
      args: [...args, "ip", "link", "set", "lo", "up"],
      stdout: "null",
      stderr: "null",
    }).outputSync();
    return success;
  } catch {
    return false; // It is not there.
  }
}

let known: readonly string[] | undefined;

function way(): readonly string[] | undefined {
  return known ??= WAYS.find(works);
}

/** Returns why nothing can be run so on this machine; `undefined` if it can. */
export function cannotRunApart(): string | undefined {
  return way()
    ? undefined
    : "Expected Linux with unshare and ip, as root, with sudo, or with user namespaces";
}

/**
 * Whether tests that run programs so have to be ignored, which is said; where nothing
 * may be ignored, they are not, and fail.
 */
export function lacksApart(): boolean {
  const reason = cannotRunApart();
  if (reason === undefined) return false;
  if (Deno.env.get("RIVULET_REQUIRE_ALL") === "1") return false;
  console.log(`Tests in a network of their own are ignored. ${reason}`);
  return true;
}

/**
 * Runs a program of Deno to its end.
 *
 * @param program The program.
 * @param args Its arguments.
 * @param env Variables beside those of this process. Default: none.
 */
export async function runApart(
  program: URL,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Deno.CommandOutput> {
  const [command = "", ...rest] = way() ?? OWN;
  return await new Deno.Command(command, {
    args: [
      ...[...rest, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"],
      ...[Deno.execPath(), "run", "-A", "--no-check", "--cached-only"],
      ...[fileURLToPath(program), ...args],
    ],
    cwd: new URL("../../", import.meta.url),
    env: { ...env },
    stdin: "null",
  }).output();
}
