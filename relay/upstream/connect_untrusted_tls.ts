import { isIP } from "node:net";
import { connect } from "node:tls";
import type { ConnectTlsOptions, TlsConnection } from "./connect_tls.ts";

/**
 * Connects to an upstream that a client has named, by `node:tls`.
 *
 * A connection of Deno 2.9.6 that is closed before its handshake is over stays open
 * for as long as its peer likes: clients could use up the descriptors.
 *
 * @returns A connection whose handshake is over.
 */
export function connectUntrustedTls(
  { hostname, port, name, protocols, signal }: ConnectTlsOptions,
): Promise<TlsConnection> {
  return new Promise((resolve, reject) => {
    const bare = name.replace(/^\[(.*)\]$/, "$1");
    const socket = connect({
      host: hostname,
      port,
      ALPNProtocols: protocols,
      servername: isIP(bare) === 0 ? bare : "",
    });
    const abort = (): void => void socket.destroy();
    const settle = (): void => signal?.removeEventListener("abort", abort);
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
