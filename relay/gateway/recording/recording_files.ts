import { Buffer } from "node:buffer";
import { type FileHandle, open, unlink, writeFile } from "node:fs/promises";

/** The files' mode: only their owner may read and write them. */
const MODE = 0o600;

/** The end of an object that was written in lines. */
const LAST_LINE = "\n}\n";

/** The two files of a recording: NAME.sse, and NAME.json beside it. */
export class RecordingFiles {
  /** The file of the events. The caller closes it. */
  readonly stream: FileHandle;
  /** The paths of both. */
  readonly paths: readonly [stream: string, facts: string];
  readonly #facts: string;
  /** The size of the facts, in bytes. */
  readonly #size: number;

  private constructor(stream: FileHandle, path: string, size: number) {
    this.stream = stream;
    this.paths = [`${path}.sse`, `${path}.json`];
    this.#facts = `${path}.json`;
    this.#size = size;
  }

  /**
   * Makes the files, under a name that is not taken.
   *
   * @param name The path without an ending; a number is added if it is taken.
   * @param facts The facts so far: an object as JSON, in lines, and a line end.
   */
  static async create(name: string, facts: string): Promise<RecordingFiles> {
    for (let n = 1;; n++) {
      const path = n === 1 ? name : `${name}-${n}`;
      try {
        const stream = await open(`${path}.sse`, "wx", MODE);
        try {
          await writeFile(`${path}.json`, facts, { flag: "wx", mode: MODE });
        } catch (error) {
          await stream.close();
          await unlink(`${path}.sse`);
          throw error;
        }
        const size = Buffer.byteLength(facts);
        return new RecordingFiles(stream, path, size);
      } catch (error) {
        const isTaken = error instanceof Error && "code" in error &&
          error.code === "EEXIST";
        if (!isTaken) throw error;
      }
    }
  }

  /**
   * Adds to the facts, over their closing brace: so the facts that are written, which
   * may hold a long prompt, need not be kept in memory until the end.
   */
  async complete(facts: Record<string, unknown>): Promise<void> {
    const text = `,${JSON.stringify(facts, null, 2).slice(1)}\n`;
    const bytes = Buffer.from(text);
    const start = this.#size - LAST_LINE.length;
    await using file = await open(this.#facts, "r+");
    for (let written = 0; written < bytes.length;) {
      const { bytesWritten } = await file.write(
        bytes,
        written,
        bytes.length - written,
        start + written,
      );
      written += bytesWritten;
    }
  }
}
