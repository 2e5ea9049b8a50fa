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
  const { data, published, epochs, restored, stops } = result;
  // A backup is another log, which a subscriber reads from its start: here, it has
  // what was published before the upgrade.
  const third = published.length / 3;
  const expected = restored
    ? [
      ...published.slice(0, 2 * third),
      ...published.slice(0, third),
      ...published.slice(2 * third),
    ]
    : published;
  const isExact = JSON.stringify(data) === JSON.stringify(expected);
  if (restored) {
    console.log(`${commit} cannot read the store: the backup was restored`);
  }
  console.log(
    `${published.length} events acknowledged, ${data.length} followed in ` +
      `${epochs.length} epoch(s), ${
        isExact ? "as expected" : "NOT as expected"
      };` +
      ` statuses ${stops.map(({ code }) => code).join(", ")}`,
  );
  Deno.exitCode = isExact && epochs.length === (restored ? 2 : 1) ? 0 : 1;
} finally {
  await Deno.remove(folder, { recursive: true });
}
