import type { Transform } from "node:stream";
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from "node:zlib";
import { ZstdFrameScanner } from "./zstd_frames.ts";

/** A decoder of `node:zlib`; its types do not say that it counts. */
type Decoder = Transform & { readonly bytesWritten: number };

/** A coding whose bodies can be decoded as they come. */
interface StreamedCoding {
  /** Makes a decoder. */
  make(): Decoder;
  /**
   * The way to find the end. `node:zlib` of Deno 2.9.6 takes a part for the whole in
   * `br` and `zstd`, and reads one frame of `zstd`.
   * - `checked`: the decoder fails if the body is not whole.
   * - `probed`: the decoder takes one byte more, or fails at it, if the body is not
   *   whole.
   * - `scanned`: the lengths in the body tell.
   */
  readonly end: "checked" | "probed" | "scanned";
}

const GZIP: StreamedCoding = { make: createGunzip, end: "checked" };

/** The codings that are understood, by their names in `Content-Encoding`. */
export const STREAMED: Readonly<Record<string, StreamedCoding>> = {
  br: { make: createBrotliDecompress, end: "probed" },
  deflate: { make: createInflate, end: "checked" },
  gzip: GZIP,
  "x-gzip": GZIP,
  zstd: { make: createZstdDecompress, end: "scanned" },
};

/** A body is not in its coding. */
export class CodingError extends Error {
  override readonly name: string = "CodingError";
}

/** A body is in its coding as far as it goes, and breaks off. */
export class CutBodyError extends CodingError {
  override readonly name = "CutBodyError";
}

/**
 * Decodes a body as it comes. It takes no more of the body while its reader takes
 * nothing.
 *
 * @param body The body.
 * @param coding Its coding.
 * @throws {CodingError} If the body is not in its coding.
 * @throws {CutBodyError} If it is not whole.
 */
export async function* decodedParts(
  body: AsyncIterable<Uint8Array>,
  { make, end }: StreamedCoding,
): AsyncGenerator<Uint8Array, void> {
  const scanner = end === "scanned" ? new ZstdFrameScanner() : undefined;
  let decoder = new PartDecoder(make());
  let isEmpty = true;
  try {
    for await (const part of body) {
      for (let rest = part; rest.length > 0;) {
        isEmpty = false;
        const length = scanner ? scanned(scanner, rest) : rest.length;
        const taken = yield* decoder.write(rest.subarray(0, length));
        if (taken < length) throw new CodingError("Expected the end");
        rest = rest.subarray(length);
        if (!scanner?.isOver) continue;
        decoder.close();
        decoder = new PartDecoder(make());
      }
    }
    if (end === "checked") return yield* decoder.end();
    const isWhole = scanner ? scanner.isOver : await decoder.isOver();
    if (isEmpty || !isWhole) throw new CutBodyError("Expected more");
  } finally {
    decoder.close();
  }
}

function scanned(scanner: ZstdFrameScanner, part: Uint8Array): number {
  try {
    return scanner.scan(part);
  } catch (cause) {
    throw new CodingError("Expected another frame", { cause });
  }
}

/** A decoder that is written to and read in turns. */
class PartDecoder {
  readonly #decoder: Decoder;
  #failure: { readonly error: unknown } | undefined;
  #wake = (): void => {};

  constructor(decoder: Decoder) {
    this.#decoder = decoder;
    decoder.on("readable", () => this.#wake());
    decoder.on("end", () => this.#wake());
    decoder.on("error", (error) => {
      this.#failure ??= { error };
      this.#wake();
    });
  }

  /** Decodes a part; returns how many bytes of it belong to what is decoded. */
  async *write(part: Uint8Array): AsyncGenerator<Uint8Array, number> {
    const before = this.#decoder.bytesWritten;
    let isOver = false;
    this.#decoder.write(part, () => {
      isOver = true;
      this.#wake();
    });
    yield* this.#read(() => isOver);
    return this.#decoder.bytesWritten - before;
  }

  /** Decodes what is left. */
  async *end(): AsyncGenerator<Uint8Array, void> {
    this.#decoder.end();
    try {
      yield* this.#read(() => this.#decoder.readableEnded);
    } catch (cause) {
      // An error of its data would have come before.
      throw new CutBodyError("Expected more", { cause });
    }
  }

  /** Whether the decoder expects nothing more. */
  async isOver(): Promise<boolean> {
    const probe = this.write(new Uint8Array(1));
    try {
      for (;;) {
        const { done, value } = await probe.next();
        if (done) return value === 0;
      }
    } catch {
      return false;
    }
  }

  /** Lets go of the decoder. */
  close(): void {
    this.#decoder.destroy();
  }

  async *#read(isOver: () => boolean): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      for (;;) {
        const part: Uint8Array | null = this.#decoder.read();
        if (part === null) break;
        yield part;
      }
      if (this.#failure) {
        const { error: cause } = this.#failure;
        throw new CodingError("Expected a body in its coding", { cause });
      }
      if (isOver()) return;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}
