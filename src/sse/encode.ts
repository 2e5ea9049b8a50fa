// This module is browser compatible.

const LINE_END = /\r\n|[\r\n]/;
const NOT_IN_LINE = /[\0\r\n]/;

/** An event to be written by {@linkcode encodeEvent}. */
export interface ServerSentEventInit {
  /**
   * The event's type; may not contain CR, LF or NUL.
   *
   * @default {"message"}
   */
  event?: string | undefined;
  /** The event's data. Every CR, LF and CRLF in it arrives as one LF. */
  data: string;
  /**
   * The event's id; may not contain CR, LF or NUL. `""` resets the last event
   * id to none, `undefined` leaves it as it is.
   */
  id?: string | undefined;
  /** The reconnection time to ask for, in milliseconds: an integer from 0. */
  retry?: number | undefined;
}

/**
 * Writes one event as the text of an event stream.
 *
 * A data line cannot hold a CR or an LF, so each line of the data becomes one
 * `data` line, and the parser joins them by LF. CR and CRLF therefore come back
 * as LF; all other text is unchanged. The type `"message"` is the default, and
 * is left out.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream | HTML Standard, section 9.2.5}
 *
 * @param event The event; one that was parsed will do.
 * @returns Its lines and its blank line, each ending in LF.
 * @throws {TypeError} If `event` or `id` contains CR, LF or NUL.
 * @throws {RangeError} If `retry` is not an integer from 0.
 *
 * @example Write an event
 * ```ts
 * import { encodeEvent } from "@rivulet/rivulet/sse";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeEvent({ data: "hello" }), "data: hello\n\n");
 * assertEquals(
 *   encodeEvent({ event: "log", data: "a\nb", id: "7", retry: 500 }),
 *   "event: log\nid: 7\nretry: 500\ndata: a\ndata: b\n\n",
 * );
 * ```
 */
export function encodeEvent(event: ServerSentEventInit): string {
  const { event: type = "message", data, id, retry } = event;
  let text = "";
  if (type !== "message" && type !== "") {
    checkLine("event", type);
    text += `event: ${type}\n`;
  }
  if (id !== undefined) {
    checkLine("id", id);
    text += `id: ${id}\n`;
  }
  if (retry !== undefined) {
    if (!Number.isSafeInteger(retry) || retry < 0) {
      throw new RangeError(
        `Cannot encode the event as 'retry' must be an integer from 0: current value is ${retry}`,
      );
    }
    text += `retry: ${retry}\n`;
  }
  return text + lines("data: ", data) + "\n";
}

/**
 * Writes a comment as the text of an event stream: clients pass over it, and it
 * keeps the connection from being idle.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#authoring-notes | HTML Standard, section 9.2.7}
 *
 * @param text The comment. Each of its lines, which end in CR, LF or CRLF,
 * becomes a comment of its own.
 * @returns Its lines, each ending in LF, and no blank line.
 *
 * @example Keep a connection alive
 * ```ts
 * import { encodeComment } from "@rivulet/rivulet/sse";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeComment("still here"), ": still here\n");
 * ```
 */
export function encodeComment(text: string): string {
  return lines(": ", text);
}

function lines(prefix: string, text: string): string {
  if (!text.includes("\n") && !text.includes("\r")) return `${prefix}${text}\n`;
  return `${prefix}${text.split(LINE_END).join(`\n${prefix}`)}\n`;
}

function checkLine(name: string, value: string): void {
  if (!NOT_IN_LINE.test(value)) return;
  throw new TypeError(
    `Cannot encode the event as '${name}' must not contain CR, LF or NUL: current value is ${
      JSON.stringify(value)
    }`,
  );
}
