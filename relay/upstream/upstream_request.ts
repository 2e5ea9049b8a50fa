import type { Duplex } from "node:stream";
import type { HeaderList } from "../header_list.ts";

/** A request to an upstream, as it is written. */
export interface UpstreamRequest {
  /** The URL. */
  readonly url: URL;
  /** The method. */
  readonly method: string;
  /** The headers, without those that frame the body. */
  readonly headers: HeaderList;
  /** The body; `null` for a request that says nothing about a body. */
  readonly body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null;
  /** The number of bytes of the body, if it is known. */
  readonly length: number | undefined;
  /** Whether the connection is used for other requests afterwards. */
  readonly isKept: boolean;
  /**
   * The address to connect to, if a client has named the upstream: the host is not
   * looked up again, no proxy is asked, and the answer is read strictly, with a head
   * of at most 16 KiB. Default: the host's own, or a proxy's.
   */
  readonly address?: string | undefined;
  /** Stops the request, and the body of its answer. */
  readonly signal: AbortSignal;
  /**
   * Takes over the connection if the upstream switches protocols (101), which the headers
   * ask for. The signal stops it no more then. Default: that is a failure.
   *
   * @param socket The connection.
   * @param head The bytes that have come on it already.
   */
  onUpgrade?(socket: Duplex, head: Uint8Array): void;
}
