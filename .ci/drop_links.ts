/**
 * Takes `links` out of deno.json, for the release: what is published imports the
 * standard library of JSR, and not the stand-ins of a checkout.
 *
 * @module
 */
const file = new URL("../deno.json", import.meta.url);
const config: { links?: unknown; publish: { include: string[] } } = JSON.parse(
  await Deno.readTextFile(file),
);
delete config.links;
config.publish.include = config.publish.include.filter((path) =>
  path !== "links"
);
await Deno.writeTextFile(file, `${JSON.stringify(config, undefined, 2)}\n`);
