import { assert, assertEquals, assertMatch } from "@std/assert";
import { type ProgramRun, runDeno } from "../../support/run_deno.ts";
import { LIMIT, within } from "../../support/within.ts";

/** The command line, run to its end. */
function run(...args: string[]): Promise<ProgramRun> {
  return runDeno(
    ["run", "-A", "relay/main.ts", ...args],
    // Errors are logged as well: this test reads only what is printed.
    { RIVULET_LOG_LEVEL: "error" },
  );
}

Deno.test("main answers what it cannot start with by one clear line and status 2", async (t) => {
  const table: [string, string[], RegExp][] = [
    ["an unknown flag", ["--nope"], /--nope.*--help/],
    ["a word that is no command", ["nope"], /argument 1/],
    ["a word that is like a command", ["tokne"], /did you mean token\?/],
    ["a topic of which there is no help", ["help", "limit"], /mean limits\?/],
    ["an argument", ["serve", "nope"], /argument 1/],
    ["a flag without its value", ["--port"], /--port/],
    ["a port that is no number", ["--port", "x"], /--port.*'x'/],
    ["a port that is none", ["--port", "65536"], /port/],
    ["a duration without unit", ["--ttl", "10"], /--ttl.*'10'/],
    ["a timeout of nothing", ["--slow-timeout", "0s"], /--slow-timeout.*'0s'/],
    ["a policy that is none", ["--on-slow", "cry"], /--on-slow.*'cry'/],
    ["a source without name", ["--source", "http://x/"], /--source/],
    ["a source without URL", ["--source", "a=b"], /--source/],
    ["a source of another scheme", ["--source", "a=ftp://x/"], /URL of http/],
    ["a topic with a bad name", ["--source", ".a=http://x/"], /--source.*dot/],
    ["a topic with two sources", [
      "--source",
      "a=http://x/",
      "--fixture",
      "a=x",
    ], /'a'/],
    ["a level that is none", ["--log-level", "loud"], /loud/],
    ["an open address", ["--host", "0.0.0.0"], /--jwt-key.*0\.0\.0\.0/],
    ["a key that is none", ["--jwt-key", "short"], /--jwt-key.*32 bytes/],
    ["a file that is not there", ["--config", "nowhere"], /--config.*nowhere/],
    ["a folder that cannot be written to", [
      "--port=0",
      "--record",
      "LICENSE/runs",
    ], /--record: expected a folder.*'LICENSE\/runs'/],
    ["a file that is not there", ["--fixture", "a=nowhere"], /nowhere/],
    ["a file that is no stream", ["--fixture", "a=LICENSE"], /LICENSE/],
  ];
  for (const [name, args, message] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await run(...args);
      assertEquals([code, stdout], [2, ""], stderr);
      assertMatch(stderr, /^rivulet: [^\n]+\n$/);
      assertMatch(stderr, message);
    });
  }
});

Deno.test("E1: main answers a source that it needs and that is away by one clear line and status 3", async (t) => {
  await using upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("no feed here", { status: 503 }),
  );
  const table: [string, number, RegExp][] = [
    ["nobody at the source", 1, /127\.0\.0\.1:1\b/],
    ["a source that refuses", upstream.addr.port, /503.*: "no feed here"\./],
  ];
  for (const [name, port, message] of table) {
    await t.step(name, async () => {
      const source = `a=http://127.0.0.1:${port}/`;
      const { code, stdout, stderr } = await run(
        ...["--port=0", "--fail-fast", "--source", source],
      );
      assertEquals([code, stdout], [3, ""], stderr);
      assertMatch(stderr, /^rivulet: --fail-fast: [^\n]+it is retried\n$/);
      assertMatch(stderr, message);
    });
  }
});

Deno.test("E1: main answers a port that is taken by one clear line and status 3, since it may be free later", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const { code, stdout, stderr } = await run("--port", String(port));
  assertEquals([code, stdout], [3, ""], stderr);
  assertMatch(stderr, /^rivulet: Cannot listen on [^\n]+ another --port\n$/);
  assertMatch(stderr, new RegExp(`:${port}`));
});

