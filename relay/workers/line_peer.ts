import { TextLineStream } from "@std/streams/text-line-stream";
import { z } from "zod";
import { messageOf } from "../../src/fetch/message_of.ts";

/** A line of the conversation. */
const line = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("call"),
    id: z.int(),
    method: z.string(),
    body: z.unknown(),
  }),
  z.strictObject({ kind: z.literal("answer"), id: z.int(), body: z.unknown() }),
  z.strictObject({
    kind: z.literal("refusal"),
    id: z.int(),
    message: z.string(),
  }),
  z.strictObject({
    kind: z.literal("note"),
    method: z.string(),
    body: z.unknown(),
  }),
]);

type Line = z.input<typeof line>;

/** The other process did not do what it was called for, or has ended. */
export class PeerError extends Error {
  /** The code for programs. */
  readonly code = "peer_failed";

  /** Says what went wrong. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PeerError";
  }
}

/** The parts of a conversation. */
export interface LinePeerOptions {
  /** The bytes that the other process writes. */
  readonly input: ReadableStream<Uint8Array>;
  /** Writes text to the other process; rejects if nobody reads. */
  write(text: string): Promise<void>;
  /** Answers a call. */
  onCall(method: string, body: unknown): Promise<unknown>;
  /** Is told a note. */
  onNote(method: string, body: unknown): void;
  /** Is told each line that is not of the conversation, such as the last words of a runtime. */
  onOther(text: string): void;
}

/**
 * A conversation of two processes over pipes, a line of JSON each message. Both may call
 * each other, and send notes that are not answered.
 */
export class LinePeer {
  /** Resolves when the other process has closed its side. */
  readonly closed: Promise<void>;
  readonly #options: LinePeerOptions;
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>();
  #isClosed = false;
  #lastId = 0;
  #writing = 0;

  /** Begins to listen. */
  constructor(options: LinePeerOptions) {
    this.#options = options;
    this.closed = this.#read();
  }

  /** Whether the other process has not taken all that was written yet. */
  get isBusy(): boolean {
    return this.#writing > 0;
  }

  /**
   * Calls the other process.
   *
   * @param body What JSON can have.
   * @returns The answer. Rejects with a {@linkcode PeerError} if it is refused, or if the
   * other process ends.
   */
  call(method: string, body: unknown = null): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(ended());
    const id = ++this.#lastId;
    const call = Promise.withResolvers<unknown>();
    this.#calls.set(id, call);
    void this.#send({ kind: "call", id, method, body });
    return call.promise;
  }

  /**
   * Tells the other process something; nothing is told to one that has ended.
   *
   * @returns Resolves when there is room for more.
   */
  note(method: string, body: unknown = null): Promise<void> {
    return this.#send({ kind: "note", method, body });
  }

  async #read(): Promise<void> {
    const lines = this.#options.input.pipeThrough(
      // The streams of Deno are of buffers that are not shared, those of Node of any.
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
    ).pipeThrough(new TextLineStream());
    try {
      for await (const text of lines) this.#take(text);
    } catch {
      // It has ended within a line, and nobody waits for the rest.
    } finally {
      this.#isClosed = true;
      for (const { reject } of this.#calls.values()) reject(ended());
      this.#calls.clear();
    }
  }

  #take(text: string): void {
    const parsed = line.safeParse(parseJson(text));
    if (!parsed.success) return this.#options.onOther(text);
    const message = parsed.data;
    switch (message.kind) {
      case "call":
        return void this.#answer(message.id, message.method, message.body);
      case "answer":
        return this.#settle(message.id)?.resolve(message.body);
      case "refusal":
        return this.#settle(message.id)?.reject(new PeerError(message.message));
      case "note":
        return this.#options.onNote(message.method, message.body);
    }
  }

  #settle(id: number): PromiseWithResolvers<unknown> | undefined {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    return call;
  }

  async #answer(id: number, method: string, asked: unknown): Promise<void> {
    try {
      const body = await this.#options.onCall(method, asked) ?? null;
      void this.#send({ kind: "answer", id, body });
    } catch (error) {
      void this.#send({ kind: "refusal", id, message: messageOf(error) });
    }
  }

  async #send(message: Line): Promise<void> {
    this.#writing++;
    try {
      await this.#options.write(`${JSON.stringify(message)}\n`);
    } catch {
      // Whoever does not read has ended, which is told by `closed`.
    } finally {
      this.#writing--;
    }
  }
}

function ended(): PeerError {
  return new PeerError("The other process has ended");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
