import { Worker } from "node:worker_threads";

/** An error as it came from a thread. */
class ThreadError extends Error {
  /** The result code of SQLite, with its extension. */
  readonly errcode: number | undefined;

  /** Takes over what the thread said. */
  constructor(message: string, errcode?: number) {
    super(message);
    this.name = "ThreadError";
    this.errcode = errcode;
  }
}

/** A class whose text is all that it needs, besides its parameters. */
export interface SelfContained {
  readonly prototype: {
    // Any parameters: a method takes the requests of its own kind.
    readonly handle: (request: never) => unknown;
    readonly close: () => void;
  };
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: ThreadError) => void;
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | {
    readonly id: number;
    readonly message: string;
    readonly errcode: number | undefined;
  };

/**
 * A thread with an object of a class.
 *
 * A module in a file of its own would need the permission to read it. The text of a
 * class in a `data:` URL needs none.
 */
export class Thread<Request> implements AsyncDisposable {
  readonly #source: string;
  readonly #data: unknown;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #exited: Promise<void> | undefined;
  #lastId = 0;
  #error: ThreadError | undefined;

  /**
   * Prepares a thread, which starts with the first request at the latest.
   *
   * @param service The class.
   * @param parameters The parameters of its constructor, as JavaScript; `data` is one.
   * @param data The data of this thread that the parameters may have.
   * @param parts Classes that the parameters may name, by their names.
   */
  constructor(
    service: SelfContained,
    parameters: string,
    data: unknown,
    parts: Readonly<Record<string, unknown>> = {},
  ) {
    this.#data = data;
    const classes = Object.entries(parts).map(([name, part]) =>
      `const ${name} = ${part};`
    );
    this.#source = `
import { parentPort, workerData as data } from "node:worker_threads";
import { DatabaseSync, backup } from "node:sqlite";
${classes.join("\n")}
const Service = ${service};
let service;
parentPort.on("message", async ({ id, request }) => {
  try {
    service ??= new Service(${parameters});
    const value = request === "close" ? service.close() : await service.handle(request);
    parentPort.postMessage({ id, value });
  } catch (error) {
    parentPort.postMessage({ id, message: String(error?.message ?? error), errcode: error?.errcode });
  }
});`;
  }

  /** The reason why the thread can do nothing any more. */
  get error(): ThreadError | undefined {
    return this.#error;
  }

  /** Starts the thread, so that the first request need not wait for that. */
  start(): void {
    this.#worker ??= this.#start();
  }

  /** Asks for work, and returns its result. */
  ask(request: Request): Promise<unknown> {
    return this.#ask(request);
  }

  /** Lets the thread finish what it was asked for, and ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#worker) return;
    try {
      await this.#ask("close");
    } catch (error) {
      // A thread that has ended by itself has nothing to close.
      if (!(error instanceof ThreadError)) throw error;
    }
    await this.#worker.terminate();
    await this.#exited;
  }

  #ask(request: Request | "close"): Promise<unknown> {
    if (this.#error) return Promise.reject(this.#error);
    const worker = this.#worker ??= this.#start();
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, request });
    });
  }

  #start(): Worker {
    const url = new URL(
      `data:text/javascript,${encodeURIComponent(this.#source)}`,
    );
    const worker = new Worker(url, { workerData: this.#data });
    worker.on("message", (answer: Answer) => this.#settle(answer));
    worker.on("error", (error) => this.#fail(String(error)));
    this.#exited = new Promise((resolve) =>
      worker.on("exit", () => {
        this.#fail("The thread has ended");
        resolve();
      })
    );
    return worker;
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("message" in answer) {
      waiting?.reject(new ThreadError(answer.message, answer.errcode));
    } else {
      waiting?.resolve(answer.value);
    }
  }

  #fail(message: string): void {
    this.#error ??= new ThreadError(message);
    for (const { reject } of this.#waiting.values()) reject(this.#error);
    this.#waiting.clear();
  }
}
