const LF = 0x0a;
const CR = 0x0d;

/** The line break before the blank line that ends a head, and that line. */
const HEAD_END = [CR, LF, CR, LF];

// One character a byte: the framing of HTTP is ASCII.
const decoder = new TextDecoder("latin1");

/** The listener for the parts of answers. */
export interface AnswerListener {
  /** The head has come. */
  onHead(head: string): void;
  /** Some of the body has come: the bytes from `from` up to `to`, which are not kept. */
  onBody(bytes: Uint8Array<ArrayBuffer>, from: number, to: number): void;
  /** The answer is whole. */
  onEnd(): void;
}

/** The place of a reader in an answer. */
type Place = "head" | "counted" | "size" | "chunk" | "after chunk" | "trailer";

/**
 * Reads answers, one after the other, that have a length or are in chunks
 * (RFC 9112, sections 6.2 and 7.1), cut anywhere.
 */
export class AnswerReader {
  readonly #listener: AnswerListener;
  #place: Place = "head";
  /** The line of the framing that is being read, or the head. */
  #text = "";
  /** The bytes left of the body that has a length, or of the chunk. */
  #left = 0;

  /** Makes a reader that waits for a head. */
  constructor(listener: AnswerListener) {
    this.#listener = listener;
  }

  /**
   * Takes what has come.
   *
   * @param bytes Not kept.
   * @param end How many of the bytes are meant.
   * @throws {Error} If it is no such answer.
   */
  push(bytes: Uint8Array<ArrayBuffer>, end: number): void {
    for (let at = 0; at < end;) {
      switch (this.#place) {
        case "head":
          at = this.#takeHead(bytes, at, end);
          break;
        case "counted":
        case "chunk":
          at = this.#takeBody(bytes, at, end);
          break;
        default:
          at = this.#takeLine(bytes, at, end);
      }
    }
  }

  #takeHead(
    bytes: Uint8Array<ArrayBuffer>,
    from: number,
    end: number,
  ): number {
    // The text before may end with a part of the head's end.
    const before = this.#text.slice(-HEAD_END.length + 1);
    let matched = 0;
    for (let i = 0; i < before.length; i++) {
      matched = step(matched, before.charCodeAt(i));
    }
    for (let at = from; at < end;) {
      matched = step(matched, bytes[at++]!); // there are `end` of them
      if (matched < HEAD_END.length) continue;
      this.#begin(this.#text + decoder.decode(bytes.subarray(from, at)));
      return at;
    }
    this.#text += decoder.decode(bytes.subarray(from, end));
    return end;
  }

  #begin(head: string): void {
    this.#text = "";
    const [, length] = /^content-length: *([0-9]+) *\r$/im.exec(head) ?? [];
    if (length !== undefined) {
      this.#left = Number(length);
      this.#place = "counted";
    } else if (/^transfer-encoding: *chunked *\r$/im.test(head)) {
      this.#place = "size";
    } else {
      throw new Error(
        `Expected an answer with a length or in chunks: got ${head}`,
      );
    }
    this.#listener.onHead(head);
    if (this.#place === "counted" && this.#left === 0) this.#end();
  }

  #takeBody(
    bytes: Uint8Array<ArrayBuffer>,
    from: number,
    end: number,
  ): number {
    const to = Math.min(end, from + this.#left);
    this.#left -= to - from;
    this.#listener.onBody(bytes, from, to);
    if (this.#left === 0) {
      if (this.#place === "chunk") this.#place = "after chunk";
      else this.#end();
    }
    return to;
  }

  /** Takes a line of the framing up to its end, or as much of it as there is. */
  #takeLine(
    bytes: Uint8Array<ArrayBuffer>,
    from: number,
    end: number,
  ): number {
    for (let at = from; at < end;) {
      const byte = bytes[at++]!; // there are `end` of them
      if (byte === LF) {
        const line = this.#text;
        this.#text = "";
        this.#obey(line);
        return at;
      }
      if (byte !== CR) this.#text += String.fromCharCode(byte);
    }
    return end;
  }

  #obey(line: string): void {
    if (this.#place === "size") {
      const size = /^[0-9a-f]+/i.exec(line)?.[0];
      if (size === undefined) {
        throw new Error(`Expected the size of a chunk: got '${line}'`);
      }
      this.#left = parseInt(size, 16);
      this.#place = this.#left === 0 ? "trailer" : "chunk";
    } else if (this.#place === "after chunk") {
      if (line !== "") {
        throw new Error(`Expected the end of a chunk: got '${line}'`);
      }
      this.#place = "size";
    } else if (line === "") this.#end(); // of the trailer
  }

  #end(): void {
    this.#place = "head";
    this.#listener.onEnd();
  }
}

/** Returns the number of bytes of a head's end after another byte. */
function step(matched: number, byte: number): number {
  if (byte === HEAD_END[matched]) return matched + 1;
  return byte === CR ? 1 : 0;
}
