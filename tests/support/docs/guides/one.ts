/**
 * Follows one guide, in a process with a network of its own: see apart.ts.
 *
 * @module
 */
import { followGuide } from "./follow.ts";
import { GUIDES } from "./guides.ts";
import { Reader } from "./reader.ts";

const [page, part] = Deno.args;
const guide = GUIDES.find((guide) => guide.page === page);
if (!guide || part !== "all" && part !== "commands") {
  throw new Error(`Expected a guide and a part: got ${Deno.args.join(" ")}`);
}
await using reader = await Reader.open(guide.page);
const start = performance.now();
const { commands, programs, left, steps } = await followGuide(
  reader,
  guide,
  part,
);
const seconds = (performance.now() - start) / 1_000;
console.log(JSON.stringify({ commands, programs, left, steps, seconds }));
