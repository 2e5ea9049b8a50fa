/**
 * Replaces the relays of a cluster, which are of another commit, by those of this
 * checkout: `deno task test:rolling [COMMIT]`.
 *
 * @module
 */
import { rollOut } from "./rolling.ts";

const [commit, ...rest] = Deno.args;
if (rest.length > 0) {
  console.error("Usage: deno task test:rolling [COMMIT]");
  Deno.exit(2);
}

/** Unpacks a commit. */
async function checkout(commit: string, folder: string): Promise<string> {
  await Deno.mkdir(`${folder}/before`);
  for (
    const [command, ...args] of [
      ["git", "archive", "--output", `${folder}/before.tar`, commit],
      ["tar", "-xf", `${folder}/before.tar`, "-C", `${folder}/before`],
    ] as const
  ) {
    const { success } = await new Deno.Command(command, { args }).spawn()
      .status;
    if (!success) throw new Error(`${command} ${args[0]} failed`);
  }
  return `${folder}/before`;
}

const folder = await Deno.makeTempDir({ prefix: "rivulet-" });
try {
  const before = commit === undefined
    ? undefined
    : await checkout(commit, folder);
  const { published, repeated, away, faults } = await rollOut({
    before,
    subscribers: 70,
    drain: 10_000,
  });
  console.log(
    `${published} events acknowledged, ${repeated} attempts repeated`,
  );
  for (const [kind, times] of away) {
    const at = (part: number): number =>
      Math.round(times[Math.floor(part * (times.length - 1))] ?? 0);
    console.log(
      `${times.length} subscribers with ${kind} were away for ${at(0.5)} ms ` +
        `(median), ${at(0.99)} ms (p99), ${at(1)} ms at most`,
    );
  }
  for (const fault of faults) console.log(`NOT as expected: ${fault}`);
  Deno.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  await Deno.remove(folder, { recursive: true });
}
