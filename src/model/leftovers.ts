// This module is browser compatible.
import type { ServerSentEvent } from "../sse/event.ts";
import type { SseDiagnostic } from "../sse/diagnostic.ts";
import type { Upstream } from "./upstream.ts";

/** The most that is kept of lines that are no fields, in UTF-16 code units. */
const MOST = 1024 * 1024;

/**
 * Reads, at the end of a stream, text that the standard tells a parser to pass over
 * and that has a meaning all the same:
 *
 * - the last event, if its blank line is missing and its data is whole;
 * - a line `error: ...`, as llama.cpp has it;
 * - JSON without `data:`, be it all of the body or one object in each line.
 */
export class Leftovers {
  #lines: string[] = [];
  #length = 0;
  #errors: ServerSentEvent[] = [];
  #last: ServerSentEvent | undefined;

  /** Takes in what a parser passes over. */
  readonly take = (diagnostic: SseDiagnostic): void => {
    if (diagnostic.type === "unfinished") {
      const { event, data } = diagnostic;
      // An error whose JSON was cut off cannot be read, so it is not an event.
      const isWords = event === "error" && !/^\s*(?:[[{]|$)/.test(data);
      if (isWords || isWhole(data)) this.#last = { event, data, id: "" };
      return;
    }
    if (diagnostic.type !== "unknown-field") return;
    const { field, value } = diagnostic;
    this.#length += field.length + value.length;
    if (this.#length > MOST) return;
    if (/^error$/i.test(field) && value !== "") {
      this.#errors.push({ event: "error", data: value, id: "" });
    } else this.#lines.push(value === "" ? field : `${field}: ${value}`);
  };

  /**
   * Adds them to the end of a stream.
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
          const rest = this.#empty();
          if (rest !== undefined) return rest;
          throw error;
        }
        return batch ?? this.#empty();
      },
      cancel: (reason) => upstream.cancel(reason),
    };
  }

  #empty(): ServerSentEvent[] | undefined {
    const events = [...jsonIn(this.#lines), ...this.#errors];
    if (this.#last !== undefined) events.push(this.#last);
    this.#lines = [];
    this.#errors = [];
    this.#last = undefined;
    return events.length > 0 ? events : undefined;
  }
}

/** The events that lines are which are no fields: of all of them, or of each. */
function jsonIn(lines: readonly string[]): ServerSentEvent[] {
  const found = lines.some((line) => /^\s*[[{]/.test(line));
  if (!found) return [];
  const all = lines.join("\n");
  return (isJson(all) ? [all] : lines.filter(isJson))
    .map((data) => ({ event: "message", data, id: "" }));
}

function isWhole(data: string): boolean {
  return data.trim() === "[DONE]" || isJson(data);
}

/** Whether text is an object or an array of JSON. */
function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
