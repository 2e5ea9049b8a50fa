// This module is browser compatible.
import type { ServerSentEvent } from "../sse/event.ts";
import type { SseDiagnostic } from "../sse/diagnostic.ts";
import type { Upstream } from "./upstream.ts";
import {
  bareError,
  errorIn,
  hasContent,
  isFields,
  parseData,
} from "./wires/event_data.ts";

/** The most that is kept of lines that are no fields, in UTF-16 code units. */
const MOST = 1024 * 1024;

/** The beginning of JSON that is an object or an array. */
const JSON_START = /^\s*[[{]/;

/**
 * Reads text of a stream that the standard tells a parser to pass over and that has
 * a meaning all the same:
 *
 * - a line `error: ...`, as llama.cpp has it, and an error that is one line of JSON
 *   without `data:`: in their place, since `[DONE]` may follow;
 * - any other JSON without `data:`, be it all of the body or one object in each
 *   line: at the end;
 * - the last event, if its blank line is missing and its data is whole.
 */
export class Leftovers {
  readonly #most: number;
  #lines: string[] = [];
  #length = 0;
  #last: ServerSentEvent | undefined;

  /**
   * Makes leftovers of a stream that has not begun.
   *
   * @param most The most that is kept of lines that are no fields, in UTF-16 code
   * units. Default: 1 MiB.
   */
  constructor(most = MOST) {
    this.#most = most;
  }

  /** The length of what is kept for the end, in UTF-16 code units. */
  get size(): number {
    return this.#length + (this.#last?.data.length ?? 0);
  }

  /**
   * Takes in what a parser passes over.
   *
   * @returns The error that it is, in its place among the events; `undefined` if
   * it is none, or only the end of the stream tells.
   */
  readonly take = (diagnostic: SseDiagnostic): ServerSentEvent | undefined => {
    if (diagnostic.type === "unfinished") {
      const { event, data } = diagnostic;
      // An error whose JSON was cut off cannot be read, so it is not an event.
      const isWords = event === "error" && !/^\s*(?:[[{]|$)/.test(data);
      if (isWords || isWhole(data)) this.#last = { event, data, id: "" };
      return undefined;
    }
    if (diagnostic.type !== "unknown-field") return undefined;
    const { field, value } = diagnostic;
    if (/^error$/i.test(field)) {
      const data = value.slice(0, this.#most);
      // A field that says `null` or `false` with each event is no error.
      return hasContent(errorIn(data))
        ? { event: "error", data, id: "" }
        : undefined;
    }
    // Before the beginning of JSON, lines mean nothing.
    if (this.#length === 0 && !JSON_START.test(field)) return undefined;
    const length = field.length + value.length;
    if (this.#length + length > this.#most) return undefined;
    const line = value === "" ? field : `${field}: ${value}`;
    // A list of objects over several lines ends each but the last with a comma.
    if (this.#length === 0 || /^[[{]/.test(field)) {
      const event = { event: "message", data: line, id: "" };
      if (isError(event)) return event;
    }
    this.#length += length;
    this.#lines.push(line);
    return undefined;
  };

  /**
   * Returns what only the end of the stream tells, and forgets it.
   *
   * @returns The events that the lines are, and the last event.
   */
  rest(): ServerSentEvent[] {
    const events = jsonIn(this.#lines);
    if (this.#last !== undefined) events.push(this.#last);
    this.#lines = [];
    this.#length = 0;
    this.#last = undefined;
    return events;
  }

  /**
   * Adds what only the end tells to the end of a stream.
   *
   * @param upstream The stream whose leftovers these are.
   * @returns Its events, and then those.
   */
  after(upstream: Upstream): Upstream {
    return {
      nextBatch: async () => {
        let batch: ServerSentEvent[] | undefined;
        try {
          batch = await upstream.nextBatch();
        } catch (error) {
          // The events that the provider sent before count more than the
          // silence or break that followed. The next call throws the same
          // error.
          const rest = this.rest();
          if (rest.length > 0) return rest;
          throw error;
        }
        if (batch !== undefined) return batch;
        const rest = this.rest();
        return rest.length > 0 ? rest : undefined;
      },
      cancel: (reason) => upstream.cancel(reason),
    };
  }
}

/**
 * Whether something left over is an error in every format that has errors.
 *
 * @param event The event that was made of it.
 * @returns Whether it is.
 */
export function isError({ event, data }: ServerSentEvent): boolean {
  if (event === "error") return true;
  const value = parseData(data);
  if (bareError(value) !== undefined) return true;
  return isFields(value) &&
    (hasContent(value.error) || value.type === "error" ||
      value.object === "error");
}

/** The events that lines are which are no fields: of all of them, or of each. */
function jsonIn(lines: readonly string[]): ServerSentEvent[] {
  if (lines.length === 0) return [];
  const all = lines.join("\n");
  return (isJson(all) ? [all] : lines.filter(isJson))
    .map((data) => ({ event: "message", data, id: "" }));
}

function isWhole(data: string): boolean {
  return data.trim() === "[DONE]" || isJson(data);
}

/** Whether text is an object or an array of JSON. */
function isJson(text: string): boolean {
  if (!JSON_START.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
