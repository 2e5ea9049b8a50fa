import { Buffer } from "node:buffer";
import { type FileHandle, open, unlink, writeFile } from "node:fs/promises";

/** Nobody else may read or write them. */
const MODE = 0o600;

/** How an object ends that was written in lines. */
const LAST_LINE = "\n}\n";

/** The two files of a recording: NAME.sse, and NAME.json beside it. */
export class RecordingFiles {
  /** Takes the events; to be closed by who has it. */
  readonly stream: FileHandle;
  readonly #facts: string;
  /** How long that is, in bytes. */
  readonly #size: number;

  private constructor(stream: FileHandle, facts: string, size: number) {
    this.stream = stream;
    this.#facts = facts;
    this.#size = size;
  }

  /**
   * Makes the files, under a name that no others have.
   *
   * @param name Where, without an ending; a number is added where that is taken.
   * @param facts What is known so far: an object as JSON, in lines, and a line end.
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
        return new RecordingFiles(stream, `${path}.json`, size);
      } catch (error) {
        const isTaken = error instanceof Error && "code" in error &&
          error.code === "EEXIST";
        if (!isTaken) throw error;
      }
    }
  }

  /**
   * Adds to the facts, over their closing brace: so what is there already, which
   * may be a long prompt, need not be kept until then.
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
