/**
 * A relay in a process of its own, which can be asked how much memory it takes.
 *
 * @module
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { createRelay } from "../../../relay/relay.ts";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";

/** A relay that runs elsewhere. */
export class RelayProcess implements AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(
    process: Deno.ChildProcess,
    lines: ReadableStreamDefaultReader<string>,
    url: string,
  ) {
    this.#process = process;
    this.#lines = lines;
    this.#input = process.stdin.getWriter();
    this.url = url;
  }

  /** Starts one. */
  static async start(options: RelayOptions): Promise<RelayProcess> {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--v8-flags=--expose-gc",
        import.meta.filename!, // it is a file
        JSON.stringify({ ...options, port: 0 }),
      ],
      // The folder of the import map.
      cwd: new URL("../../../", import.meta.url),
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const lines = process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
    const { value } = await lines.read();
    return new RelayProcess(process, lines, value ?? "");
  }

  /** The memory that it takes, in bytes, without garbage. */
  async memory(): Promise<Deno.MemoryUsage> {
    await this.#input.write(new TextEncoder().encode("memory\n"));
    const { value } = await this.#lines.read();
    return JSON.parse(value ?? "");
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#process.status;
    await this.#lines.cancel();
  }
}

if (import.meta.main) {
  const collect = (globalThis as { gc?: () => void }).gc; // --expose-gc
  await using relay = createRelay(JSON.parse(Deno.args[0] ?? "{}"));
  console.log((await relay.listen()).url);
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) {
    if (line !== "memory") continue;
    for (let round = 0; round < 3; round++) {
      collect?.();
      // Finalized objects give their buffers back in a later turn.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    console.log(JSON.stringify(Deno.memoryUsage()));
  }
}
