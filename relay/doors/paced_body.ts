/** A body up to this many UTF-16 code units is sent in one piece. */
const PIECE = 32 * 1024;

/**
 * The longest text that is escaped at a time: a character becomes six bytes at
 * most.
 */
const SLICE = 16 * 1024;

const encoder = new TextEncoder();

/** Writes a text as a JSON string, in pieces that are small however long it is. */
export function* jsonString(text: string): Generator<string, void> {
  if (text.length <= SLICE) return yield JSON.stringify(text);
  yield '"';
  for (let at = 0; at < text.length;) {
    let end = at + SLICE;
    // Half of a pair would be escaped as what it is by itself.
    if (isPairAt(text, end - 1)) end++;
    yield JSON.stringify(text.slice(at, end)).slice(1, -1);
    at = end;
  }
  yield '"';
}

/** Whether a pair of surrogates begins here, and not one that stands alone. */
function isPairAt(text: string, at: number): boolean {
  return (text.codePointAt(at) ?? 0) > 0xFFFF;
}

/**
 * Makes the body of a response of pieces of text. A long one is encoded as its
 * reader takes it: one that reads nothing costs two pieces, and not the body.
 *
 * @param pieces The text. None is longer than some 100 KiB.
 * @param onEnd Called when the body was read to its end, or is given up.
 */
export function pacedBody(
  pieces: Iterable<string>,
  onEnd: () => void = () => {},
): string | ReadableStream<Uint8Array<ArrayBuffer>> {
  const rest = pieces[Symbol.iterator]();
  const begin = take(rest);
  if (begin.isLast) {
    onEnd();
    return begin.text;
  }
  let next = begin;
  return new ReadableStream({
    pull(controller): void {
      controller.enqueue(encoder.encode(next.text));
      if (next.isLast) {
        controller.close();
        onEnd();
      } else next = take(rest);
    },
    cancel: onEnd,
  }, { highWaterMark: 0 });
}

/** Takes pieces until they are enough to be sent together. */
function take(
  pieces: Iterator<string>,
): { readonly text: string; readonly isLast: boolean } {
  let text = "";
  while (text.length <= PIECE) {
    const { done, value } = pieces.next();
    if (done) return { text, isLast: true };
    text += value;
  }
  return { text, isLast: false };
}
