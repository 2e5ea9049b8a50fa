import { Reader } from "./reader.ts";

const decoder = new TextDecoder();

const LF = 10;

const DATA = "data: ";

/** Reads the answer that a caller gets: HTTP in chunks, with an event stream in it. */
export class CallerReader extends Reader {
  #hasHead = false;
  /** The text of an event that is not complete yet. */
  #text = "";

  protected override read(bytes: Uint8Array, at: number): number {
    return this.#hasHead ? this.#readChunk(bytes, at) : this.#readHead(bytes);
  }

  #readHead(bytes: Uint8Array): number {
    const text = decoder.decode(bytes);
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return 0;
    const head = text.slice(0, end);
    if (
      !head.startsWith("HTTP/1.1 200 ") ||
      !/^transfer-encoding: chunked$/im.test(head)
    ) {
      this.fail(text);
    }
    this.#hasHead = true;
    return end + 4;
  }

  #readChunk(bytes: Uint8Array, at: number): number {
    const lineEnd = bytes.indexOf(LF, at);
    if (lineEnd < 0) return 0;
    const size = parseInt(decoder.decode(bytes.subarray(at, lineEnd)), 16);
    const begin = lineEnd + 1;
    const end = begin + size + 2;
    if (bytes.length < end) return 0;
    if (size === 0) {
      if (this.#text !== "") this.fail(this.#text);
      this.finish();
    } else this.#take(decoder.decode(bytes.subarray(begin, begin + size)));
    return end - at;
  }

  #take(chunk: string): void {
    const text = this.#text + chunk;
    this.countMessage();
    let at = 0;
    for (let end; (end = text.indexOf("\n\n", at)) >= 0; at = end + 2) {
      const isData = text.startsWith(DATA, at);
      if (!isData || this.takeEvent(text, at + DATA.length) !== end) {
        return this.fail(text.slice(at, end));
      }
    }
    this.#text = text.slice(at);
  }
}
