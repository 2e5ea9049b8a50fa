/**
 * A stand-in for `jsr:@std/streams/text-line-stream`.
 *
 * @module
 */

/** Cuts text at LF and CRLF; the rest after the last one is a line unless empty. */
export class TextLineStream extends TransformStream<string, string> {
  /** Makes a stream of lines. */
  constructor() {
    let rest = "";
    super({
      transform(chunk, controller) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          controller.enqueue(line.endsWith("\r") ? line.slice(0, -1) : line);
        }
      },
      flush(controller) {
        if (rest !== "") controller.enqueue(rest);
      },
    });
  }
}
