import { Buffer } from "node:buffer";
import type { FileHandle } from "node:fs/promises";
import { basename, join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { type Clock, wallTime } from "../../../src/fetch/clock.ts";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { encodeComment } from "../../../src/sse/encode.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { HeaderList } from "../../header_list.ts";
import { slices } from "../../slices.ts";
import { RecordingScrubber } from "../../secrets/recording_scrubber.ts";
import type { EndStatus, TopicEnd } from "../../topics/end.ts";
import { PacedWriter } from "./paced_writer.ts";
import { recordedBody } from "./recorded_body.ts";
import type { RecordedRun, Recording } from "./recording.ts";
import { RecordingFiles } from "./recording_files.ts";
import { makeFolder } from "./recording_folder.ts";

/** The parts that the recordings of one folder share. */
export interface RecordingContext {
  /** The folder of the files. */
  readonly folder: string;
  /** The clock. */
  readonly clock: Clock;
  /** The room for text that waits for the disk, in UTF-16 code units. */
  readonly room: { free: number };
  /** The most bytes of the events of one recording. */
  readonly maxBytes: number;
  /** Is told the paths of the files when they are written; never rejects. */
  done(paths: readonly string[]): Promise<void>;
}

/** Events that came at once. */
interface Moment {
  /** The time, in whole milliseconds since the start. */
  readonly at: number;
  readonly events: readonly ServerSentEvent[];
}

/** A run whose headers are copied, since the caller may change its own. */
interface CopiedRun extends Omit<RecordedRun, "headers" | "body" | "verdict"> {
  readonly headers: readonly (readonly [string, string])[];
  /** The body, as it is recorded. */
  readonly body: string | undefined;
}

/** A run that can be written down. */
interface Begun {
  readonly files: RecordingFiles;
  readonly scrubber: RecordingScrubber;
}

/**
 * The time that events are gathered for one write, in milliseconds: with a write for
 * each event, many runs would keep the machine busy with little else.
 */
const GATHER = 200;

/** The size from which gathered events are written at once, in UTF-16 code units. */
const GATHER_SIZE = 64 * 1024;

/** The text that is made in a step, and written at once, at least. In UTF-16 code units. */
const PIECE = 32 * 1024;

/** The overhead of an event, in UTF-16 code units. */
const EVENT_OVERHEAD = 64;

const logger = getLogger(["rivulet", "relay", "recorder"]);

/**
 * The recording of one run: NAME.sse, and NAME.json beside it.
 *
 * The first is written while the run goes on. The second is written when the run
 * begins, and completed when it ends.
 */
export class RecordingFile implements Recording {
  /** Resolves when nothing is left to write; never rejects. */
  readonly finished: Promise<void>;
  readonly #file = Promise.withResolvers<string | undefined>();
  readonly #context: RecordingContext;
  readonly #topic: string;
  readonly #verdict: RecordedRun["verdict"];
  readonly #start: number;
  /** The same by the calendar. */
  readonly #started: number;

  /** The events that wait to be written, and their size. */
  #moments: Moment[] = [];
  #size = 0;
  /** Resolved when they are to be written. */
  #due = Promise.withResolvers<void>();
  #cancelTimer: (() => void) | undefined;

  /** The number of events, and the number of them that are in the file. */
  #events = 0;
  #written = 0;
  /** Whether events are lost: then no more are recorded. */
  #isBroken = false;
  #response:
    | { readonly status: number; readonly headers: HeaderList }
    | undefined;
  #end: TopicEnd | undefined;
  #duration = 0;
  readonly #over = Promise.withResolvers<void>();
  #isOver = false;
  #isTold = false;

  /** Begins the recording of a run. */
  constructor(run: RecordedRun, context: RecordingContext) {
    this.#context = context;
    this.#topic = run.topic;
    this.#verdict = () => run.verdict();
    this.#start = context.clock.now();
    this.#started = wallTime(context.clock);
    this.finished = this.#create(run, [...run.headers])
      .then((begun) => this.#record(begun))
      .catch((error: unknown) => this.#break(error))
      .finally(() => this.#file.resolve(undefined));
  }

  get file(): Promise<string | undefined> {
    return this.#file.promise;
  }

  response(status: number, headers: HeaderList): void {
    if (!this.#isOver) {
      this.#response = { status, headers: new HeaderList(headers) };
    }
  }

  events(events: readonly ServerSentEvent[]): void {
    if (this.#isOver || events.length === 0) return;
    this.#events += events.length;
    const { room } = this.#context;
    const size = sizeOf(events);
    if (!this.#isBroken && size > room.free) {
      this.#isBroken = true; // what is waiting is written all the same
      this.#tell("the disk is slower than the runs");
    }
    if (this.#isBroken) return;
    room.free -= size;
    this.#size += size;
    this.#moments.push({ at: this.#elapsed(), events });
    if (this.#size >= GATHER_SIZE) this.#due.resolve();
    this.#cancelTimer ??= this.#context.clock.setTimeout(
      () => this.#due.resolve(),
      GATHER,
    );
  }

  end(status: EndStatus, reason?: string): void {
    if (this.#isOver) return;
    this.#end = { status, ...(reason !== undefined && { reason }) };
    this.stop();
  }

  /** Stops recording. If nothing was said of the run's end, how it ended is left open. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#end ??= this.#verdict();
    this.#duration = this.#elapsed();
    this.#due.resolve();
    this.#over.resolve();
  }

  async #create(
    run: RecordedRun,
    headers: CopiedRun["headers"],
  ): Promise<Begun> {
    const { folder } = this.#context;
    await makeFolder(folder);
    // By now the run is under way, so this delays no request.
    const body = run.body &&
      await slices.run("recordings", recordedBody(run.body));
    const { head, scrubber } = describe(
      { ...run, headers, body },
      this.#started,
    );
    const name = join(folder, this.#name(scrubber));
    const files = await RecordingFiles.create(name, head);
    this.#file.resolve(basename(files.paths[0]));
    return { files, scrubber };
  }

  async #record({ files, scrubber }: Begun): Promise<void> {
    try {
      await using stream = files.stream;
      await this.#writeEvents(stream, scrubber);
    } catch (error) {
      this.#break(error);
    }
    await this.#over.promise;
    try {
      await files.complete(this.#tail(scrubber));
    } finally {
      await this.#context.done(files.paths);
    }
  }

  #name(scrubber: RecordingScrubber): string {
    const stamp = new Date(this.#started).toISOString().replace(/[-:.]/g, "");
    // Windows allows no colon in a file's name.
    const topic = scrubber.text(this.#topic).replace(/[^\w.~-]/g, "_");
    return `${stamp}-${topic.slice(0, 128)}`;
  }

  async #writeEvents(
    stream: FileHandle,
    scrubber: RecordingScrubber,
  ): Promise<void> {
    const writer = new PacedWriter();
    let bytes = 0;
    let last = 0;
    for (let isOver = false; !isOver;) {
      await this.#due.promise;
      this.#due = Promise.withResolvers();
      this.#stopTimer();
      isOver = this.#isOver;
      const moments = this.#moments.splice(0);
      const size = this.#size;
      this.#size = 0;
      const taken = moments.reduce((sum, { events }) => sum + events.length, 0);
      try {
        const encoded = await slices.run(
          "recordings",
          encode(moments, last, writer, scrubber),
        );
        last = moments.at(-1)?.at ?? last;
        const words = isOver ? this.#lastWords(taken, scrubber) : "";
        bytes += encoded.bytes + Buffer.byteLength(words);
        if (bytes > this.#context.maxBytes) {
          throw new Error("it is larger than all may be (--record-max-bytes)");
        }
        for (const piece of encoded.pieces) await stream.appendFile(piece);
        await stream.appendFile(encoded.rest + words);
        this.#written += taken;
      } finally {
        this.#context.room.free += size;
      }
    }
  }

  /** Returns the end as comments, which a parser skips. */
  #lastWords(taken: number, scrubber: RecordingScrubber): string {
    const missing = this.#events - this.#written - taken;
    const lost = missing > 0 ? encodeComment(`lost ${missing} events`) : "";
    if (!this.#end) return lost;
    const { status, reason } = this.#end;
    const words = reason === undefined ? status : `${status}: ${reason}`;
    // In one line: a second one could be read as a pace.
    const line = scrubber.text(words).replace(/\s+/g, " ");
    return `${lost}${encodeComment(`end ${line}`)}\n`;
  }

  #tail(scrubber: RecordingScrubber): Record<string, unknown> {
    const { status, headers } = this.#response ?? {};
    const lost = this.#events - this.#written;
    return {
      ...(headers && {
        response: { status, headers: scrubber.headers(headers) },
      }),
      ...(this.#end && { end: scrubber.json(this.#end) }),
      events: this.#events,
      ...(lost > 0 && { lost }),
      duration: this.#duration,
    };
  }

  /** Stops recording events, and drops those that are not written. */
  #break(error: unknown): void {
    this.#tell(messageOf(error));
    this.#isBroken = true;
    this.#stopTimer();
    this.#context.room.free += this.#size;
    this.#moments = [];
    this.#size = 0;
  }

  #tell(reason: string): void {
    if (this.#isTold) return;
    this.#isTold = true;
    logger.warning("The recording of {topic} is incomplete: {reason}", {
      topic: this.#topic,
      reason,
    });
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #elapsed(): number {
    // Rounded from the start on, so that errors do not add up.
    return Math.round(this.#context.clock.now() - this.#start);
  }
}

/** Makes what is known when the run begins, and what takes the secrets out. */
function describe(
  run: CopiedRun,
  start: number,
): { readonly head: string; readonly scrubber: RecordingScrubber } {
  const { topic, provider, method, path, headers } = run;
  const withBody = (body: unknown) => {
    const scrubber = new RecordingScrubber({ ...run, body });
    const facts = {
      started: new Date(start).toISOString(),
      topic: scrubber.text(topic),
      provider: scrubber.text(provider),
      method: scrubber.text(method),
      path: scrubber.path(path),
      headers: scrubber.headers(headers),
      ...(body !== undefined && { body: scrubber.json(body) }),
    };
    return { head: `${JSON.stringify(facts, null, 2)}\n`, scrubber };
  };
  try {
    return withBody(run.body && JSON.parse(run.body));
  } catch {
    return withBody(run.body); // no JSON, or nested too deeply
  }
}

/** The text of events, in the pieces that are written. */
interface Encoded {
  readonly pieces: readonly string[];
  /** The text behind the last of them. */
  readonly rest: string;
  /** The size of all in UTF-8. */
  readonly bytes: number;
}

/**
 * Makes the text of events, in steps: much may have come while the disk was busy, and
 * one event may be long.
 *
 * @param moments The events.
 * @param last The time of the events before.
 */
function* encode(
  moments: readonly Moment[],
  last: number,
  writer: PacedWriter,
  scrubber: RecordingScrubber,
): Generator<void, Encoded> {
  const pieces: string[] = [];
  let bytes = 0;
  let rest = "";
  for (const { at, events } of moments) {
    const scrubbed: ServerSentEvent[] = [];
    for (const { event, data, id } of events) {
      scrubbed.push({
        event: scrubber.text(event),
        data: yield* scrubber.longText(data),
        id: scrubber.text(id),
      });
    }
    for (const part of writer.pieces(at - last, scrubbed)) {
      rest += part;
      if (rest.length < PIECE) continue;
      bytes += Buffer.byteLength(rest);
      pieces.push(rest);
      rest = "";
      yield;
    }
    last = at;
  }
  return { pieces, rest, bytes: bytes + Buffer.byteLength(rest) };
}

function sizeOf(events: readonly ServerSentEvent[]): number {
  return events.reduce(
    (size, { event, data, id }) =>
      size + event.length + data.length + id.length + EVENT_OVERHEAD,
    0,
  );
}
