/**
 * `curl`, which speaks HTTP/2, and reads what comes as it comes.
 *
 * @module
 */
import { LIMIT, within } from "../within.ts";

/** A request by `curl`. */
export class Curl implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #stderr: Promise<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #text = "";

  /**
   * Makes a request.
   *
   * @param args Its arguments, besides those that have it buffer nothing.
   * @param input Whether something is written to its standard input.
   */
  constructor(
    args: readonly string[],
    input: "input" | "no input" = "no input",
  ) {
    this.#process = new Deno.Command("curl", {
      args: ["--silent", "--show-error", "--no-buffer", ...args],
      stdin: input === "input" ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#reader = this.#process.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    this.#stderr = new Response(this.#process.stderr).text();
    if (input === "input") this.#input = this.#process.stdin.getWriter();
  }

  /** The output so far. */
  get text(): string {
    return this.#text;
  }

  /** Reads until this has come, and returns all that has. */
  async see(part: string): Promise<string> {
    while (!this.#text.includes(part)) {
      if (!await this.#more(part)) {
        throw new Error(
          `Expected '${part}', got '${this.#text}': ${await this.#stderr}`,
        );
      }
    }
    return this.#text;
  }

  /** Reads to the end, and returns all that has come. */
  async rest(): Promise<string> {
    while (await this.#more("the end"));
    return this.#text;
  }

  /** Sends something. */
  async write(text: string): Promise<void> {
    await this.#input?.write(new TextEncoder().encode(text));
  }

  /** Ends the input. */
  async end(): Promise<void> {
    await this.#input?.close();
  }

  async #more(what: string): Promise<boolean> {
    const { done, value } = await within(
      this.#reader.read(),
      LIMIT,
      () => `'${what}' after '${this.#text}'`,
    );
    this.#text += value ?? "";
    return !done;
  }

  /** Leaves. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // it has ended
    }
    await this.#input?.close().catch(() => {}); // it was closed, or nobody reads
    await this.#reader.cancel();
    await this.#stderr;
    await this.#process.status;
  }
}
