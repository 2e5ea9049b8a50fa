/**
 * An answer of the relay as its caller has it: byte by byte.
 *
 * @module
 */
import { LIMIT, within } from "../within.ts";

/** The parts of an answer. */
export interface Received {
  /** All that was read of it. */
  readonly text: string;
  /** Whether it ended as bodies do, or was cut off. */
  readonly end: "whole" | "cut";
}

/** An answer that is read piece by piece. */
export class CallerStream implements AsyncDisposable {
  /** Its head. */
  readonly response: Response;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #read: Uint8Array = new Uint8Array();
  #isOver: "whole" | "cut" | undefined;

  constructor(response: Response) {
    this.response = response;
    this.#reader = response.body?.getReader();
    if (!this.#reader) this.#isOver = "whole";
  }

  /** The status. */
  get status(): number {
    return this.response.status;
  }

  /** A header. */
  header(name: string): string | null {
    return this.response.headers.get(name);
  }

  /** All bytes that were read. */
  get bytes(): Uint8Array {
    return this.#read;
  }

  /** Reads until there are this many bytes in all, or the end. */
  async reach(length: number): Promise<Uint8Array> {
    while (this.#read.length < length && !this.#isOver) await this.#more();
    return this.#read;
  }

  /** Reads until all that was read ends like this. */
  async see(end: string): Promise<void> {
    while (!new TextDecoder().decode(this.#read).endsWith(end)) {
      if (this.#isOver) {
        throw new Error(
          `Expected ${JSON.stringify(end)}, and the answer is over: ${
            JSON.stringify(new TextDecoder().decode(this.#read))
          } (${this.#isOver})`,
        );
      }
      await this.#more();
    }
  }

  /** Reads to the end. */
  async rest(): Promise<Received> {
    while (!this.#isOver) await this.#more();
    return {
      text: new TextDecoder().decode(this.#read),
      end: this.#isOver,
    };
  }

  /** Reads a refusal. */
  async problem(): Promise<Record<string, unknown>> {
    return JSON.parse((await this.rest()).text);
  }

  /** Goes away. */
  async leave(): Promise<void> {
    await this.#reader?.cancel().catch(() => {});
  }

  async #more(): Promise<void> {
    const reader = this.#reader!; // or it would be over
    try {
      const { done, value } = await within(
        reader.read(),
        LIMIT,
        () =>
          `more of an answer, after ${
            JSON.stringify(new TextDecoder().decode(this.#read).slice(-200))
          }`,
      );
      if (done) this.#isOver = "whole";
      else {
        const read = new Uint8Array(this.#read.length + value.length);
        read.set(this.#read);
        read.set(value, this.#read.length);
        this.#read = read;
      }
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("Waited")) {
        throw error;
      }
      this.#isOver = "cut";
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }
}
