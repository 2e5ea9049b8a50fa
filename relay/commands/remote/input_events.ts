import { TextLineStream } from "@std/streams/text-line-stream";
import { z } from "zod";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { readEvents } from "../../../src/sse/read_events.ts";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { ExitError } from "../command.ts";

/** The form of stdin. */
export type InputForm = "lines" | "json" | "sse";

/** The largest event that is read, in bytes: as large as relays take by default. */
const MAX_EVENT = 16 * 1024 * 1024;

/** The longest line: JSON may take six characters for one. */
const MAX_LINE = { lines: MAX_EVENT, json: 6 * MAX_EVENT };

/** An event of an input. */
export interface InputEvent extends ServerSentEvent {
  /** The number of its line, from 1; `undefined` if an event stream has it. */
  readonly line?: number;
}

const line = z.object({
  event: z.string().regex(/^[^\r\n]*$/, "expected a name without line ends")
    .optional(),
  data: z.json(),
  id: z.string().regex(
    /^[^\r\n\0]*$/,
    "expected an id without line ends and NUL",
  ).optional(),
});

/**
 * Reads events from an input.
 *
 * @param input The bytes.
 * @param form The form of the input.
 * @param name The name of events that have none.
 * @param signal Ends the reading.
 * @throws {ExitError} If a line is no event in JSON, or too long.
 */
export async function* inputEvents(
  input: ReadableStream<Uint8Array>,
  form: InputForm,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<InputEvent> {
  if (form === "sse") {
    const events = readEvents(input, { maxEventSize: MAX_EVENT, signal });
    for await (const event of events) {
      yield event.event === "message" ? { ...event, event: name } : event;
    }
    return;
  }
  const lines = input
    // The types of the two libraries differ in what a buffer may be shared with.
    .pipeThrough(
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
      { signal },
    )
    .pipeThrough(boundedLines(MAX_LINE[form]))
    .pipeThrough(new TextLineStream());
  let number = 0;
  for await (const text of lines) {
    number += 1;
    if (form === "lines") {
      yield { event: name, data: text, id: "", line: number };
    } else if (text.trim() !== "") {
      yield { ...eventOf(text, number, name), line: number };
    }
  }
}

/** Refuses a line that would be held in memory for as long as it grows. */
function boundedLines(max: number): TransformStream<string, string> {
  let number = 1;
  let length = 0;
  return new TransformStream({
    transform(chunk, controller) {
      for (let from = 0;;) {
        const end = chunk.indexOf("\n", from);
        length += (end < 0 ? chunk.length : end) - from;
        if (length > max) {
          throw new ExitError(
            1,
            `Expected lines of at most ${max} characters: line ${number} is longer`,
          );
        }
        if (end < 0) break;
        number += 1;
        length = 0;
        from = end + 1;
      }
      controller.enqueue(chunk);
    },
  });
}

function eventOf(
  text: string,
  number: number,
  name: string,
): ServerSentEvent {
  try {
    const { event = name, data, id = "" } = line.parse(JSON.parse(text));
    return {
      event,
      data: typeof data === "string" ? data : JSON.stringify(data),
      id,
    };
  } catch (cause) {
    const reason = cause instanceof z.ZodError
      ? z.prettifyError(cause).replaceAll(/\s*\n\s*/g, " ")
      : messageOf(cause);
    throw new ExitError(
      1,
      `Expected {"event"?, "data", "id"?} in line ${number}, got something else: ${reason}`,
      { cause },
    );
  }
}
