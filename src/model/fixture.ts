// This module is browser compatible.
import { TextLineStream } from "@std/streams/text-line-stream";
import type { Clock } from "../fetch/clock.ts";
import { messageOf } from "../fetch/message_of.ts";
import { wait } from "../fetch/retry.ts";
import type { ServerSentEvent } from "../sse/event.ts";
import { type PacedEvents, parsePacedEvents } from "../sse/paced_events.ts";
import { FixtureError } from "./errors/fixture_error.ts";
import type { Upstream } from "./upstream.ts";

/**
 * A file to stream from in place of the network: an event stream, or one JSON
 * object per line, with or without `data:` before it.
 *
 * @example Play a recording as fast as it was
 * ```ts
 * import type { Fixture } from "@rivulet/rivulet/model";
 *
 * const fixture: Fixture = { path: "fixtures/demo.sse", pace: true };
 * ```
 */
export interface Fixture {
  /** The path of the file. */
  readonly path: string;
  /**
   * Whether to wait where a comment such as `: +37ms` says how long the event
   * after it took.
   *
   * @default {false}
   */
  readonly pace?: boolean | undefined;
  /** Reads the file. Default: what Deno, Node (20.16 or later) or Bun has for it. */
  readonly readTextFile?: ((path: string) => Promise<string>) | undefined;
}

/** The clock and the signal with which a fixture is played. */
export interface FixtureContext {
  /** The clock of the waits. */
  readonly clock: Clock;
  /** Ends it, with its reason. */
  readonly signal: AbortSignal;
}

/**
 * Reads a fixture.
 *
 * @returns The upstream of its events.
 * @throws {FixtureError} If the file cannot be read, or has no events.
 */
export async function openFixture(
  fixture: Fixture,
  context: FixtureContext,
): Promise<FixtureUpstream> {
  const { path, pace = false, readTextFile = findReader(path) } = fixture;
  const { signal } = context;
  signal.throwIfAborted();
  let text: string;
  try {
    text = (await readTextFile(path)).replace(/^\uFEFF/, "");
  } catch (cause) {
    signal.throwIfAborted();
    const reason = messageOf(cause);
    throw new FixtureError(
      path,
      `expected a file that can be read, got '${reason}'`,
      { cause },
    );
  }
  const moments = await parseFixture(path, text);
  signal.throwIfAborted();
  if (moments.length === 0) {
    throw new FixtureError(
      path,
      `expected an event stream, or one JSON object per line, got ${
        text === "" ? "an empty file" : "no event"
      }`,
    );
  }
  return new FixtureUpstream(moments, pace, context);
}

/** A stream that comes from a file; takes one call at a time. */
export class FixtureUpstream implements Upstream {
  readonly #moments: Iterator<PacedEvents, undefined>;
  readonly #pace: boolean;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  /** Aborted by the signal or by `cancel()`, whichever comes first. */
  readonly #controller = new AbortController();
  readonly #onAbort = (): void => {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#controller.abort(this.#signal.reason);
  };
  #hasEnded = false;

  constructor(
    moments: readonly PacedEvents[],
    pace: boolean,
    { clock, signal }: FixtureContext,
  ) {
    this.#moments = moments.values();
    this.#pace = pace;
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
  }

  async nextBatch(): Promise<ServerSentEvent[] | undefined> {
    if (this.#hasEnded) return undefined;
    this.#controller.signal.throwIfAborted();
    const { done, value } = this.#moments.next();
    if (done) {
      this.#end();
      return undefined;
    }
    if (this.#pace && value.delay > 0) {
      try {
        await wait(value.delay, this.#clock, this.#controller.signal);
      } catch (error) {
        if (this.#hasEnded) return undefined;
        throw error;
      }
    }
    return value.events;
  }

  cancel(reason?: unknown): Promise<void> {
    // A fixture that has ended with an error keeps that error.
    if (!this.#controller.signal.aborted) this.#end();
    this.#controller.abort(reason);
    return Promise.resolve();
  }

  #end(): void {
    this.#hasEnded = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
  }
}

async function parseFixture(
  path: string,
  text: string,
): Promise<PacedEvents[]> {
  const lines = await linesOf(text);
  if (!isOnePerLine(lines)) return parsePacedEvents(text);
  const blocks = lines.map((line, i) => {
    const object = line.trim();
    if (!object.startsWith("{")) return `${line}\n\n`;
    if (isJson(object)) return `data:${object}\n\n`;
    throw new FixtureError(
      path,
      `expected one JSON object per line, and line ${i + 1} is not JSON`,
    );
  });
  return parsePacedEvents(blocks.join(""));
}

/** Whether every line is a block of its own, as in the reference's fixtures. */
function isOnePerLine(lines: readonly string[]): boolean {
  const first = lines.find((line) => !/^\s*(?:[:#]|$)/.test(line));
  if (first?.trimStart().startsWith("{")) return true;
  const data = lines.flatMap((line, i) => line.startsWith("data:") ? [i] : []);
  const blank = lines.indexOf("", data[0]);
  // A blank line after the only event makes it a stream of one.
  const end = data.length > 1 ? data.at(-1) : lines.length;
  return end !== undefined && data.length > 0 && (blank === -1 || blank > end);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function linesOf(text: string): Promise<string[]> {
  const reader = new ReadableStream<string>({
    start(controller) {
      controller.enqueue(text);
      controller.close();
    },
  }).pipeThrough(new TextLineStream()).getReader();
  const lines: string[] = [];
  // Not `for await`: not every browser can iterate over a stream.
  for (let result; !(result = await reader.read()).done;) {
    lines.push(result.value);
  }
  return lines;
}

/** The part of each runtime's API that reads a file. */
interface FileReaders {
  readonly Deno?: { readTextFile?(path: string): Promise<string> };
  readonly process?: {
    getBuiltinModule?(id: "node:fs/promises"): {
      readFile(path: string, encoding: "utf8"): Promise<string>;
    };
  };
}

function findReader(path: string): (path: string) => Promise<string> {
  // A browser's globals have neither; every step is looked for before it is used.
  const { Deno, process } = globalThis as FileReaders;
  if (Deno?.readTextFile) return Deno.readTextFile;
  const fs = process?.getBuiltinModule?.("node:fs/promises");
  if (fs) return (path) => fs.readFile(path, "utf8");
  throw new FixtureError(
    path,
    "expected 'readTextFile' to be given, as this runtime has no known way to read a file",
  );
}
