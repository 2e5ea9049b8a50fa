/**
 * Takes out of deno.json, for the release, what is of a checkout alone: `links`, as what
 * is published imports the standard library of JSR, and `workspace`, as the source of the
 * relay's page is not published.
 *
 * @module
 */
const file = new URL("../deno.json", import.meta.url);
const config: {
  links?: unknown;
  workspace?: string[];
  publish: { include: string[]; exclude?: string[] };
} = JSON.parse(await Deno.readTextFile(file));
delete config.links;
config.publish.exclude = config.workspace ?? [];
delete config.workspace;
config.publish.include = config.publish.include.filter((path) =>
  path !== "links"
);
await Deno.writeTextFile(file, `${JSON.stringify(config, undefined, 2)}\n`);
