// The documents keep their promises: `deno test --doc`, which the test task
// runs, executes their TypeScript. This file checks their shell commands, their
// links, and that no block escapes a check.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { USAGE as BENCH_FANOUT_USAGE } from "../../bench/fanout/options.ts";
import { USAGE as BENCH_GATEWAY_USAGE } from "../../bench/gateway/options.ts";
import { USAGE as BENCH_TOPICS_USAGE } from "../../bench/topics/options.ts";
import { commands } from "../../relay/commands/commands.ts";
import { helpOn } from "../../relay/commands/help.ts";
import { anchorsIn, type Block, blocksOf } from "../support/docs/markdown.ts";
import { commandsOf, wordsOf } from "../support/docs/shell.ts";
import { flagsIn, OTHER_FLAGS, relayHelp } from "../support/docs/relay_help.ts";

const root = new URL("../../", import.meta.url);

interface Configuration {
  exports: Record<string, string>;
  imports: Record<string, string>;
  exclude?: string[];
  tasks: Record<string, string | { command: string }>;
  test?: { exclude?: string[]; include?: string[] };
}

function readText(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, root));
}

async function readConfiguration(): Promise<Configuration> {
  return JSON.parse(await readText("deno.json"));
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(new URL(path, root));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Every Markdown file that people read, by its path in the repository. */
const PAGES = [
  "README.md",
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "PROTOCOL.md",
  "SECURITY.md",
  "examples/README.md",
  "fixtures/README.md",
  ...[...Deno.readDirSync(new URL("docs/", root))]
    .map(({ name }) => `docs/${name}`)
    .filter((path) => path.endsWith(".md")).sort(),
];

// As Deno has them: its `--doc` runs blocks of these languages.
const CODE = [
  "ts",
  "typescript",
  "mts",
  "tsx",
  "js",
  "javascript",
  "mjs",
  "jsx",
];
const SHELL = ["sh"];
/** Pages whose commands another test runs: tests/package/guides_test.ts. */
const RUN_ELSEWHERE = ["docs/terminal.md"];
/** The languages of blocks that are shown rather than run. */
const OUTPUT = ["text", "json", "http", "yaml", "mermaid"];

/** Says why a block would not be run, if so. */
function whyNotRun({ language, attributes }: Block): string | undefined {
  if (CODE.includes(language)) {
    return attributes.length > 0
      ? `code is run only without attributes, this has '${
        attributes.join(" ")
      }'`
      : undefined;
  }
  return [...SHELL, ...OUTPUT].includes(language)
    ? undefined
    : `'${language}' is not a language that is run: use ${
      ["ts", ...SHELL].join(" or ")
    }, or ${OUTPUT.join(", ")} for what is only shown`;
}

function assertLocal(url: string | undefined, schemes: string[]): void {
  if (!URL.canParse(url ?? "")) throw new Error(`'${url}' is not a URL`);
  const { protocol, hostname } = new URL(url ?? "");
  if (!schemes.includes(protocol)) {
    throw new Error(`'${url}' must begin with ${schemes.join(" or ")}`);
  }
  if (hostname !== "localhost") {
    throw new Error(`'${url}' must be of localhost, where it can be tried`);
  }
}

interface Facts {
  tasks: string[];
  /** The relay's answer to `--help`. */
  help(): Promise<string>;
}

interface Form {
  shape: string;
  /** The words that a command of this form begins with. */
  prefix: string[];
  /** Throws where the words after the prefix are wrong. */
  check(rest: string[], facts: Facts): void | Promise<void>;
}

async function checkTask(rest: string[], facts: Facts): Promise<void> {
  const [name, ...others] = rest;
  const { tasks } = facts;
  if (name === undefined || !tasks.includes(name)) {
    throw new Error(
      `deno.json has no task '${name}', but ${tasks.join(", ")}`,
    );
  }
  if (name === "relay") return await checkFlags(others, facts);
  if (name === "test") return await checkTests(others);
  if (name === "tree" && others.length === 1) return; // a folder to make
  const usage = BENCH_USAGES[name];
  if (usage !== undefined) return checkBench(others, usage);
  if (others.length > 0) throw new Error(`'${others.join(" ")}' is too much`);
}

/** Checks that the tests that a command names exist, with its filter. */
async function checkTests(words: string[]): Promise<void> {
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--filter") rest.shift();
    else if (word.startsWith("-")) throw new Error(`'${word}' is too much`);
    else if (!await exists(word)) throw new Error(`there is no '${word}'`);
  }
}

