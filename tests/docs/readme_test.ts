// What the README promises holds: `deno test --doc`, which the test task runs,
// executes its TypeScript; here its shell commands are held against what they
// name, and it is made sure that no block escapes either.
import { assert, assertEquals, assertThrows } from "@std/assert";

const root = new URL("../../", import.meta.url);

interface Block {
  /** Of the fence, counted from 1. */
  line: number;
  language: string;
  attributes: string[];
  text: string;
}

interface Configuration {
  exports: Record<string, string>;
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

/** The fenced blocks of a Markdown file, those in lists and quotes included. */
function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; block: Block } | undefined;
  for (const [index, line] of markdown.split(/\r?\n/).entries()) {
    const [, fence, info] = /^[\s>]*(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
    if (open && fence?.startsWith(open.fence) && info?.trim() === "") {
      blocks.push(open.block);
      open = undefined;
    } else if (open) {
      open.block.text += `${line.trim()}\n`;
    } else if (fence !== undefined) {
      const [language = "", ...attributes] = (info ?? "").trim().split(/\s+/);
      open = {
        fence,
        block: { line: index + 1, language, attributes, text: "" },
      };
    }
  }
  if (open) throw new Error(`line ${open.block.line}: the block has no end`);
  return blocks;
}

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
/** What is shown rather than run. */
const OUTPUT = ["text", "json", "mermaid"];

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

/** The commands of a shell block: comments gone, continued lines joined. */
function commandsOf(text: string): string[] {
  return text
    .replaceAll(/\\\n/g, " ")
    .split("\n")
    .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
    .filter((line) => line !== "");
}

/** Splits a command into words; quotes hold, and what a shell would act on throws. */
function wordsOf(command: string): string[] {
  const words = command.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  return words.map((word) => {
    const bare = word.replaceAll(/'[^']*'|"[^"$`\\]*"/g, "");
    const special = /[|&;<>()$`\\*?"'[\]{}!~]/.exec(bare)?.[0];
    if (special !== undefined) {
      throw new Error(`'${special}' means something to the shell: quote it`);
    }
    return word.replaceAll(/'([^']*)'|"([^"]*)"/g, "$1$2");
  });
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

function checkTask(rest: string[], facts: Facts): void | Promise<void> {
  const [name, ...others] = rest;
  const { tasks } = facts;
  if (name === undefined || !tasks.includes(name)) {
    throw new Error(
      `deno.json has no task '${name}', but ${tasks.join(", ")}`,
    );
  }
  if (name === "relay") return checkFlags(others, facts);
  if (others.length > 0) throw new Error(`'${others.join(" ")}' is too much`);
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
      throw new Error(`the relay's --help does not name '${flag}'`);
    }
  }
}

/** Throws where the command for tokens makes none. */
async function checkToken(words: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-read", "--allow-env=RIVULET_JWT_KEY"]
      .concat("relay/token.ts", words),
    cwd: root,
    env: { NO_COLOR: "1", RIVULET_JWT_KEY: "x".repeat(32) },
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

// A command of another form needs a line here, and something that shows that it
// works.
const FORMS: Form[] = [
  {
    // Shown by tests/relay/permissions_test.ts.
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
    shape: "deno task token FLAGS",
    prefix: ["deno", "task", "token"],
    check: checkToken,
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
    shape: "deno run -A jsr:@rivulet/rivulet/cli FLAGS",
    prefix: ["deno", "run", "-A", "jsr:@rivulet/rivulet/cli"],
    check: checkFlags,
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

async function relayHelp(): Promise<string> {
  const path = (await readConfiguration()).exports["./cli"];
  if (path === undefined) throw new Error("deno.json exports no './cli'");
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", path, "--help"],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`--help failed: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** What `check` has to say about the README's blocks, each with its line. */
async function problemsOf(
  check: (block: Block) => Promise<string[]>,
): Promise<string[]> {
  const blocks = blocksOf(await readText("README.md"));
  const problems = await Promise.all(blocks.map(async (block) => {
    const found = await check(block);
    return found.map((problem) => `README.md:${block.line}: ${problem}`);
  }));
  return problems.flat();
}

Deno.test("README has only blocks that are run or are output", async () => {
  const problems = await problemsOf((block) => {
    const problem = whyNotRun(block);
    return Promise.resolve(problem === undefined ? [] : [problem]);
  });
  assertEquals(problems, []);
});

Deno.test("README has its code run by the test task", async () => {
  const { exclude = [], tasks, test } = await readConfiguration();
  const task = tasks["test"];
  const command = typeof task === "string" ? task : task?.command ?? "";
  assert(/^deno test\b.* --doc\b/.test(command), `'${command}' lacks --doc`);
  const paths = command.split(" ").slice(2).filter((w) => !w.startsWith("-"));
  assert(
    paths.length === 0 || paths.includes("README.md"),
    `'${command}' leaves the README out`,
  );
  assertEquals(test?.include, undefined);
  const excluded = [...exclude, ...test?.exclude ?? []];
  assertEquals(excluded.filter((path) => path.endsWith(".md")), []);
});

Deno.test("README has only shell commands that are known to work", async () => {
  const { tasks } = await readConfiguration();
  let help: Promise<string> | undefined;
  const facts = {
    tasks: Object.keys(tasks),
    help: () => help ??= relayHelp(),
  };
  const problems = await problemsOf(async ({ language, text }) => {
    if (!SHELL.includes(language)) return [];
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

// The checks above have little to bite on while the README is short: these show
// that they bite.

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
    [[1, "ts", "a;\n"], [5, "sh", "b \\\nc\n"], [9, "text", "```\n"]],
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
  tasks: ["check", "test", "relay"],
  help: () =>
    Promise.resolve("  -p, --port N\n      --source NAME=URL\n  --no-page\n"),
};

for (
  const command of [
    "npx --yes deno@2.9.6 task test",
    "deno task check",
    "deno task relay --source a=http://localhost:1/",
    "curl -N http://localhost:8787/topics/demo",
    "curl -N http://localhost:8787/v1/models -H 'A: b' -d '{}'",
    "curl -N 'http://localhost:8787/topics/demo?after=start&mode=all'",
    "npx --yes wscat@6.1.0 -c ws://localhost:8787/topics/demo",
    "websocat ws://localhost:8787/topics/demo",
    "deno run -A jsr:@rivulet/rivulet/cli",
    "deno run -A jsr:@rivulet/rivulet/cli --source news=https://example.com/events -p 80",
    "deno run -A jsr:@rivulet/rivulet/cli --port=80 --no-page",
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
    ["deno task tset", "no task 'tset', but check, test, relay"],
    ["deno task", "no task 'undefined'"],
    ["deno task test --watch", "'--watch' is too much"],
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
