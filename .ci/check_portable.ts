/**
 * Proves that `src/`, the subscriber's library and a chat's run where there is no Deno:
 * their types are checked without Deno's, against what browsers and Node 20 have;
 * they import nothing but themselves, `src/`, zod, and the streams of the standard
 * library; and each module says that it is so.
 *
 * ```sh
 * deno run -A .ci/check_portable.ts
 * ```
 */
import { fromUrl } from "./portable/paths.ts";

const ROOT = new URL("../", import.meta.url);
const SOURCE = new URL("src/", ROOT);
const CLIENT = new URL("relay/client/", ROOT);
const CHAT = new URL("relay/chat/", ROOT);

/** The half of a chat that is for servers. */
const CHAT_SERVER = new URL("server/", CHAT);

/** The names of chats, which the relay knows too. */
const CHAT_TOPIC = new URL("relay/chat_topic.ts", ROOT);

/**
 * The library of every runtime that the core promises to run on: the language
 * as of Node 20, so without `Promise.withResolvers`, and the web's APIs.
 */
const LIBRARIES = [
  "es2023",
  "dom",
  "dom.iterable",
  "dom.asynciterable",
];

/** The parts that Node 20 has from a later version of the language. */
const TYPES = new URL(".ci/portable/disposable.d.ts", ROOT).href;

/** The imports allowed from elsewhere: each runs wherever `src/` does. */
const ALLOWED = /^(?:zod|@std\/streams\/[^/]+)$/;

const MARK = "// This module is browser compatible.";

/** A module, and what it imports, as `deno info --json` tells. */
interface Module {
  specifier: string;
  dependencies?: { specifier: string }[];
}

const files: URL[] = [];
await collect(SOURCE);
await collect(CLIENT);
await collect(CHAT);
files.push(CHAT_TOPIC);
files.sort((a, b) => a.href < b.href ? -1 : 1);
const failures = [
  ...await checkTypes(),
  ...(await Promise.all(files.map(checkModule))).flat(),
];
for (const failure of failures) console.error(failure);
console.log(
  failures.length === 0
    ? `The ${files.length} modules of src/, relay/client/ and relay/chat/ need no Deno`
    : `Not portable: ${failures.length} failures`,
);
Deno.exitCode = failures.length === 0 ? 0 : 1;

async function collect(folder: URL): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const inner = new URL(`${name}/`, folder);
    if (inner.href === CHAT_SERVER.href) continue;
    if (isDirectory) await collect(inner);
    else if (/\.[cm]?[jt]sx?$/.test(name)) files.push(new URL(name, folder));
  }
}

async function deno(args: string[]): Promise<{ ok: boolean; text: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
  }).output();
  const decoder = new TextDecoder();
  return {
    ok: success,
    text: decoder.decode(success ? stdout : stderr).trim(),
  };
}

async function checkTypes(): Promise<string[]> {
  const { compilerOptions, imports } = await readConfig(ROOT);
  const config = await Deno.makeTempFile({ suffix: ".json" });
  try {
    await Deno.writeTextFile(
      config,
      JSON.stringify({
        compilerOptions: { ...compilerOptions, lib: LIBRARIES, types: [TYPES] },
        imports: { zod: imports["zod"], ...await streams() },
      }),
    );
    const { ok, text } = await deno([
      "check",
      "--quiet",
      "--no-lock",
      "--config",
      config,
      ...files.map(fromUrl),
    ]);
    return ok ? [] : [text];
  } finally {
    await Deno.remove(config);
  }
}

async function readConfig(folder: URL) {
  const config: {
    compilerOptions: Record<string, unknown>;
    exports: Record<string, string>;
    imports: Record<string, string>;
  } = JSON.parse(await Deno.readTextFile(new URL("deno.json", folder)));
  return config;
}

/** The modules of the stand-in for `@std/streams`, which are checked likewise. */
async function streams(): Promise<Record<string, string>> {
  const folder = new URL("links/streams/", ROOT);
  const { exports } = await readConfig(folder);
  return Object.fromEntries(
    Object.entries(exports).map(([name, file]) => [
      name.replace(".", "@std/streams"),
      new URL(file, folder).href,
    ]),
  );
}

async function checkModule(file: URL): Promise<string[]> {
  const name = file.href.slice(ROOT.href.length);
  const failures: string[] = [];
  const text = await Deno.readTextFile(file);
  const isIndex = name.endsWith("/mod.ts");
  if (isIndex) {
    const rest = text.replace(/\/\*\*.*?\*\//gs, "")
      .replace(/^export (?:type )?(?:\*|\{[^}]*\}) from "[^"]+";$/gm, "");
    if (rest.trim() !== "" && rest.trim() !== MARK) {
      failures.push(`${name}: does more than export what others have`);
    }
  } else if (!text.split("\n").includes(MARK)) {
    failures.push(`${name}: lacks the line "${MARK}"`);
  }
  if (/^\/\/\/ *<reference +lib/m.test(text)) {
    failures.push(`${name}: chooses its own library of types`);
  }
  const { ok, text: info } = await deno(["info", "--json", file.href]);
  if (!ok) return [...failures, `${name}: ${info}`];
  const { modules }: { modules: Module[] } = JSON.parse(info);
  const self = modules.find(({ specifier }) => specifier === file.href);
  for (const { specifier } of self?.dependencies ?? []) {
    const { href } = new URL(specifier, file);
    const isOwn = specifier.startsWith(".") &&
      (href.startsWith(SOURCE.href) ||
        file.href.startsWith(CLIENT.href) && href.startsWith(CLIENT.href) ||
        file.href.startsWith(CHAT.href) &&
          [CLIENT, CHAT, CHAT_TOPIC].some((place) =>
            href.startsWith(place.href)
          ));
    if (!isOwn && !ALLOWED.test(specifier)) {
      failures.push(`${name}: imports ${specifier}`);
    }
  }
  return failures;
}