/** Reads lines of a process until one matches. */
async function waitFor(
  lines: ReadableStreamDefaultReader<string>,
  pattern: RegExp,
): Promise<RegExpExecArray> {
  let text = "";
  for (;;) {
    const { done, value } = await lines.read();
    if (done) throw new Error(`Expected ${pattern}, got: ${text}`);
    text += value;
    const match = pattern.exec(text);
    if (match) return match;
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test({
    name: `main says goodbye on ${signal}, closes with 1012, and exits with 0`,
    ignore: Deno.build.os === "windows", // there a signal ends a process at once
    async fn() {
      await using process = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "relay/main.ts", "--port", "0"],
          ...["--fixture", "demo=fixtures/demo.sse,loop", "--drain", "500ms"],
          ...["--log-level", "warning"],
        ],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const stderr = new Response(process.stderr).text();
      const lines = process.stdout.pipeThrough(new TextDecoderStream())
        .getReader();
      const [, url] = await waitFor(lines, /WebSocket +(ws:\S+)/);
      const socket = new WebSocket(url!); // the group is not optional
      const messages: string[] = [];
      const live = Promise.withResolvers<void>();
      const closed = Promise.withResolvers<CloseEvent>();
      socket.onmessage = ({ data }) => {
        messages.push(String(data));
        if (messages.length === 4) live.resolve();
      };
      socket.onclose = (event) => closed.resolve(event);
      const stream = await fetch(url!.replace("ws", "http"));
      const body = stream.text();
      await live.promise;

      const start = performance.now();
      process.kill(signal);
      const { code } = await process.status;
      assert(performance.now() - start < LIMIT);
      assertEquals([code, await stderr], [0, ""]);
      assertEquals((await closed.promise).code, 1012);
      const { type, reconnectIn } = JSON.parse(messages.at(-1) ?? "");
      const [least, most] = reconnectIn;
      assertEquals([type, most - least], ["goodbye", 500]);
      assertMatch(
        await body,
        /^event: response\.created\n[^]*\n\nretry: 500\n\n$/,
      );
      await lines.cancel();
    },
  });
}

Deno.test({
  name: "main stops at once with nobody there, and on a second signal",
  ignore: Deno.build.os === "windows", // there a signal ends a process at once
  async fn(t) {
    for (const followers of [0, 3]) {
      await t.step(`${followers} followers`, async () => {
        await using process = new Deno.Command(Deno.execPath(), {
          args: [
            ...["run", "-A", "relay/main.ts", "--port", "0", "--drain", "1h"],
            ...["--fixture", "demo=fixtures/demo.sse,loop"],
            ...["--log-level", "warning"],
          ],
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const stderr = new Response(process.stderr).text();
        const lines = process.stdout.pipeThrough(new TextDecoderStream())
          .getReader();
        const [, url = ""] = await waitFor(lines, /WebSocket +(ws:\S+)/);
        const origin = new URL("/", url).href.replace("ws", "http");
        const closed: Promise<number>[] = [];
        for (let follower = 0; follower < followers; follower++) {
          const socket = new WebSocket(url);
          const code = Promise.withResolvers<number>();
          closed.push(code.promise);
          socket.onclose = ({ code: given }) => code.resolve(given);
          await new Promise((resolve) => socket.onmessage = resolve);
        }
        process.kill("SIGTERM");
        if (followers > 0) {
          assertEquals(await closed[0], 1012);
          for (const [path, expected] of [["readyz", 503], ["healthz", 200]]) {
            const response = await fetch(`${origin}${path}`);
            await response.body?.cancel();
            assertEquals(response.status, expected);
          }
          process.kill("SIGINT");
        }
        const { code } = await process.status;
        assertEquals([code, await stderr], [0, ""]);
        assertEquals(await Promise.all(closed), closed.map(() => 1012));
        await lines.cancel();
      });
    }
  },
});

Deno.test({
  name: "main serves, and stops, although nobody reads its log",
  ignore: Deno.build.os === "windows", // there a signal ends a process at once
  async fn() {
    await using process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "relay/main.ts", "--port", "0"],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const lines = process.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    const [, url] = await waitFor(lines, /relay on (http:\S+)/);
    // Each refusal is a line of some 180 bytes, of which a pipe takes 64 KiB.
    const refusals = 2_000;
    try {
      for (let asked = 0; asked < refusals; asked += 20) {
        const answers = Array.from({ length: 20 }, async () => {
          const response = await fetch(`${url}/nothing`);
          await response.body?.cancel();
          return response.status;
        });
        const statuses = await within(Promise.all(answers), LIMIT, "answers");
        assertEquals(new Set(statuses), new Set([404]));
      }
      process.kill("SIGTERM");
      await within(process.status, LIMIT, "its end");
    } catch (error) {
      process.kill("SIGKILL"); // one that waits for its log hears nothing else
      throw error;
    }
    const { code } = await process.status;
    const written = (await new Response(process.stderr).text()).split("\n");
    assertEquals(code, 0);
    // Else the pipe was never full.
    assert(written.length < refusals, `${written.length}`);
    const [first = ""] = written;
    assertEquals(JSON.parse(first).level, "INFO");
    await lines.cancel();
  },
});
