/**
 * The events of a stream, read the plain way: the whole text, line by line.
 *
 * Shares no code with `src/sse`, so that the two can disagree.
 *
 * @module
 */
import type { ServerSentEvent } from "../../../src/sse/event.ts";

/** An event, and the fields of it that the standard does not know. */
export interface ReferenceEvent extends ServerSentEvent {
  /** Unknown fields, by name. */
  unknown: Record<string, string>;
}

/** Reads a whole stream (HTML Standard, section 9.2.6). */
export function readReference(text: string): ReferenceEvent[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\r|\n/);
  lines.pop(); // what no line end follows is no line
  const events: ReferenceEvent[] = [];
  let [event, data, id] = ["", [] as string[], ""];
  let unknown: Record<string, string> = {};
  for (const line of lines) {
    if (line === "") {
      if (data.length > 0) {
        const type = event || "message";
        events.push({ event: type, data: data.join("\n"), id, unknown });
      }
      [event, data, unknown] = ["", [], {}];
      continue;
    }
    const [, field = "", value = ""] = /^([^:]*)(?:: ?)?([^]*)$/.exec(line) ??
      [];
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id") id = value.includes("\0") ? id : value;
    else if (field !== "" && field !== "retry") unknown[field] = value;
  }
  return events;
}

/** Reads a whole stream of bytes. */
export function readReferenceBytes(bytes: Uint8Array): ServerSentEvent[] {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  return readReference(text).map(({ event, data, id }) => ({
    event,
    data,
    id,
  }));
}
