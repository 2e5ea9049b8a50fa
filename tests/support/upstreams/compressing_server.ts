import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A server of one event stream, which it compresses whatever was asked for. */
export interface CompressingServer extends AsyncDisposable {
  /** The URL of the stream. */
  readonly url: string;
  /** The number of requests. */
  readonly requests: number;
}

/**
 * Starts a server that compresses everything.
 *
 * @param encoding The name of the encoding, for the header.
 * @param bytes The compressed stream.
 * @param chunk The size of the chunks in which it is sent, in bytes.
 */
export async function startCompressingServer(
  encoding: string,
  bytes: Uint8Array,
  chunk: number,
): Promise<CompressingServer> {
  let requests = 0;
  const server = createServer((request, response) => {
    request.resume();
    requests++;
    response.writeHead(200, {
      "Content-Type": "text/event-stream",
      "Content-Encoding": encoding,
    });
    let at = 0;
    const more = (): void => {
      if (at >= bytes.length) return void response.end();
      response.write(bytes.subarray(at, at += chunk), more);
    };
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}/`,
    get requests() {
      return requests;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
