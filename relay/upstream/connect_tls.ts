import type { Duplex } from "node:stream";
import { openTunnel } from "./open_tunnel.ts";
import { TlsStream } from "./tls_stream.ts";

/** Options of a connection over TLS. */
export interface ConnectTlsOptions {
  /** The host or the address to connect to. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
  /** The name that is asked for, and that the certificate has to be for. */
  readonly name: string;
  /** The protocols that are offered (RFC 7301). */
  readonly protocols: string[];
  /** The proxy to connect through. Default: none. */
  readonly proxy?: URL | undefined;
  /** Stops connecting. */
  readonly signal: AbortSignal | undefined;
}

/** A connection over TLS. */
export interface TlsConnection {
  /** The connection. */
  readonly stream: Duplex;
  /** The protocol that was agreed on, if one was. */
  readonly protocol: string | null;
}

/**
 * Connects as `fetch` of Deno does, and trusts the same certificates.
 *
 * @returns A connection whose handshake is over.
 */
export async function connectTls(
  { hostname, port, name, protocols, proxy, signal }: ConnectTlsOptions,
): Promise<TlsConnection> {
  const tcp = await Deno.connect({
    hostname: bare(proxy?.hostname ?? hostname),
    port: proxy ? Number(proxy.port) || 80 : port,
    ...(signal && { signal }),
  });
  if (proxy) {
    using stack = new DisposableStack();
    const close = (): void => tcp.close();
    signal?.addEventListener("abort", close);
    stack.defer(() => signal?.removeEventListener("abort", close));
    try {
      await openTunnel(tcp, `${hostname}:${port}`, proxy);
    } catch (error) {
      if (!signal?.aborted) tcp.close();
      throw error;
    }
  }
  const conn = await Deno.startTls(tcp, {
    hostname: bare(name),
    alpnProtocols: protocols,
  });
  const close = (): void => {
    signal?.removeEventListener("abort", close);
    conn.close();
  };
  if (signal?.aborted) {
    close();
    throw signal.reason;
  }
  signal?.addEventListener("abort", close);
  try {
    const { alpnProtocol } = await conn.handshake();
    signal?.removeEventListener("abort", close);
    return { stream: new TlsStream(conn), protocol: alpnProtocol };
  } catch (error) {
    if (!signal?.aborted) close();
    throw error;
  }
}

/** A URL has an address of IPv6 in brackets. */
function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}
