/** The inputs of the parser's bench: streams like those of language models. */

const WORDS =
  "the sky is blue because air scatters short light more than long light and so what comes from all around looks blue to us while the sun looks yellow"
    .split(" ");

/**
 * A stream of `count` events of 150 to 300 characters: Chat Completions chunks
 * (`data` only), and, one in two, Responses events (`event` and `data`).
 */
export function tokenStream(count: number, lineEnd = "\n"): string {
  const events: string[] = [];
  for (let i = 0; i < count; i++) {
    const word = WORDS[i % WORDS.length];
    events.push(
      i % 2 === 0
        ? `data: {"id":"chatcmpl-${
          1e9 + i
        }","object":"chat.completion.chunk","created":1763800000,"model":"gpt-5","choices":[{"index":0,"delta":{"content":" ${word}"},"logprobs":null,"finish_reason":null}]}${lineEnd}${lineEnd}`
        : `event: response.output_text.delta${lineEnd}data: {"type":"response.output_text.delta","sequence_number":${i},"item_id":"msg_68a1f0c2","output_index":0,"content_index":0,"delta":" ${word}"}${lineEnd}${lineEnd}`,
    );
  }
  return events.join("");
}

/**
 * Cuts text into chunks of `size` UTF-16 units, each of them a flat string of
 * its own, as a decoder would make them.
 */
export function textChunks(text: string, size: number): string[] {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const chunks: string[] = [];
  for (let i = 0; i < text.length; i += size) {
    chunks.push(decoder.decode(encoder.encode(text.slice(i, i + size))));
  }
  return chunks;
}

/** Cuts text into chunks of `size` bytes. */
export function byteChunks(text: string, size: number): Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < bytes.length; i += size) {
    chunks.push(bytes.slice(i, i + size));
  }
  return chunks;
}

/** Has one comment in the middle of the chunk that ends in a lone CR. */
export function withStrayCr(chunk: string): string {
  const at = chunk.indexOf("\n\n", chunk.length >> 1) + 2;
  if (at < 2) return chunk;
  const [stray] = textChunks(
    `${chunk.slice(0, at)}: stray\r${chunk.slice(at)}`,
    Infinity,
  );
  return stray ?? chunk;
}

/** Repeats the first MiB of the chunks until there are as many as there were. */
export function repeatFirst<T extends string | Uint8Array>(chunks: T[]): T[] {
  const first: T[] = [];
  let length = 0;
  for (const chunk of chunks) {
    if (length >= 2 ** 20) break;
    first.push(chunk);
    length += chunk.length;
  }
  const repeated: T[] = [];
  while (repeated.length < chunks.length) repeated.push(...first);
  repeated.length = chunks.length;
  return repeated;
}
