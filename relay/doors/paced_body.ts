import { slices } from "../slices.ts";
import { PIECE, utf8 } from "./text_pieces.ts";

/** The text that is put together in a step, in UTF-16 code units. */
const STEP = 4 * 1024;

/** The start of what is left of a text. */
interface Taken {
  readonly text: string;
  readonly isLast: boolean;
}

/** The body of a response, and who it is for. */
export interface PacedBodyOptions {
  /** The name of the client: the work for one client is done in its order. */
  readonly client: string;
  /** Called when the body was read to its end, or is given up. Default: not called. */
  onEnd?(): void;
}

/**
 * Makes the body of a response of pieces of text. A long one is encoded as its
 * reader takes it: one that reads nothing costs a piece, and not the body. However
 * many readers there are, a turn of the event loop does some of the work only.
 *
 * @param pieces The text. None is longer than some 100 KiB.
 */
export async function pacedBody(
  pieces: Iterable<string>,
  { client, onEnd }: PacedBodyOptions,
): Promise<string | ReadableStream<Uint8Array<ArrayBuffer>>> {
  const rest = pieces[Symbol.iterator]();
  let isOver = false;
  const takeNext = (): Taken | Promise<Taken> =>
    slices.run(`pages of ${client}`, take(rest), () => !isOver);
  let first: Taken | undefined = await takeNext();
  if (first.isLast) {
    onEnd?.();
    return first.text;
  }
  return new ReadableStream({
    async pull(controller): Promise<void> {
      const { text, isLast } = first ?? await takeNext();
      first = undefined;
      if (isOver) return;
      if (text !== "") controller.enqueue(utf8(text));
      if (!isLast) return;
      controller.close();
      onEnd?.();
    },
    cancel(): void {
      isOver = true;
      onEnd?.();
    },
  }, { highWaterMark: 0 });
}

/** Takes pieces until they are enough to be sent together. */
function* take(pieces: Iterator<string>): Generator<void, Taken> {
  let text = "";
  let next = STEP;
  while (text.length <= PIECE) {
    const { done, value } = pieces.next();
    if (done) return { text, isLast: true };
    text += value;
    if (text.length < next) continue;
    yield;
    next = text.length + STEP;
  }
  return { text, isLast: false };
}
