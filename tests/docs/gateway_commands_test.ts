// The commands that show the gateway offline are run as they stand in the documents,
// but for the ports.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { SseParser } from "../../src/sse/parser.ts";
import { blocksOf, sectionOf } from "../support/docs/markdown.ts";

const root = new URL("../../", import.meta.url);

/** The commands of a section, as words; quotes are those of the page. */
async function commands(path: string, heading: string): Promise<string[][]> {
  const page = await Deno.readTextFile(new URL(path, root));
  return blocksOf(sectionOf(page, heading))
    .filter(({ language }) => language === "sh")
    .flatMap(({ text }) => text.trim().split("\n"))
    .map((line) =>
      (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/'/g, ""))
    );
}

/** A program that runs until it is told to stop. */
class Program implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;

  constructor(command: readonly string[], args: readonly string[] = []) {
    const [program = "", ...rest] = command;
    this.#process = new Deno.Command(
      program === "deno" ? Deno.execPath() : program,
      {
        args: [
          ...rest.map((word) => word.replace(/^jsr:\S+/, "relay/main.ts")),
          ...args,
        ],
        cwd: root,
        env: { NO_COLOR: "1" },
        stdout: "piped",
        stderr: "null",
      },
    ).spawn();
    this.#lines = this.#process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
  }

  /** The port of the first line that names one. */
  async port(): Promise<string> {
    for (;;) {
      const { done, value } = await this.#lines.read();
      assert(!done, "it says where it listens");
      const [, port] = / on http:\/\/[^/]+:([0-9]+)/.exec(value) ?? [];
      if (port !== undefined) return port;
    }
  }

  /** All events, up to its end. */
  async events(): Promise<ServerSentEvent[]> {
    const events: ServerSentEvent[] = [];
    const parser = new SseParser({ onEvent: (event) => events.push(event) });
    for (;;) {
      const { done, value } = await this.#lines.read();
      if (done) return events;
      parser.push(`${value}\n`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGTERM");
    } catch {
      // it has stopped by itself
    }
    await this.#process.status;
    await this.#lines.cancel();
  }
}

function withPort(command: readonly string[], from: string, to: string) {
  return command.map((word) => word.replace(`:${from}`, `:${to}`));
}

async function follow(path: string, heading: string): Promise<void> {
  const [hostile, relay, call, watch, ...more] = await commands(path, heading);
  assert(hostile && relay && call && watch && more.length === 0);
  assertStringIncludes(watch.join(" "), "/topics/");

  await using provider = new Program(hostile, ["--port", "0"]);
  const providerPort = await provider.port();
  await using server = new Program(
    withPort(relay, "8788", providerPort),
    ["--port", "0", "--drain", "0s"],
  );
  const port = await server.port();

  await using early = new Program(withPort(watch, "8787", port));
  await using caller = new Program(withPort(call, "8787", port));
  const told = await caller.events();
  assertEquals(told.at(-1)?.event, "response.completed");
  assert(told.length > 10);

  await using late = new Program(withPort(watch, "8787", port));
  for (const watcher of [early, late]) {
    const events = await watcher.events();
    assertEquals(events.at(-1)?.event, "rivulet.end");
    const provided = events.filter(({ event }) => !event.startsWith("rivulet."))
      .map(({ event, data }) => [event, data]);
    assertEquals(provided, told.map(({ event, data }) => [event, data]));
  }
}

for (
  const [path, heading] of [
    ["README.md", "## Share and resume a model's answer"],
    ["docs/gateway.md", "## Try it without a provider"],
  ] as const
) {
  Deno.test(`${path} makes a model's stream one that others follow`, () =>
    follow(path, heading));
}
