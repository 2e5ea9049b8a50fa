// Each program of examples/ does what its first lines say.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { jwtVerify } from "jose";
import { HostileProvider } from "../../src/testing/mod.ts";
import {
  isChromiumMissing,
  startChromium,
} from "../support/client/chromium.ts";
import { CuttableLine } from "../support/http/cuttable_line.ts";
import { freePort } from "../support/http/free_port.ts";
import { startRelay } from "../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../support/rights/token.ts";
import { isMissing } from "../support/tools.ts";
import { within } from "../support/within.ts";

const root = new URL("../../", import.meta.url);
const windows = Deno.build.os === "windows";

/** The longest that a program is waited for, in milliseconds. */
const LIMIT = 60_000;

/** Starts a program of examples/. */
function start(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Deno.ChildProcess {
  return new Deno.Command(command, {
    args: [...args],
    cwd: new URL("examples/", root),
    env: { NO_COLOR: "1", NO_PROXY: "*", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Waits for the end of a program; returns its status and output. */
async function ended(
  process: Deno.ChildProcess,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await within(
    process.output(),
    LIMIT,
    "the end of a program",
  );
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** The python that has what Debian's packages install. */
const PYTHON = "/usr/bin/python3";

function lacksPython(module: string): boolean {
  if (windows) return true;
  try {
    const { success } = new Deno.Command(PYTHON, {
      args: ["-c", `import ${module}`],
      stdout: "null",
      stderr: "null",
    }).outputSync();
    if (success) return false;
  } catch {
    // There is none.
  }
  if (Deno.env.get("RIVULET_REQUIRE_ALL") === "1") return false;
  console.log(`Ignored without python3-${module}: apt-get install it`);
  return true;
}

const FOLLOWERS = [
  {
    name: "python/follow_sse.py",
    command: [PYTHON, "python/follow_sse.py"],
    scheme: "http",
    ignore: lacksPython("httpx"),
  },
  {
    name: "python/follow_websocket.py",
    command: [PYTHON, "python/follow_websocket.py"],
    scheme: "ws",
    ignore: lacksPython("websockets"),
  },
  {
    name: "shell/follow.sh",
    command: ["sh", "shell/follow.sh"],
    scheme: "http",
    ignore: windows || isMissing("curl", "apt-get install curl"),
  },
];

for (const { name, command, scheme, ignore } of FOLLOWERS) {
  Deno.test({
    name: `examples/${name} follows a topic across a lost connection`,
    ignore,
    async fn() {
      await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
      await using line = await CuttableLine.start(relay.port);
      const topic = relay.relay.topics.create("t");
      const add = (data: string) =>
        topic.append([{ event: "message", data, id: "" }]);
      await add("ä 1");
      const token = await mintToken({ read: ["t"] });
      const url = `${line.url.replace("http", scheme)}/topics/t`;
      const isShell = command[0] === "sh";
      await using process = start(
        command[0]!, // it has a first word
        [...command.slice(1), url, ...isShell ? [] : [token]],
        { RIVULET_TOKEN: token },
      );
      await process.stdin.close();
      const lines = process.stdout.pipeThrough(new TextDecoderStream())
        .pipeThrough(new TextLineStream()).getReader();
      const next = async () =>
        (await within(lines.read(), LIMIT, "an event")).value;
      const errors = new Response(process.stderr).text();
      assertEquals(await next(), "ä 1");
      line.cut();
      await add("2");
      line.mend();
      assertEquals(await next(), "2");
      await add("3");
      assertEquals(await next(), "3");
      topic.end("complete");
      assertEquals(await next(), undefined);
      const { code } = await process.status;
      assertEquals(code, 0, await errors);
      await errors;
    },
  });

  Deno.test({
    name: `examples/${name} says how a topic has ended otherwise`,
    ignore,
    async fn() {
      await using relay = await startRelay();
      relay.relay.topics.create("t").end("failed", "no luck");
      const process = start(command[0]!, [ // it has a first word
        ...command.slice(1),
        `${scheme}://127.0.0.1:${relay.port}/topics/t`,
      ]);
      await process.stdin.close();
      const { code, stdout, stderr } = await ended(process);
      assertEquals([code, stdout], [1, ""]);
      assertStringIncludes(stderr, "failed");
    },
  });
}

Deno.test({
  name: "examples/python/publish.py publishes each line once",
  ignore: lacksPython("httpx"),
  async fn() {
    await using relay = await startRelay();
    const process = start(PYTHON, [
      "python/publish.py",
      `${relay.url}/topics/t`,
    ]);
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode("ä\n\nb\n"));
    await writer.close();
    const { code, stderr } = await ended(process);
    assertEquals(code, 0, stderr);
    const page = await relay.request("/topics/t?after=start", {
      headers: { Accept: "application/json" },
    });
    const { events } = await page.json();
    assertEquals(events.map(({ data }: { data: string }) => data), [
      "ä",
      "",
      "b",
    ]);
    const topic = relay.relay.topics.get("t");
    assertEquals((await topic?.ended)?.status, "complete");
  },
});

for (const [script, end] of [["true", "complete"], ["exit 3", "failed"]]) {
  Deno.test({
    name: `examples/shell/publish.sh publishes a command that does: ${script}`,
    ignore: windows || isMissing("curl", "apt-get install curl"),
    async fn() {
      await using relay = await startRelay();
      const process = start("sh", [
        ...["shell/publish.sh", `${relay.url}/topics/t`],
        ...["sh", "-c", `echo one; echo two >&2; ${script}`],
      ]);
      await process.stdin.close();
      const { code, stderr } = await ended(process);
      assertEquals(code, end === "complete" ? 0 : 3, stderr);
      const page = await relay.request("/topics/t?after=start", {
        headers: { Accept: "application/json" },
      });
      const { events } = await page.json();
      assertEquals(events, [{ data: "one" }, { data: "two" }]);
      const topic = relay.relay.topics.get("t");
      assertEquals((await topic?.ended)?.status, end);
    },
  });
}

function run(file: string, ...args: string[]): string[] {
  return ["run", "--no-check", "--allow-net", "--allow-env", file, ...args];
}

Deno.test({
  name: "examples/fan_out.ts passes a stream on",
  ignore: windows,
  async fn() {
    await using upstream = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () =>
        new Response("data: a\n\n", {
          headers: { "Content-Type": "text/event-stream" },
        }),
    );
    const { port } = upstream.addr;
    await using process = start(
      Deno.execPath(),
      run("fan_out.ts", `http://127.0.0.1:${port}/`, "0"),
    );
    await process.stdin.close();
    const errors = new Response(process.stderr).text();
    const lines = process.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    const { value = "" } = await within(lines.read(), LIMIT, "its URL");
    const [url = ""] = /http:\S+/.exec(value) ?? [];
    const controller = new AbortController();
    const response = await fetch(url, { signal: controller.signal });
    const reader = response.body?.pipeThrough(new TextDecoderStream())
      .getReader();
    let text = "";
    while (!text.includes("data: a\n")) {
      const { done, value } = await within(
        reader!.read(), // the response has a body
        LIMIT,
        "the event",
      );
      assert(!done, text);
      text += value;
    }
    await reader?.cancel();
    process.kill("SIGINT");
    while (!(await lines.read()).done);
    assertEquals((await process.status).code, 0, await errors);
  },
});

Deno.test("examples/token_server.ts gives users tokens for their topics", async () => {
  await using process = start(Deno.execPath(), run("token_server.ts", "0"), {
    RIVULET_JWT_KEY: JWT_KEY,
  });
  await process.stdin.close();
  const errors = new Response(process.stderr).text();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await within(lines.read(), LIMIT, "its URL");
  const [, port] = /:(\d+)/.exec(value) ?? [];
  const ask = (headers: HeadersInit) =>
    fetch(`http://127.0.0.1:${port}/`, { headers });
  const refused = await ask({});
  await refused.body?.cancel();
  assertEquals(refused.status, 401);
  const token = await (await ask({ Cookie: "session=7" })).text();
  const { payload } = await jwtVerify(token, new TextEncoder().encode(JWT_KEY));
  assertEquals(payload["rivulet"], { read: ["user-7-*"] });
  process.kill("SIGTERM");
  while (!(await lines.read()).done);
  await process.status;
  await errors;
});

Deno.test("examples/gateway_sdk.ts asks through the relay, and follows itself", async () => {
  const hostile = new HostileProvider();
  await using provider = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    hostile.fetch,
  );
  await using relay = await startRelay({
    gateway: {
      providers: [{
        name: "openai",
        url: `http://127.0.0.1:${provider.addr.port}/v1`,
        key: "sk-of-the-provider",
      }],
    },
  });
  const process = start(Deno.execPath(), run("gateway_sdk.ts", relay.url));
  await process.stdin.close();
  const { code, stdout, stderr } = await ended(process);
  assertEquals(code, 0, stderr);
  assertEquals(stdout, "Why is the sky blue?\nThe follower has the same\n");
});

Deno.test({
  name: "examples/express-tabs shows a job in two tabs, and after a reload",
  ignore: windows || isChromiumMissing(),
  async fn() {
    const port = freePort();
    const origin = `http://localhost:${port}`;
    await using relay = await startRelay({ origins: [origin] });
    await using process = start(
      Deno.execPath(),
      run("express-tabs/server.js").toSpliced(2, 0, "--allow-read"),
      { RELAY_URL: relay.url, PORT: `${port}` },
    );
    await process.stdin.close();
    const errors = new Response(process.stderr).text();
    const lines = process.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    const { value = "" } = await within(lines.read(), LIMIT, "its URL");
    assertEquals(value, `${origin}\n`);
    await using browser = await startChromium();
    const context = await browser.newContext();
    const first = await context.newPage();
    await first.goto(origin);
    await first.getByRole("button").click();
    await first.getByText("Step 2 of 5").waitFor();
    const second = await context.newPage();
    await second.goto(first.url());
    await first.reload();
    for (const page of [first, second]) {
      await page.getByText("The job is complete").waitFor();
      assertEquals(
        await page.getByRole("listitem").allTextContents(),
        [1, 2, 3, 4, 5].map((step) => `Step ${step} of 5 is done`),
      );
    }
    process.kill("SIGTERM");
    while (!(await lines.read()).done);
    await process.status;
    assertEquals(await errors, "");
  },
});

Deno.test("examples/hostile_test.ts passes", async () => {
  const process = start(Deno.execPath(), [
    "test",
    "--no-check",
    "hostile_test.ts",
  ]);
  await process.stdin.close();
  const { code, stdout, stderr } = await ended(process);
  assertEquals(code, 0, stdout + stderr);
  assertStringIncludes(stdout, "3 passed");
});
