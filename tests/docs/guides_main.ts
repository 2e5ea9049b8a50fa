/**
 * Follows the guides from an empty folder, word by word, and says how long each takes:
 * `deno task guides [PAGE...]`.
 *
 * Each guide has a network of its own, with nothing but loopback. The time is that of
 * the machine: a reader adds the time to read the words.
 *
 * @module
 */
import { cannotRunApart } from "../support/apart.ts";
import { followApart } from "../support/docs/guides/apart.ts";
import { GUIDES } from "../support/docs/guides/guides.ts";

/** The words that a person reads in a minute. */
const PACE = 200;

const unknown = Deno.args
  .filter((word) => !GUIDES.some(({ page }) => page === word));
const reason = unknown.length > 0
  ? `Usage: deno task guides [${GUIDES.map(({ page }) => page).join("] [")}]`
  : cannotRunApart();
if (reason !== undefined) {
  console.error(reason);
  Deno.exit(2);
}

for (const { page, cannot } of GUIDES) {
  if (Deno.args.length > 0 && !Deno.args.includes(page)) continue;
  if (cannot !== undefined) {
    console.log(`${page}: not followed: ${cannot}`);
    continue;
  }
  const text = await Deno.readTextFile(
    new URL(`../../${page}`, import.meta.url),
  );
  const minutes = Math.ceil(text.split(/\s+/).length / PACE);
  try {
    const { commands, programs, left, steps, seconds } = await followApart(
      page,
      "all",
    );
    console.log(
      `${page}: ${seconds.toFixed(1)} s for ${commands} commands and ` +
        `${programs} programs, ${minutes} min to read`,
    );
    for (const { name, seconds } of steps) {
      console.log(`  ${seconds.toFixed(1)} s: ${name}`);
    }
    for (const command of left) console.log(`  not followed: ${command}`);
  } catch (error) {
    console.log(`${page}: FAILED: ${error}`);
    Deno.exitCode = 1;
  }
}
