// This module is browser compatible.

import { flatPiece } from "./_flat_piece.ts";
import type { ServerSentEvent } from "./event.ts";
import { SseParser, type SseParserOptions } from "./parser.ts";

/**
 * The longest chunk that is parsed in place, in UTF-16 code units: what one HTTP/2
 * frame or TLS record carries. The parser's own limit is higher.
 *
 * Copying takes 130 of 670 ns for a token event of 210 characters at chunks of
 * 16 KiB (`bench/parse.ts`), and most of it is what new memory costs: neither
 * `+`, nor pieces of 4 KiB, nor copying in the parser took less. Without it, the
 * stream is faster than eventsource-parser's, which never copies.
 */
const MAX_IN_PLACE = 16 * 1024;

/** Options for {@linkcode SseParserStream}. */
export type SseParserStreamOptions = Omit<SseParserOptions, "onEvent">;

/**
 * Turns the text of an event stream into its events, after a
 * `TextDecoderStream`.
 *
 * It parses as {@linkcode SseParser} does, except that it copies chunks of over
 * 16,384 code units: a string that is kept from an event keeps at most that much
 * of its chunk alive. {@linkcode readEvents} does the same from bytes, and faster:
 * a stream has promises to keep for every event. It also
 * decodes to the letter where Deno's own `TextDecoderStream` (in 2.9.6) strips a
 * BOM at the start of a later chunk, if all before that was ASCII.
 *
 * @example Parse the body of a response
 * ```ts
 * import { SseParserStream } from "@rivulet/rivulet/sse";
 * import { assertEquals } from "@std/assert";
 *
 * const response = new Response("data: a\n\nevent: end\ndata: b\n\n");
 * const events = response.body!
 *   .pipeThrough(new TextDecoderStream())
 *   .pipeThrough(new SseParserStream());
 *
 * assertEquals(await Array.fromAsync(events), [
 *   { event: "message", data: "a", id: "" },
 *   { event: "end", data: "b", id: "" },
 * ]);
 * ```
 */
export class SseParserStream extends TransformStream<string, ServerSentEvent> {
  readonly #parser: SseParser;

  /**
   * Creates a stream to write one stream's text to.
   *
   * @param options Limits, callbacks, the id to begin with.
   * @throws {TypeError} If `onTooLarge` is neither `"throw"` nor `"skip"`.
   * @throws {RangeError} If `maxEventSize` is not a positive integer.
   */
  constructor(options: SseParserStreamOptions = {}) {
    let controller: TransformStreamDefaultController<ServerSentEvent>;
    const parser = new SseParser({
      ...options,
      onEvent: (event) => controller.enqueue(event),
    });
    super({
      start(startController) {
        controller = startController;
      },
      transform(text) {
        if (text.length <= MAX_IN_PLACE) {
          parser.push(text);
          return;
        }
        for (let i = 0; i < text.length;) {
          const piece = flatPiece(text, i);
          parser.push(piece);
          i += piece.length;
        }
      },
      flush() {
        parser.end();
      },
    });
    this.#parser = parser;
  }

  /**
   * The last event id of the text that was written so far; see
   * {@linkcode SseParser.lastEventId}.
   *
   * @returns The id.
   */
  get lastEventId(): string {
    return this.#parser.lastEventId;
  }

  /**
   * The reconnection time that the stream has asked for last, in milliseconds;
   * see {@linkcode SseParser.reconnectionTime}.
   *
   * @returns The time in milliseconds.
   */
  get reconnectionTime(): number | undefined {
    return this.#parser.reconnectionTime;
  }
}
