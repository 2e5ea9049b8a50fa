// Real agents in front of the relay: Codex (over HTTP and over the WebSocket) and Claude
// Code, with `HostileProvider` behind. Run by `deno task test:agents`: together they are
// 800 MB of binaries, so the usual tests leave them out. RIVULET_AGENTS names a folder with
// their `node_modules`; without it, npm installs them into a folder that is deleted.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { HostileProvider } from "../../src/testing/mod.ts";
import { startRelay, type TestRelay } from "../support/relay/relay.ts";
import { LIMIT, until, within } from "../support/within.ts";

/** The versions that were tried. */
const PACKAGES = [
  "@openai/codex@0.169.0",
  "@anthropic-ai/claude-code@2.1.197",
  "opencode-ai@1.18.33",
];

/** The longest time of an agent, in milliseconds. */
const MAX_TIME = 120_000;

/** The folder of the agents' programs. */
async function installed(): Promise<string> {
  const given = Deno.env.get("RIVULET_AGENTS");
  if (given !== undefined) return `${given}/node_modules/.bin`;
  const folder = await Deno.makeTempDir({ prefix: "rivulet-agents-" });
  globalThis.addEventListener("unload", () => {
    Deno.removeSync(folder, { recursive: true });
  });
  const { code, stderr } = await new Deno.Command("npm", {
    args: [
      "install",
      "--no-audit",
      "--no-fund",
      "--prefix",
      folder,
      ...PACKAGES,
    ],
    stderr: "piped",
    stdout: "null",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return `${folder}/node_modules/.bin`;
}

const bin = await installed();

/** The output of an agent when it was over. */
interface Said {
  readonly code: number;
  readonly text: string;
}

/** An agent: how it is told of the relay, and what is to be asked. */
interface Agent {
  run(url: string, home: string): Deno.Command;
}

function codex(isOverWebSocket: boolean): Agent {
  return {
    run(url, home) {
      Deno.writeTextFileSync(
        `${home}/config.toml`,
        [
          'model = "hostile-1"',
          'model_provider = "rivulet"',
          "[model_providers.rivulet]",
          'name = "rivulet"',
          `base_url = "${url}/v1"`,
          'wire_api = "responses"',
          'env_key = "AGENT_KEY"',
          `supports_websockets = ${isOverWebSocket}`,
        ].join("\n"),
      );
      return new Deno.Command(`${bin}/codex`, {
        args: [
          "exec",
          "--skip-git-repo-check",
          "--dangerously-bypass-approvals-and-sandbox",
          "echo hello",
        ],
        cwd: home,
        env: { CODEX_HOME: home, AGENT_KEY: "sk-of-the-agent" },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      });
    },
  };
}

const AGENTS: Readonly<Record<string, Agent>> = {
  "Codex over HTTP": codex(false),
  "Codex over the WebSocket": codex(true),
  "Claude Code": {
    run: (url, home) =>
      new Deno.Command(`${bin}/claude`, {
        args: ["-p", "echo hello", "--dangerously-skip-permissions"],
        cwd: home,
        env: {
          HOME: home,
          IS_SANDBOX: "1",
          ANTHROPIC_BASE_URL: url,
          ANTHROPIC_API_KEY: "sk-of-the-agent",
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }),
  },
  "opencode": {
    run: (url, home) =>
      new Deno.Command(`${bin}/opencode`, {
        // A title of its own saves the request for one.
        args: ["run", "--title", "t", "-m", "rivulet/hostile-1", "echo hello"],
        cwd: home,
        env: {
          HOME: home,
          XDG_CONFIG_HOME: home,
          XDG_DATA_HOME: home,
          XDG_STATE_HOME: home,
          XDG_CACHE_HOME: home,
          OPENCODE_DISABLE_AUTOUPDATE: "1",
          OPENCODE_CONFIG_CONTENT: JSON.stringify({
            permission: "allow",
            provider: {
              rivulet: {
                npm: "@ai-sdk/openai",
                options: { baseURL: `${url}/v1`, apiKey: "sk-of-the-agent" },
                models: { "hostile-1": {} },
              },
            },
          }),
        },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }),
  },
};

/** An agent that runs in front of a relay. */
interface World extends AsyncDisposable {
  readonly relay: TestRelay;
  readonly provider: HostileProvider;
  /** The names of the topics of its runs, in their order. */
  names(): string[];
  readonly said: Promise<Said>;
}

async function start({ run }: Agent, plans: readonly string[]): Promise<World> {
  const provider = new HostileProvider();
  provider.enqueue(...plans);
  const server = Deno.serve({
    port: 0,
    onListen() {},
    onError: () => new Response(),
  }, provider.fetch);
  const relay = await startRelay({
    gateway: {
      providers: [{
        name: "hostile",
        url: `http://127.0.0.1:${server.addr.port}/v1`,
        topic: "agent:{session}:*",
      }],
    },
  });
  const home = await Deno.makeTempDir({ prefix: "rivulet-agent-" });
  const child = run(relay.url, home).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), MAX_TIME);
  const said = child.output().then(({ code, stdout, stderr }) => {
    clearTimeout(timer);
    const decoder = new TextDecoder();
    return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
  });
  return {
    relay,
    provider,
    names: () =>
      [...relay.relay.topics].map(({ name }) => name)
        .filter((name) => name.startsWith("agent:")).toSorted(),
    said,
    async [Symbol.asyncDispose]() {
      await said;
      await relay[Symbol.asyncDispose]();
      await server.shutdown();
      await Deno.remove(home, { recursive: true });
    },
  };
}

const options = { sanitizeOps: false, sanitizeResources: false };

for (const [name, agent] of Object.entries(AGENTS)) {
  Deno.test(
    `${name} makes a turn with a call of a tool, and a third party follows it`,
    options,
    async () => {
      await using world = await start(agent, []);
      const first = await until(() => world.names()[0], MAX_TIME, "a topic");
      const followed = world.relay.request(`/topics/${first}`, {
        headers: { accept: "text/event-stream" },
      }).then((response) => response.text());
      const { code, text } = await world.said;
      assertEquals(code, 0, text);
      assert(!text.includes("Falling back"), text);
      const names = world.names();
      assertEquals(names.length, 2, text);
      // Both are of one session.
      assertEquals(new Set(names.map((name) => name.split(":")[1])).size, 1);
      assert(!names[0]?.startsWith("agent:none:"));
      for (const name of names) {
        assertEquals(
          world.relay.relay.topics.get(name)?.verdict?.status,
          "complete",
        );
      }
      const end = await within(followed, LIMIT, "the end of the follower");
      assertStringIncludes(end, '"status":"complete"');
    },
  );

  Deno.test(
    `${name} stops when its run is cancelled, and the provider is asked once (H1)`,
    options,
    async () => {
      await using world = await start(agent, ["pace=200"]);
      const topic = await until(
        () => {
          const topic = world.relay.relay.topics.get(world.names()[0] ?? "");
          return topic && topic.log.next > 2 ? topic : undefined;
        },
        MAX_TIME,
        "a run",
      );
      topic.end("cancelled", "enough");
      const { code, text } = await world.said;
      assertEquals(code, 1, text);
      assertStringIncludes(text, "cancelled");
      assertEquals(world.provider.requests.length, 1, text);
    },
  );

  Deno.test(
    `${name} asks again after a stream that is truncated, and its topic says so`,
    options,
    async () => {
      await using world = await start(agent, ["truncate; after=3"]);
      const { code, text } = await world.said;
      assertEquals(code, 0, text);
      const ends = world.names().map((name) =>
        world.relay.relay.topics.get(name)?.verdict?.status
      );
      assertEquals(ends[0], "truncated", text);
      assertEquals(ends.at(-1), "complete", text);
      // Claude Code asks for a whole message then, which has no topic.
      assertEquals(world.provider.requests.length, 3, text);
    },
  );
}
