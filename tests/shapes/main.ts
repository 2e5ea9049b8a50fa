/**
 * Runs the suites of one relay against another shape of it:
 * `deno task test:shapes --relay workers`, or `tree`, with other paths than the suites
 * if there are some. With `RIVULET_UPDATE=1`, the list of tests that need the inside of
 * the process is written anew.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { RELAY_SHAPES } from "../support/relay/shape.ts";
import {
  differences,
  readList,
  runShape,
  SUITES,
  updateList,
} from "./run_shape.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  options: { relay: { type: "string" } },
  allowPositionals: true,
});
const shape = RELAY_SHAPES.find((one) => one === values.relay);
if (shape === undefined) {
  throw new TypeError(
    `Expected --relay to be one of ${RELAY_SHAPES}: got '${values.relay}'`,
  );
}
const paths = positionals.length > 0 ? positionals : SUITES;
const { passed, failed, inProcess } = await runShape(shape, paths);
if (Deno.env.get("RIVULET_UPDATE") === "1") {
  await updateList(shape, paths, inProcess);
}
const wrong = differences(shape, paths, inProcess, await readList());
for (const { file, name, reason } of failed) {
  console.log(`${file}: ${name}: ${reason}`);
}
for (const line of wrong) console.log(line);
console.log(
  `${shape}: ${passed} passed, ${inProcess.length} need the inside of the process, ` +
    `${failed.length + wrong.length} failed`,
);
Deno.exit(failed.length + wrong.length > 0 ? 1 : 0);