/** The help of the benches with flags, by task. */
const BENCH_USAGES: Readonly<Record<string, string>> = {
  "bench:fanout": BENCH_FANOUT_USAGE,
  "bench:gateway": BENCH_GATEWAY_USAGE,
  "bench:topics": BENCH_TOPICS_USAGE,
};

function checkBench(words: string[], usage: string): void {
  const known = flagsIn(usage);
  const unknown = flagsIn(words.join(" "))
    .filter((flag) => !known.includes(flag));
  if (unknown.length > 0) throw new Error(`'${unknown}' is too much`);
}

/** A request that is no more than its URL, or has headers and a body too. */
function checkCurl([url, ...others]: string[]): void {
  assertLocal(url, ["http:"]);
  while (others.length > 0) {
    const [flag, value] = others.splice(0, 2);
    if ((flag !== "-H" && flag !== "-d") || value === undefined) {
      throw new Error(`'${[flag, value].join(" ")}' is too much`);
    }
  }
}

function checkUrl(...schemes: string[]): Form["check"] {
  return ([url, ...others]) => {
    assertLocal(url, schemes);
    if (others.length > 0) throw new Error(`'${others.join(" ")}' is too much`);
  };
}

async function checkFlags(rest: string[], { help }: Facts): Promise<void> {
  const flags = rest.filter((word) => word.startsWith("-"))
    .map((word) => word.replace(/=.*$/, ""));
  if (flags.length === 0) return;
  const known: string[] =
    (await help()).match(/(?<![\w-])--?[A-Za-z][\w-]*/g) ?? [];
  for (const flag of flags) {
    if (!known.includes(flag)) {
      throw new Error(`the help does not name '${flag}'`);
    }
  }
}

/** Throws where a command goes on after its prefix. */
function isAll(rest: string[]): void {
  if (rest.length > 0) throw new Error(`'${rest.join(" ")}' is too much`);
}

/** Throws where a package is installed that this project's tests do not have. */
async function checkPackages(words: string[]): Promise<void> {
  const { imports } = await readConfiguration();
  const known = Object.values(imports).map((one) =>
    one.replace(/@[^@/]*$/, "")
  );
  for (const word of words) {
    const name = word.replace(/(?<=\w)@[^@/]*$/, "");
    if (name !== "jsr:@rivulet/rivulet" && !known.includes(name)) {
      throw new Error(`deno.json has no '${name}'`);
    }
  }
}

/** A command of the command line, or the flags of the relay. */
async function checkCli(rest: string[], facts: Facts): Promise<void> {
  const [name = "", ...others] = rest;
  if (name === "token") return await checkToken(others);
  if (!Object.hasOwn(commands, name)) return await checkFlags(rest, facts);
  if (name === "serve" || name === "demo") {
    return await checkFlags(others, facts);
  }
  await checkFlags(others, { ...facts, help: () => helpOn(name) });
}

