/**
 * A client of a model provider in a process of its own, which can be killed.
 *
 * @module
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { MODEL_CALLS } from "./model_clients.ts";

/** The task of a caller. */
export interface ModelCallerTask {
  /** The name of one of the {@linkcode MODEL_CALLS}. */
  readonly call: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A client that runs elsewhere. */
export class ModelCaller implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;

  /** Starts one, which asks at once. */
  constructor(task: ModelCallerTask) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        import.meta.filename!, // it is a file
        JSON.stringify(task),
      ],
      // The folder of the import map.
      cwd: new URL("../../../", import.meta.url),
      stdout: "piped",
    }).spawn();
    this.#lines = this.#process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
  }

  /** Resolves when its user has got another event; rejects if it has ended. */
  async event(): Promise<void> {
    const { done } = await this.#lines.read();
    if (done) throw new Error("The caller has ended");
  }

  /** Kills it: it can say goodbye to nobody. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }

  /** Kills it, if that was not done. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#process.status;
    await this.#lines.cancel();
  }
}

if (import.meta.main) {
  const task: ModelCallerTask = JSON.parse(Deno.args[0] ?? "");
  const call = MODEL_CALLS.find(({ name }) => name === task.call);
  await call?.run({ ...task, onEvent: () => console.log("event") });
}
