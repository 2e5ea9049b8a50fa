import { configure, type LogRecord, reset } from "@logtape/logtape";

/** Everything that is logged while it is there, debugging too. */
export class LogCapture implements AsyncDisposable {
  readonly #records: LogRecord[] = [];

  private constructor() {}

  /** Begins. */
  static async start(): Promise<LogCapture> {
    const capture = new LogCapture();
    await configure({
      reset: true,
      sinks: { capture: (record) => void capture.#records.push(record) },
      loggers: [
        { category: [], lowestLevel: "trace", sinks: ["capture"] },
        {
          category: ["logtape", "meta"],
          lowestLevel: "error",
          sinks: ["capture"],
        },
      ],
    });
    return capture;
  }

  /**
   * The messages logged at `info` and above, as they are in the code: without
   * their values.
   */
  get lines(): string[] {
    return this.#records
      .filter(({ level }) => level !== "trace" && level !== "debug")
      .map(({ rawMessage }) => String(rawMessage));
  }

  /** All of it, with whatever an error that was logged has in it. */
  get text(): string {
    return this.#records.map(({ message, properties }) =>
      [...message, ...Object.values(properties)].map((part) =>
        typeof part === "string" ? part : Deno.inspect(part, { depth: 20 })
      ).join(" ")
    ).join("\n");
  }

  /** Ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    await reset();
  }
}
