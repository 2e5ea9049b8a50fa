/**
 * Tries an upgrade of the service from another commit to this checkout, and the way
 * back: `deno task test:upgrade COMMIT`.
 *
 * @module
 */
import { upgrade } from "../tests/support/docs/upgrade.ts";
import { fromUrl } from "./portable/paths.ts";

const ROOT = new URL("../", import.meta.url);

const [commit, ...rest] = Deno.args;
if (commit === undefined || rest.length > 0) {
  console.error("Usage: deno task test:upgrade COMMIT");
  Deno.exit(2);
}
const folder = await Deno.makeTempDir({ prefix: "rivulet-" });
try {
  await Deno.mkdir(`${folder}/old`);
  for (
    const [command, ...args] of [
      ["git", "archive", "--output", `${folder}/old.tar`, commit],
      ["tar", "-xf", `${folder}/old.tar`, "-C", `${folder}/old`],
    ] as const
  ) {
    const { success } = await new Deno.Command(command, {
      args: [...args],
      cwd: fromUrl(ROOT),
    }).spawn().status;
    if (!success) throw new Error(`${command} ${args[0]} failed`);
  }
  const old = { version: "old", checkout: `${folder}/old` };
  const result = await upgrade([old, { version: "new" }, old]);
  const isExact = JSON.stringify(result.data) ===
    JSON.stringify(result.published);
  if (result.restored) {
    console.log(`${commit} cannot read the store: the backup was restored`);
  }
  console.log(
    `${result.published.length} events acknowledged, ${result.data.length} followed` +
      ` in ${result.epochs.length} epoch(s), ${
        isExact ? "the same" : "OTHERS"
      };` +
      ` statuses ${result.stops.map(({ code }) => code).join(", ")}`,
  );
  Deno.exitCode = isExact && result.epochs.length === (result.restored ? 2 : 1)
    ? 0
    : 1;
} finally {
  await Deno.remove(folder, { recursive: true });
}