/** Throws where the command for tokens makes none. */
async function checkToken(words: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-read", "--allow-env=RIVULET_JWT_KEY"]
      .concat("relay/main.ts", "token", words),
    cwd: root,
    env: { NO_COLOR: "1", RIVULET_JWT_KEY: "x".repeat(32) },
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

// A command of another form needs a line here, and something that shows that it
// works.
const FORMS: Form[] = [
  {
    // Shown by tests/relay/commands/permissions_test.ts.
    shape: "deno run PERMISSIONS jsr:@rivulet/rivulet/cli",
    prefix: [
      "deno",
      "run",
      "--allow-net=127.0.0.1:8787",
      "--allow-env=RIVULET_*,WS_NO_BUFFER_UTIL",
      "jsr:@rivulet/rivulet/cli",
    ],
    check: checkFlags,
  },
  {
    shape: "npx --yes deno@2.9.6 task NAME",
    prefix: ["npx", "--yes", "deno@2.9.6", "task"],
    check: checkTask,
  },
  {
    shape: "deno task NAME",
    prefix: ["deno", "task"],
    check: checkTask,
  },
  {
    // Of the system: shown by nothing.
    shape: "sysctl -w NAME=VALUE",
    prefix: ["sysctl", "-w"],
    check: () => {},
  },
  {
    // Of Docker: tests/docs/containers_test.ts shows what can be shown without it.
    shape: "docker build -t rivulet .",
    prefix: ["docker", "build", "-t", "rivulet", "."],
    check: isAll,
  },
  {
    shape: "docker compose up --build",
    prefix: ["docker", "compose", "up", "--build"],
    check: isAll,
  },
  {
    shape: "curl -N URL [-H HEADER ...] [-d BODY]",
    prefix: ["curl", "-N"],
    check: checkCurl,
  },
  {
    shape: "npx --yes wscat@6.1.0 -c URL",
    prefix: ["npx", "--yes", "wscat@6.1.0", "-c"],
    check: checkUrl("ws:"),
  },
  {
    shape: "websocat URL",
    prefix: ["websocat"],
    check: checkUrl("ws:"),
  },
  {
    // Of docs/chat.md, which tests/support/docs/guides/chat.ts follows; so are the next two.
    shape: "deno add PACKAGE ...",
    prefix: ["deno", "add"],
    check: checkPackages,
  },
  {
    shape: "deno bundle --platform=browser -o page.js page.jsx",
    prefix: ["deno", "bundle", "--platform=browser", "-o", "page.js"],
    check: () => {},
  },
  {
    shape: "deno run -A server.ts",
    prefix: ["deno", "run", "-A", "server.ts"],
    check: isAll,
  },
  {
    shape: "deno run -A jsr:@rivulet/rivulet/cli [COMMAND] FLAGS",
    prefix: ["deno", "run", "-A", "jsr:@rivulet/rivulet/cli"],
    check: checkCli,
  },
];

/** Throws, with a reason to act on, where a command is not known to work. */
async function checkCommand(command: string, facts: Facts): Promise<void> {
  const words = wordsOf(command);
  const form = FORMS.find(({ prefix }) =>
    prefix.every((word, i) => words[i] === word)
  );
  if (!form) {
    throw new Error(
      `a command of no known form: these are\n  ${
        FORMS.map(({ shape }) => shape).join("\n  ")
      }`,
    );
  }
  await form.check(words.slice(form.prefix.length), facts);
}

/**
 * Returns the problems that `check` finds in the blocks of all pages, each with
 * its line.
 */
async function problemsOf(
  check: (block: Block, page: string) => Promise<string[]>,
): Promise<string[]> {
  const problems = await Promise.all(PAGES.map(async (page) => {
    const blocks = blocksOf(await readText(page));
    const found = await Promise.all(
      blocks.map((block) => check(block, page)),
    );
    return found.flatMap((problems, index) =>
      problems.map((problem) => `${page}:${blocks[index]?.line}: ${problem}`)
    );
  }));
  return problems.flat();
}

Deno.test("The documents have only blocks that are run or are output", async () => {
  const problems = await problemsOf((block) => {
    const problem = whyNotRun(block);
    return Promise.resolve(problem === undefined ? [] : [problem]);
  });
  assertEquals(problems, []);
});

Deno.test("The documents have no marks of a merge", async () => {
  for (const page of PAGES) {
    const marks = (await readText(page)).match(/^(?:<{7}|={7}|>{7}).*$/gm);
    assertEquals(marks, null, page);
  }
});

Deno.test("The documents have their code run by the test task", async () => {
  const { exclude = [], tasks, test } = await readConfiguration();
  const task = tasks["test"];
  const command = typeof task === "string" ? task : task?.command ?? "";
  assert(/^deno test\b.* --doc\b/.test(command), `'${command}' lacks --doc`);
  const paths = command.split(" ").slice(2).filter((w) => !w.startsWith("-"));
  assertEquals(paths, [], `'${command}' leaves documents out`);
  assertEquals(test?.include, undefined);
  const excluded = [...exclude, ...test?.exclude ?? []];
  assertEquals(excluded.filter((path) => /\.md$|^docs/.test(path)), []);
});

Deno.test("The documents have only shell commands that are known to work", async () => {
  const { tasks } = await readConfiguration();
  const facts = { tasks: Object.keys(tasks), help: relayHelp };
  const problems = await problemsOf(async ({ language, text }, page) => {
    if (!SHELL.includes(language) || RUN_ELSEWHERE.includes(page)) return [];
    const found: string[] = [];
    for (const command of commandsOf(text)) {
      try {
        await checkCommand(command, facts);
      } catch (error) {
        found.push(
          `${command}\n  ${error instanceof Error ? error.message : error}`,
        );
      }
    }
    return found;
  });
  assertEquals(problems, []);
});

Deno.test("The documents name only tasks that there are", async () => {
  const { tasks } = await readConfiguration();
  const problems: string[] = [];
  for (const page of PAGES) {
    const text = (await readText(page)).replaceAll(/\s+/g, " ");
    for (const [, name = ""] of text.matchAll(/deno task ([a-z:]+)(?!\.)\b/g)) {
      if (!(name in tasks)) problems.push(`${page}: deno task ${name}`);
    }
  }
  assertEquals(problems, []);
});

Deno.test("The documents name only options that there are", async () => {
  const known = new Set(flagsIn(await relayHelp()));
  const problems: string[] = [];
  for (const page of PAGES) {
    for (const flag of flagsIn(await readText(page))) {
      if (known.has(flag) || OTHER_FLAGS.has(flag)) continue;
      problems.push(`${page}: ${flag}`);
    }
  }
  assertEquals(problems, []);
});

Deno.test("The documents have only links that lead somewhere", async () => {
  const problems: string[] = [];
  for (const page of PAGES) {
    const text = await readText(page);
    for (const [, link = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https:/.test(link)) continue;
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : new URL(path, new URL(page, root))
        .href.slice(root.href.length);
      if (!await exists(target)) problems.push(`${page}: ${link}`);
      else if (
        anchor !== undefined &&
        !anchorsIn(await readText(target)).includes(anchor)
      ) problems.push(`${page}: ${link} has no such heading`);
    }
  }
  assertEquals(problems, []);
});

/** A path from the root of the repository, to a file or a folder. */
const PATH =
  /^(?:\.ci|\.github|bench|docs|fixtures|links|relay|src|tests)\/[\w./-]*$|^(?:[A-Z]+\.md|mod\.ts|deno\.json)$/;

Deno.test("The documents name only files and folders that there are", async () => {
  const problems: string[] = [];
  let count = 0;
  for (const page of PAGES) {
    if (page === "CHANGELOG.md") continue; // what was there then may be gone
    // A code span may go over the end of a line.
    const text = (await readText(page)).replaceAll(/^ *```.*?^ *```/gms, "")
      .replaceAll(/\s+/g, " ");
    for (const [, code = ""] of text.matchAll(/`([^`]+)`/g)) {
      if (!PATH.test(code)) continue;
      count++;
      const isThere = await exists(code) ||
        await exists(`${page.replace(/[^/]*$/, "")}${code}`);
      if (!isThere) problems.push(`${page}: ${code}`);
    }
  }
  assert(count > 100, `few paths: ${count}`);
  assertEquals(problems, []);
});

// The checks above may have little to bite on: these show that they bite.

Deno.test("blocksOf finds fences in lists, and those of four ticks", () => {
  const markdown = [
    "```ts",
    "a;",
    "```",
    "- item",
    "  ```sh",
    "  b \\",
    "    c",
    "  ```",
    "````text",
    "```",
    "````",
  ].join("\n");
  assertEquals(
    blocksOf(markdown).map((
      { line, language, text },
    ) => [line, language, text]),
    [[1, "ts", "a;\n"], [5, "sh", "b \\\n  c\n"], [9, "text", "```\n"]],
  );
  assertThrows(() => blocksOf("\n```ts\na"), Error, "line 2");
});

Deno.test("whyNotRun refuses what --doc passes over", () => {
  const block = { line: 1, text: "", attributes: [] };
  for (const language of ["ts", "js", "sh", "json"]) {
    assertEquals(whyNotRun({ ...block, language }), undefined);
  }
  for (const language of ["", "html", "bash", "console"]) {
    assert(whyNotRun({ ...block, language }));
  }
  assert(whyNotRun({ ...block, language: "ts", attributes: ["ignore"] }));
});

Deno.test("commandsOf drops comments and joins continued lines", () => {
  assertEquals(
    commandsOf("# first\na b  # why\n\nc \\\n  d\ncurl -N http://a/#b\n"),
    ["a b", "c    d", "curl -N http://a/#b"],
  );
});

const facts: Facts = {
  tasks: ["check", "test", "relay", "bench:fanout", "bench:topics"],
  help: () =>
    Promise.resolve("  -p, --port N\n      --source NAME=URL\n  --no-page\n"),
};

for (
  const command of [
    "npx --yes deno@2.9.6 task test",
    "deno task check",
    "deno task test tests/sse --filter 'final CR'",
    "deno task bench:fanout --servers ws",
    "deno task bench:topics --loads 500x3",
    "deno task relay --source a=http://localhost:1/",
    "curl -N http://localhost:8787/topics/demo",
    "curl -N http://localhost:8787/v1/models -H 'A: b' -d '{}'",
    "curl -N 'http://localhost:8787/topics/demo?after=start&mode=all'",
    "npx --yes wscat@6.1.0 -c ws://localhost:8787/topics/demo",
    "websocat ws://localhost:8787/topics/demo",
    "deno run -A jsr:@rivulet/rivulet/cli",
    "deno run -A jsr:@rivulet/rivulet/cli --source news=https://example.com/events -p 80",
    "deno run -A jsr:@rivulet/rivulet/cli --port=80 --no-page",
    "deno run -A jsr:@rivulet/rivulet/cli serve --no-page",
    "deno run -A jsr:@rivulet/rivulet/cli hostile --plan reset",
    "deno run -A jsr:@rivulet/rivulet/cli token --new-key",
  ]
) {
  Deno.test(`checkCommand knows ${command}`, async () => {
    await checkCommand(command, facts);
  });
}

for (
  const [command, reason] of [
    ["npm install rivulet", "no known form"],
    ["npx --yes deno@2.9.5 task test", "no known form"],
    [
      "deno task tset",
      "no task 'tset', but check, test, relay, bench:fanout, bench:topics",
    ],
    ["deno task", "no task 'undefined'"],
    ["deno task test --watch", "'--watch' is too much"],
    ["deno task test tests/ssse", "there is no 'tests/ssse'"],
    ["deno task bench:fanout --server ws", "'--server' is too much"],
    ["deno task bench:topics --servers ws", "'--servers' is too much"],
    ["curl -N localhost:8787", "must begin with http:"],
    ["deno task relay --sauce a", "'--sauce'"],
    ["curl -N http://localhost:8787/ -o file", "'-o file' is too much"],
    ["curl -N http://localhost:8787/ -d", "is too much"],
    ["curl -N http://example.com/", "must be of localhost"],
    ["curl -N http://localhost:8787/topics/a?after=now", "'?' means something"],
    ["curl -N http://localhost:8787/ | head", "'|' means something"],
    ["websocat http://localhost:8787/", "must begin with ws:"],
    ["websocat", "is not a URL"],
    ["deno run -A jsr:@rivulet/rivulet/cli --sauce a", "'--sauce'"],
    ["deno run -A jsr:@rivulet/rivulet/cli --por 1", "'--por'"],
    ["deno run -A jsr:@rivulet/rivulet/cli hostile --plam", "'--plam'"],
    ["deno run -A jsr:@rivulet/rivulet/cli token --ttl", "--ttl"],
  ] as const
) {
  Deno.test(`checkCommand refuses ${command}`, async () => {
    let message = "";
    try {
      await checkCommand(command, facts);
    } catch (error) {
      message = error instanceof Error ? error.message : "";
    }
    assert(message.includes(reason), message || "it was accepted");
  });
}
