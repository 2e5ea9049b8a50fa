/**
 * Runs to record, and what was recorded of them.
 *
 * @module
 */
import { configure, type LogRecord, reset } from "@logtape/logtape";
import { z } from "zod";
import { HeaderList } from "../../../relay/header_list.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import {
  Recorder,
  type RecorderOptions,
} from "../../../relay/gateway/recording/recorder.ts";
import type { RecordedRun } from "../../../relay/gateway/recording/recording.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { LIMIT, until } from "../within.ts";

/** The `.json` file of a recording. */
export const recordedFacts = z.strictObject({
  started: z.iso.datetime(),
  topic: z.string(),
  provider: z.string(),
  method: z.string(),
  path: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.unknown().optional(),
  response: z.strictObject({
    status: z.number(),
    headers: z.record(z.string(), z.string()),
  }).optional(),
  end: z.strictObject({ status: z.string(), reason: z.string().optional() })
    .optional(),
  events: z.int().optional(),
  lost: z.int().optional(),
  duration: z.int().optional(),
});

/** A run to record: what is given, and else what most tests do not care for. */
export function recordedRun(
  { body, ...given }: Partial<Omit<RecordedRun, "body">> & {
    readonly body?: string;
  } = {},
): RecordedRun {
  return {
    topic: "t",
    provider: "openai",
    method: "POST",
    path: "/v1/responses",
    headers: HeaderList.from(new Headers()),
    body: body === undefined ? undefined : new TextEncoder().encode(body),
    secrets: [],
    verdict: () => undefined,
    ...given,
  };
}

/** Events without a name of their own. */
export function messages(...data: string[]): ServerSentEvent[] {
  return data.map((data) => ({ event: "message", data, id: "" }));
}

/** 2026-11-22 21:19:25.123 */
const START = Date.UTC(2026, 10, 22, 21, 19, 25, 123);

/** A recorder, a folder for it that goes away, and what it logs. */
export class RecordingWorld implements AsyncDisposable {
  readonly clock: FakeClock = new FakeClock(START);
  readonly root: string;
  readonly folder: string;
  readonly recorder: Recorder;
  readonly logged: LogRecord[];

  private constructor(
    root: string,
    logged: LogRecord[],
    options?: RecorderOptions,
  ) {
    this.root = root;
    this.folder = `${root}/recordings`;
    this.recorder = new Recorder(this.folder, this.clock, options);
    this.logged = logged;
  }

  static async create(options?: RecorderOptions): Promise<RecordingWorld> {
    const logged: LogRecord[] = [];
    await configure({
      reset: true,
      sinks: { memory: (record) => logged.push(record) },
      loggers: [
        { category: "rivulet", lowestLevel: "debug", sinks: ["memory"] },
        { category: ["logtape", "meta"], lowestLevel: "error", sinks: [] },
      ],
    });
    return new RecordingWorld(await Deno.makeTempDir(), logged, options);
  }

  /** Waits until all is written. */
  async written(): Promise<void> {
    await this.recorder[Symbol.asyncDispose]();
  }

  /** Waits until what is on the disk is as it should be, without an end of the run. */
  async reaches(isSo: () => boolean): Promise<void> {
    await until(
      () => {
        try {
          return isSo() || undefined;
        } catch {
          return undefined; // not there, or not all of it
        }
      },
      LIMIT,
      "the files",
    );
  }

  /** The names of the files, in order. */
  names(): string[] {
    return [...Deno.readDirSync(this.folder)].map(({ name }) => name).sort();
  }

  /** The path of the only file of a kind. */
  path(suffix: ".sse" | ".json"): string {
    const [name, ...others] = this.names().filter((name) =>
      name.endsWith(suffix)
    );
    if (name === undefined || others.length > 0) {
      throw new Error(`Expected one ${suffix}, got ${this.names()}`);
    }
    return `${this.folder}/${name}`;
  }

  /** The stream of the only recording. */
  stream(): string {
    return Deno.readTextFileSync(this.path(".sse"));
  }

  /** The facts of the only recording. */
  facts(): z.infer<typeof recordedFacts> {
    const text = Deno.readTextFileSync(this.path(".json"));
    return recordedFacts.parse(JSON.parse(text));
  }

  /** Returns the logged messages as text. */
  log(): string[] {
    return this.logged.map(({ message }) => message.join(""));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.written();
    await reset();
    await Deno.remove(this.root, { recursive: true });
  }
}
