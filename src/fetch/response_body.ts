// This module is browser compatible.

/** A stream of Node, which `fetch` of other packages gives in place of a web stream. */
interface NodeStream extends AsyncIterable<unknown> {
  destroy?(): unknown;
}

const encoder = new TextEncoder();

/**
 * Returns the body of an answer as a web stream, whatever `fetch` has made of it:
 * node-fetch and cross-fetch give streams of Node.
 *
 * @param response The answer.
 * @returns The stream; `undefined` where `fetch` does not stream, as React Native's.
 */
export function bodyOf(
  response: Response,
): ReadableStream<Uint8Array> | undefined {
  // The type says that it is a web stream or null; other packages differ.
  const body: unknown = response.body;
  if (body === null || body === undefined) {
    // A body that is null is empty; React Native has no such field at all.
    return body === null && response instanceof Response
      ? new Blob([]).stream()
      : undefined;
  }
  if (isWebStream(body)) return body;
  return isNodeStream(body) ? webStreamOf(body) : undefined;
}

/**
 * Returns the body of an answer that is no event stream, from a `fetch` that does
 * not stream too.
 *
 * @param response The answer.
 * @returns The stream; `null` if there is none.
 */
export function wholeBodyOf(
  response: Response,
): ReadableStream<Uint8Array> | null {
  const body = bodyOf(response);
  if (body !== undefined) return body;
  if (typeof response.text !== "function") return null;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      controller.enqueue(encoder.encode(await response.text()));
      controller.close();
    },
  }, { highWaterMark: 0 });
}

/**
 * Closes the body of an answer that nobody reads.
 *
 * @param response The answer.
 */
export async function closeUnread(response: Response): Promise<void> {
  const body: unknown = response.body;
  if (isWebStream(body)) await body.cancel();
  else if (isNodeStream(body)) body.destroy?.();
}

function isWebStream(value: unknown): value is ReadableStream<Uint8Array> {
  return typeof value === "object" && value !== null && "getReader" in value;
}

function isNodeStream(value: unknown): value is NodeStream {
  return typeof value === "object" && value !== null &&
    Symbol.asyncIterator in value;
}

function webStreamOf(body: NodeStream): ReadableStream<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(bytesOf(value));
    },
    cancel() {
      // Not waited for: the iterator answers when the read that is under way does.
      iterator.return?.()?.catch(() => {});
      body.destroy?.();
    },
  }, { highWaterMark: 0 });
}

function bytesOf(chunk: unknown): Uint8Array {
  if (typeof chunk === "string") return encoder.encode(chunk);
  if (chunk instanceof Uint8Array) return chunk;
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError(
    `Cannot read the body as its chunks must be bytes or text: current chunk is a ${typeof chunk}`,
  );
}
