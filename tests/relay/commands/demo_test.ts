import { assert, assertEquals, assertMatch } from "@std/assert";
import { isMissing } from "../../support/tools.ts";

const windows = Deno.build.os === "windows"; // has no signals to stop a process by

/** The output of a process so far, and the rest as it comes. */
class Output {
  readonly #reader: ReadableStreamDefaultReader<string>;
  text = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  }

  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match) return match;
      const { done, value } = await this.#reader.read();
      assert(!done, `Expected ${pattern}, got: ${this.text}`);
      this.text += value;
    }
  }

  async rest(): Promise<string> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return this.text;
      this.text += value;
    }
  }
}

/** The demo, as its task starts it, on a port that is free. */
class Demo implements AsyncDisposable {
  readonly #process = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "demo", "--port", "0"],
    stdout: "piped",
    stderr: "null",
    env: { NO_COLOR: "1" },
  }).spawn();
  readonly output = new Output(this.#process.stdout);

  /** The line to try that begins with a command. */
  async line(command: string): Promise<string[]> {
    await this.output.until(/Ctrl-C stops it/);
    const [, line = ""] =
      new RegExp(`^ +(${command}.*)$`, "m").exec(this.output.text) ?? [];
    assert(line !== "", this.output.text);
    return line.split(" ");
  }

  /** Stops it, as Ctrl-C does. */
  async stop(): Promise<Deno.CommandStatus> {
    this.#process.kill("SIGINT");
    await this.output.rest();
    return await this.#process.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } catch {
      // It has stopped.
    }
  }
}

/** Runs a line that the demo prints until it has shown what is expected. */
async function tryLine(
  [command = "", ...args]: string[],
  expected: RegExp,
): Promise<void> {
  const process = new Deno.Command(command, {
    args,
    stdin: "piped", // wscat stops with its input
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const output = new Output(process.stdout);
  try {
    await output.until(expected);
  } finally {
    await process.stdin.close();
    process.kill();
    await output.rest();
    await process.status;
  }
}

Deno.test({
  name:
    "The demo prints its URLs and a line for each way to try it, and stops on Ctrl-C",
  ignore: windows,
  async fn() {
    await using demo = new Demo();
    await demo.output.until(/Ctrl-C stops it/);
    const { text } = demo.output;
    assertMatch(text, /^ +WebSocket +ws:\/\/127\.0\.0\.1:\d+\/topics\/demo$/m);
    assertMatch(text, /^ +SSE +http:\/\/127\.0\.0\.1:\d+\/topics\/demo$/m);
    for (const command of ["npx", "websocat", "curl", "new WebSocket"]) {
      assert(await demo.line(command));
    }
    assertEquals((await demo.stop()).code, 0);
    assertMatch(demo.output.text, /Stopping\.\n$/);
  },
});

Deno.test({
  name: "The demo's line for curl shows events",
  ignore: windows || isMissing("curl", "Install curl to run them."),
  async fn() {
    await using demo = new Demo();
    await tryLine(
      await demo.line("curl"),
      /event: response\.created\nid: \S+:1\ndata: {/,
    );
  },
});

Deno.test({
  name: "The demo's line for wscat shows events",
  ignore: windows || isMissing("npx", "Install Node 20 with npm to run them."),
  async fn() {
    await using demo = new Demo();
    await tryLine(await demo.line("npx"), /"type":"events","topic":"demo"/);
  },
});

Deno.test({
  name: "The demo's line for a browser's console shows events",
  ignore: windows,
  async fn() {
    await using demo = new Demo();
    const line = (await demo.line("new WebSocket")).join(" ");
    await tryLine(
      [Deno.execPath(), "eval", line],
      /"type":"events","topic":"demo"/,
    );
  },
});
