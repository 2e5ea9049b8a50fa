/**
 * A stand-in for `jsr:@std/streams/to-text`.
 *
 * @module
 */

/** Reads a stream of strings or of UTF-8 bytes to its end, as one string. */
export async function toText(
  stream: ReadableStream<string> | ReadableStream<Uint8Array>,
): Promise<string> {
  const decoder = new TextDecoder();
  const parts: string[] = [];
  for await (const chunk of stream as ReadableStream<string | Uint8Array>) {
    parts.push(
      typeof chunk === "string"
        ? chunk
        : decoder.decode(chunk, { stream: true }),
    );
  }
  return parts.join("") + decoder.decode();
}
