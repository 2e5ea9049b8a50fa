/**
 * A server of HTTP/2 without TLS whose test writes every frame itself.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type AddressInfo, createServer, type Socket } from "node:net";

/** The length of what a client begins with, in bytes. */
const PREFACE = 24;

/** The types of frames (RFC 9113, section 6). */
export const FRAMES = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  GOAWAY: 7,
} as const;

/** Returns a frame. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  content: Uint8Array = new Uint8Array(),
): Uint8Array {
  const bytes = new Uint8Array(9 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, content.length >> 16);
  view.setUint16(1, content.length & 0xFFFF);
  view.setUint8(3, type);
  view.setUint8(4, flags);
  view.setUint32(5, stream);
  bytes.set(content, 9);
  return bytes;
}

/** Returns 32-bit numbers as the content of a frame. */
export function numbers(...values: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, at) => view.setUint32(4 * at, value));
  return new Uint8Array(view.buffer);
}

/** Returns headers as the content of a frame: literals, in the bytes of Latin-1. */
export function headerBlock(
  headers: readonly (readonly [string, string])[],
): Uint8Array {
  const parts = headers.flatMap(([name, value]) => [
    0, // a literal that is not indexed
    ...[name, value].flatMap((text) => [
      text.length, // below 127
      ...Buffer.from(text, "latin1"),
    ]),
  ]);
  return Uint8Array.from(parts);
}

/** A request, and the connection to answer it on. */
export interface RawHttp2Exchange {
  /** The number of the stream. */
  readonly stream: number;
  /** The number of the connection, from 1. */
  readonly connection: number;
  /** The connection. */
  readonly socket: Socket;
}

/** Starts a server that has each request answered, when it is whole, by a function. */
export async function startRawHttp2(
  answer: (exchange: RawHttp2Exchange) => void,
): Promise<{ readonly port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    const connection = ++connections;
    sockets.add(socket);
    socket.on("error", () => {}); // `close` follows
    socket.on("close", () => sockets.delete(socket));
    socket.write(frame(FRAMES.SETTINGS, 0, 0));
    let unread: Uint8Array = new Uint8Array();
    let isGreeted = false;
    socket.on("data", (part) => {
      unread = Buffer.concat([unread, part]);
      if (!isGreeted && unread.length >= PREFACE) {
        isGreeted = true;
        unread = unread.subarray(PREFACE);
      }
      while (isGreeted && unread.length >= 9) {
        const view = new DataView(unread.buffer, unread.byteOffset);
        const length = view.getUint8(0) << 16 | view.getUint16(1);
        if (unread.length < 9 + length) return;
        const type = view.getUint8(3);
        const flags = view.getUint8(4);
        const stream = view.getUint32(5);
        unread = unread.subarray(9 + length);
        if (type === FRAMES.SETTINGS && (flags & 1) === 0) {
          socket.write(frame(FRAMES.SETTINGS, 1, 0));
        }
        const isEnd = (flags & 1) !== 0 &&
          (type === FRAMES.DATA || type === FRAMES.HEADERS);
        if (isEnd) answer({ stream, connection, socket });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
