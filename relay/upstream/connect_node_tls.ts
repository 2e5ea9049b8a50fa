import type { Buffer } from "node:buffer";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as startTls, type TLSSocket } from "node:tls";
import type { ConnectTlsOptions, TlsConnection } from "./connect_tls.ts";
import { openTunnel, type TunnelEnd } from "./open_tunnel.ts";

/**
 * Connects by `node:tls`.
 *
 * @returns A connection whose handshake is over.
 */
export async function connectNodeTls(
  { hostname, port, name, protocols, proxy, signal }: ConnectTlsOptions,
): Promise<TlsConnection> {
  signal?.throwIfAborted();
  const socket = proxy
    ? await connectThrough(proxy, `${hostname}:${port}`, signal)
    : undefined;
  const bare = withoutBrackets(name);
  return await handshake(
    startTls({
      ...(socket ? { socket, host: bare } : {
        host: withoutBrackets(hostname),
        port,
      }),
      ALPNProtocols: protocols,
      // An address is no name to ask for (RFC 6066, section 3).
      servername: isIP(bare) === 0 ? bare : "",
    }),
    signal,
  );
}

function handshake(
  socket: TLSSocket,
  signal: AbortSignal | undefined,
): Promise<TlsConnection> {
  return new Promise((resolve, reject) => {
    const abort = (): void => void socket.destroy();
    const settle = (): void => signal?.removeEventListener("abort", abort);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    socket.once("secureConnect", () => {
      settle();
      socket.off("error", reject);
      const { alpnProtocol } = socket;
      resolve({ stream: socket, protocol: alpnProtocol || null });
    });
    socket.once("error", reject);
    socket.once("close", () => {
      settle();
      reject(new Error("it was closed"));
    });
  });
}

/** Connects to a proxy, and has it pass on the bytes. */
async function connectThrough(
  proxy: URL,
  authority: string,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const socket = connectTcp({
    host: withoutBrackets(proxy.hostname),
    port: Number(proxy.port) || 80,
    noDelay: true,
  });
  const abort = (): void => void socket.destroy();
  signal?.addEventListener("abort", abort);
  const end = new SocketEnd(socket);
  try {
    await openTunnel(end, authority, proxy);
    return socket;
  } catch (error) {
    socket.destroy();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
    end.release();
  }
}

/** A socket of Node's that is read when it is asked for, as one of Deno's is. */
class SocketEnd implements TunnelEnd {
  readonly #socket: Socket;
  readonly #onChange = (): void => this.#wake();
  readonly #onError = (error: Error): void => {
    this.#error = error;
    this.#wake();
  };
  #error: Error | undefined;
  #wake = (): void => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", this.#onError);
    for (const event of ["readable", "end", "close"]) {
      socket.on(event, this.#onChange);
    }
  }

  /** Lets go of the socket. */
  release(): void {
    const socket = this.#socket;
    for (const event of ["readable", "end", "close"]) {
      socket.off(event, this.#onChange);
    }
    // An error of a socket that is given up is nobody's; TLS listens for its own.
    socket.off("error", this.#onError);
    if (socket.destroyed) socket.on("error", () => {});
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    const socket = this.#socket;
    for (;;) {
      const { readableLength } = socket;
      const size = Math.min(readableLength, buffer.length);
      const part: Buffer | null = size > 0 ? socket.read(size) : null;
      if (part) {
        buffer.set(part);
        return part.length;
      }
      if (this.#error) throw this.#error;
      if (socket.readableEnded || socket.destroyed) return null;
      const changed = new Promise<void>((resolve) => this.#wake = resolve);
      // Without this call, the end of the socket would not show.
      if (readableLength === 0) socket.read(0);
      await changed;
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => {
        if (error) reject(error);
        else resolve(bytes.length);
      });
    });
  }
}

/** Returns the host of a URL as sockets take it: an address of IPv6 has brackets there. */
function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}
