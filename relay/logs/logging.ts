import { configure, type LogLevel, reset, type Sink } from "@logtape/logtape";
import { type Clock, systemClock, wallTime } from "../../src/fetch/clock.ts";
import { LineWriter } from "./line_writer.ts";
import { type LogFormat, logFormat } from "./log_format.ts";

/** The options of a relay's log. */
export interface LoggingOptions {
  /** From which weight on. */
  readonly level: LogLevel;
  /** The format of a record. */
  readonly format: LogFormat;
  /** Writes bytes to where the log is, all of them. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * The clock to use.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /** The number of the worker that logs. Default: the relay is one process. */
  readonly worker?: number | undefined;
}

/** The log of a process. */
export interface Logging extends AsyncDisposable {
  /** Adds a line that another process of the relay has made. */
  write(line: string): void;
}

/** The longest that the last lines may take, in milliseconds: their reader may have stopped. */
const LAST_LINES = 500;

const CATEGORY = ["rivulet", "relay"];

/**
 * Begins to log what the relay has to say; what it logs is lost without it.
 *
 * @returns Ends it, when what was logged is written.
 */
export async function startLogging(
  { level, format, write, clock = systemClock, worker }: LoggingOptions,
): Promise<Logging> {
  const line = logFormat(format, worker);
  const writer = new LineWriter({
    write,
    lost: (count) => {
      const message = `${count} log lines were lost: nobody took them in time`;
      return line({
        category: CATEGORY,
        level: "warning",
        message: [message],
        rawMessage: message,
        timestamp: wallTime(clock),
        properties: { count },
      });
    },
  });
  const stderr: Sink = (record) => writer.write(line(record));
  await configure({
    sinks: { stderr },
    loggers: [
      { category: "rivulet", lowestLevel: level, sinks: ["stderr"] },
      // Errors of the logging itself.
      {
        category: ["logtape", "meta"],
        lowestLevel: "error",
        sinks: ["stderr"],
      },
    ],
  });
  return {
    write: (line) => writer.write(line),
    async [Symbol.asyncDispose](): Promise<void> {
      await reset();
      const late = Promise.withResolvers<void>();
      const cancel = clock.setTimeout(late.resolve, LAST_LINES);
      await Promise.race([writer.settled(), late.promise]);
      cancel();
    },
  };
}
