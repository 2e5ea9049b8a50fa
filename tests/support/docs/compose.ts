/**
 * Reads the files of Docker Compose that this repository has.
 *
 * @module
 */

/** The lists that services have under a key. */
export function valuesOf(compose: string, key: string): string[][] {
  return [...compose.matchAll(new RegExp(`^ +${key}: (\\[[^\\]]*\\])`, "gm"))]
    .map(([, value = ""]) => JSON.parse(value.replace(/,\s*\]$/, "]")));
}

/** Returns the services, each with the lines below its name. */
export function servicesOf(compose: string): Map<string, string> {
  const [, section = ""] = /^services:\n((?: .*\n|\n)*)/m.exec(compose) ?? [];
  return new Map(
    [...section.matchAll(/^ {2}([\w-]+):(.*\n(?: {4,}.*\n)*)/gm)]
      .map(([, name = "", text = ""]) => [name, text]),
  );
}
