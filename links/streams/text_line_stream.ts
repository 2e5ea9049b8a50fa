/**
 * A stand-in for `jsr:@std/streams/text-line-stream`.
 *
 * @module
 */

/** Cuts text at LF and CRLF; the rest after the last one is a line unless empty. */
export class TextLineStream extends TransformStream<string, string> {
  /** Makes a stream of lines. */
  constructor() {
    // Joined once per line: a line that comes in many chunks costs no more.
    let unfinished: string[] = [];
    super({
      transform(chunk, controller) {
        const [head = "", ...lines] = chunk.split("\n");
        unfinished.push(head);
        const rest = lines.pop();
        if (rest === undefined) return;
        for (const line of [unfinished.join(""), ...lines]) {
          controller.enqueue(line.endsWith("\r") ? line.slice(0, -1) : line);
        }
        unfinished = [rest];
      },
      flush(controller) {
        const rest = unfinished.join("");
        if (rest !== "") controller.enqueue(rest);
      },
    });
  }
}
