// This module is browser compatible.

/** The number of bytes at the start of a body that show whether it is text. */
const SAMPLE = 64;

/** Characters that no text has, and compressed data does. */
// deno-lint-ignore no-control-regex -- they are what is looked for
const NO_TEXT = /[\0-\x08\x0E-\x1F]/;

/**
 * Returns the encoding of a body that a server has named, and that `fetch` may have
 * decoded or not; `undefined` if there is none.
 */
export function contentEncoding(
  headers: Pick<Headers, "get">,
): string | undefined {
  const encoding = (headers.get("content-encoding") ?? "").trim();
  return /^(?:identity)?$/i.test(encoding) ? undefined : encoding;
}

/**
 * Passes a body of text on, and fails where it is still compressed. Runtimes decode
 * different encodings, and most leave the header as it was: only the bytes tell.
 *
 * @param body The body.
 * @param makeError Makes the error that the body fails with.
 * @returns The body, to be read in its place.
 */
export function assertDecoded(
  body: ReadableStream<Uint8Array>,
  makeError: () => unknown,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let seen = 0;
  const isText = (bytes: Uint8Array): boolean => {
    try {
      return !NO_TEXT.test(decoder.decode(bytes, { stream: true }));
    } catch {
      return false;
    }
  };
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      if (seen < SAMPLE) {
        const sample = value.subarray(0, SAMPLE - seen);
        seen += sample.length;
        if (!isText(sample)) {
          const error = makeError();
          controller.error(error);
          return await reader.cancel(error).catch(() => {});
        }
      }
      controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
