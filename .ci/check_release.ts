/**
 * Checks that a tag is the version that the code has, and prints the part of
 * CHANGELOG.md that is about it: `deno run --allow-read .ci/check_release.ts v0.1.0`.
 *
 * @module
 */
import { VERSION } from "../src/version.ts";

const ROOT = new URL("../", import.meta.url);

const [tag] = Deno.args;
if (tag !== `v${VERSION}`) {
  console.error(
    `Expected the tag v${VERSION}, which src/version.ts has: got ${tag}`,
  );
  Deno.exit(1);
}
const changelog = await Deno.readTextFile(new URL("CHANGELOG.md", ROOT));
const [, ...parts] = changelog.split(/^## /m);
const part = parts.find((text) => text.startsWith(`${VERSION}\n`));
if (part === undefined) {
  console.error(`CHANGELOG.md has no section '${VERSION}'`);
  Deno.exit(1);
}
if (parts.some((text) => /^Unreleased\n+\S/.test(text))) {
  console.error(
    "CHANGELOG.md has changes under 'Unreleased': name the version",
  );
  Deno.exit(1);
}
console.log(part.slice(VERSION.length).trim());
