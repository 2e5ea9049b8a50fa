import type { ServerSentEvent, SseDiagnostic } from "../../src/sse/mod.ts";

/** The output for a stream. */
export interface Outcome {
  events: ServerSentEvent[];
  comments: string[];
  retries: number[];
  diagnostics: SseDiagnostic[];
  lastEventId: string;
  reconnectionTime: number | undefined;
  /** The place of an event that was too large, if that ended the parsing. */
  tooLarge: { line: number; offset: number } | undefined;
}

export interface ReferenceOptions {
  maxEventSize?: number;
  onTooLarge?: "throw" | "skip";
  lastEventId?: string;
}

/**
 * Parses a whole stream's text, decoded, in the plainest way: the standard's
 * algorithm line by line, over text that is all there.
 */
export function referenceParse(
  text: string,
  { maxEventSize = Infinity, onTooLarge = "throw", lastEventId = "" }:
    ReferenceOptions = {},
): Outcome {
  const outcome: Outcome = {
    events: [],
    comments: [],
    retries: [],
    diagnostics: [],
    lastEventId,
    reconnectionTime: undefined,
    tooLarge: undefined,
  };
  let data: string[] = [];
  let type = "";
  let id: string | undefined;
  let skipping = false;
  let number = 0;
  let offset = 0;
  /** The line that the stream has ended in, where that is not its start. */
  let cut: { line: string; start: number } | undefined;
  while (offset < text.length) {
    let end = offset;
    while (end < text.length && text[end] !== "\r" && text[end] !== "\n") end++;
    const line = text.slice(offset, end);
    const finished = end < text.length;
    const start = offset;
    number++;
    offset = text.startsWith("\r\n", end) ? end + 2 : end + 1;

    if (finished && line === "") {
      if (id !== undefined) outcome.lastEventId = id;
      if (data.length > 0) {
        outcome.events.push({
          event: type === "" ? "message" : type,
          data: data.join("\n"),
          id: outcome.lastEventId,
        });
      }
      data = [];
      type = "";
      id = undefined;
      skipping = false;
      continue;
    }
    if (skipping) continue;
    const size = data.join("\n").length + type.length + (id ?? "").length +
      line.length;
    if (size > maxEventSize) {
      if (onTooLarge === "throw") {
        outcome.tooLarge = { line: number, offset: start };
        return outcome;
      }
      outcome.diagnostics.push({
        type: "too-large",
        line: number,
        offset: start,
        maxEventSize,
      });
      data = [];
      type = "";
      id = undefined;
      skipping = true;
      continue;
    }
    if (!finished) {
      cut = { line, start };
      break;
    }

    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    let value = colon === -1 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (colon === 0) {
      outcome.comments.push(value);
    } else if (field === "event") {
      type = value;
    } else if (field === "data") {
      data.push(value);
    } else if (field === "id") {
      if (!value.includes("\0")) id = value;
    } else if (field === "retry") {
      if (/^[0-9]+$/.test(value)) {
        const time = Number(value) > 2147483647 ? 2147483647 : Number(value);
        outcome.reconnectionTime = time;
        outcome.retries.push(time);
      } else {
        outcome.diagnostics.push({
          type: "invalid-retry",
          line: number,
          offset: start,
          value,
        });
      }
    } else {
      outcome.diagnostics.push({
        type: "unknown-field",
        line: number,
        offset: start,
        field,
        value,
      });
    }
  }
  if (skipping) return outcome;
  if (cut) {
    const [, field = "", colon, value = ""] =
      /^([^:]*)(:?) ?(.*)$/s.exec(cut.line) ?? [];
    if (field === "data" && colon) data.push(value);
    else if (field === "event") type = value;
    if (
      !/^(?:d(?:a(?:ta?)?)?|e(?:v(?:e(?:nt?)?)?)?|id?|r(?:e(?:t(?:ry?)?)?)?|)$/
        .test(field)
    ) {
      outcome.diagnostics.push({
        type: "unknown-field",
        line: number,
        offset: cut.start,
        field,
        value,
      });
    }
  }
  if (data.length > 0) {
    outcome.diagnostics.push({
      type: "unfinished",
      line: cut ? number : number + 1,
      offset: cut?.start ?? text.length,
      event: type === "" ? "message" : type,
      data: data.join("\n"),
    });
  }
  return outcome;
}
