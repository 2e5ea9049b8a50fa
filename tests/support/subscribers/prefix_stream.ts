/**
 * A reader of all topics whose names begin alike, over SSE.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { z } from "zod";
import { readEvents } from "../../../src/sse/read_events.ts";
import { LIMIT, within } from "../within.ts";

/** Accepts a message of such a stream. */
const prefixMessage = z.looseObject({
  type: z.string(),
  topic: z.string(),
  epoch: z.string().optional(),
});

/** A message, with the id that stood in front of it. */
export interface PrefixMessage {
  readonly id: string;
  readonly message: z.infer<typeof prefixMessage>;
}

/** Reads the messages of a stream, until that ends or the reading is aborted. */
export async function* readPrefix(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<PrefixMessage> {
  for await (const { event, data, id } of readEvents(body, { signal })) {
    assertEquals(event, "message", "browsers have one listener for all");
    yield { id, message: prefixMessage.parse(JSON.parse(data)) };
  }
}

/** A stream that is read message by message. */
export class PrefixStream implements AsyncDisposable {
  readonly #messages: AsyncGenerator<PrefixMessage>;
  readonly #abort: AbortController;
  /** The id of the newest message. */
  id = "";

  private constructor(
    body: ReadableStream<Uint8Array>,
    abort: AbortController,
  ) {
    this.#messages = readPrefix(body, abort.signal);
    this.#abort = abort;
  }

  /** Opens a stream. */
  static async open(
    url: string,
    pattern: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<PrefixStream> {
    const abort = new AbortController();
    const { status, body } = await fetch(`${url}/topics/${pattern}`, {
      headers,
      signal: abort.signal,
    });
    assertEquals(status, 200);
    const stream = new PrefixStream(body!, abort); // a 200 of a stream has one
    assertEquals((await stream.next())["type"], "following");
    return stream;
  }

  /** Returns the next message. */
  async next(): Promise<PrefixMessage["message"]> {
    const { done, value } = await within(
      this.#messages.next(),
      LIMIT,
      "a message of the stream",
    );
    if (done) throw new Error("The stream has ended");
    this.id = value.id;
    return value.message;
  }

  /** Returns the next message of a type. */
  async message(type: string): Promise<PrefixMessage["message"]> {
    for (;;) {
      const message = await this.next();
      if (message.type === type) return message;
    }
  }

  /** Reads up to the end of the stream. */
  async rest(): Promise<PrefixMessage["message"][]> {
    const rest: PrefixMessage["message"][] = [];
    const read = async () => {
      for await (const { message } of this.#messages) rest.push(message);
    };
    await within(read(), LIMIT, "the end of the stream");
    return rest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#messages.return(undefined).catch(() => {});
  }
}
