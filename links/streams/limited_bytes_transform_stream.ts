/**
 * A stand-in for `jsr:@std/streams/limited-bytes-transform-stream`.
 *
 * @module
 */

/** Options of {@linkcode LimitedBytesTransformStream}. */
export interface LimitedBytesTransformStreamOptions {
  /** Whether going over the limit is an error rather than the end. */
  error?: boolean;
}

/**
 * Passes whole chunks on while their sum stays within `size` bytes; the chunk
 * that would go over ends the stream, or fails it with a `RangeError`.
 */
export class LimitedBytesTransformStream
  extends TransformStream<Uint8Array, Uint8Array> {
  /** Makes a stream that passes at most `size` bytes. */
  constructor(size: number, options: LimitedBytesTransformStreamOptions = {}) {
    let passed = 0;
    super({
      transform(chunk, controller) {
        if (passed + chunk.byteLength <= size) {
          passed += chunk.byteLength;
          controller.enqueue(chunk);
        } else if (options.error) {
          throw new RangeError(`Exceeded byte size limit of '${size}'`);
        } else {
          controller.terminate();
        }
      },
    });
  }
}
