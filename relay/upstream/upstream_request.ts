/** A request to an upstream, as it is written. */
export interface UpstreamRequest {
  /** The URL. */
  readonly url: string;
  /** The method. */
  readonly method: string;
  /** The headers, without those that frame the body. */
  readonly headers: Headers;
  /** The body; `null` for a request that says nothing about a body. */
  readonly body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null;
  /** The number of bytes of the body, if it is known. */
  readonly length: number | undefined;
  /** Stops the request, and the body of its answer. */
  readonly signal: AbortSignal;
}
