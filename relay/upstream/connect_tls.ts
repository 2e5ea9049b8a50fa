import type { Duplex } from "node:stream";
import { carryConnection } from "./carried_connection.ts";
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

/** The most handshakes with an upstream that were given up and are not over. */
const MAX_HANGING = 4;

/**
 * Connects as `fetch` of Deno does, and trusts the same certificates.
 *
 * A connection of Deno 2.9.6 that is closed within its handshake stays open for as
 * long as its peer likes: an upstream that accepts connections and says nothing would
 * use up the descriptors. So a handshake that is given up is waited for, and closed
 * when it is over. If some of an upstream's are waited for, further ones go over a
 * connection on the loopback interface, which can be closed.
 */
export class TlsConnector implements Disposable {
  /** The connections whose handshakes were given up, by their upstreams. */
  readonly #hanging = new Map<string, Set<Deno.TlsConn>>();
  #isClosed = false;

  /** Connects; returns a connection whose handshake is over. */
  async connect(options: ConnectTlsOptions): Promise<TlsConnection> {
    const { hostname, port, name, protocols, proxy, signal } = options;
    const upstream = [hostname, port, name, proxy?.host].join(" ");
    const tcp = await connectTcp(options);
    if (signal?.aborted) {
      tcp.close();
      throw signal.reason;
    }
    const hanging = this.#hanging.get(upstream)?.size ?? 0;
    const carried = hanging < MAX_HANGING
      ? undefined
      : await carryConnection(tcp);
    using stack = new DisposableStack();
    stack.defer(() => carried?.close());
    const conn = await Deno.startTls(carried?.conn ?? tcp, {
      hostname: bare(name),
      alpnProtocols: protocols,
    });
    const handshake = conn.handshake();
    const gone = Promise.withResolvers<never>();
    const abort = (): void => gone.reject(signal?.reason);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort);
    try {
      const { alpnProtocol } = await Promise.race([handshake, gone.promise]);
      stack.move();
      return { stream: new TlsStream(conn), protocol: alpnProtocol };
    } catch (error) {
      handshake.catch(() => {}); // it has failed, or was given up
      const isHanging = signal?.aborted && !carried && !this.#isClosed;
      if (isHanging) this.#wait(upstream, conn, handshake);
      else conn.close();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Gives up what is still waited for. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const conns of this.#hanging.values()) {
      for (const conn of conns) conn.close();
      conns.clear();
    }
  }

  /** Closes a connection when its handshake is over. */
  #wait(
    upstream: string,
    conn: Deno.TlsConn,
    handshake: Promise<unknown>,
  ): void {
    const conns = this.#hanging.get(upstream) ?? new Set();
    this.#hanging.set(upstream, conns.add(conn));
    const over = (): void => {
      if (!conns.delete(conn)) return;
      conn.close();
      if (conns.size === 0) this.#hanging.delete(upstream);
    };
    handshake.then(over, over);
  }
}

/** Connects without TLS, through a proxy if there is one. */
async function connectTcp(
  { hostname, port, proxy, signal }: ConnectTlsOptions,
): Promise<Deno.TcpConn> {
  const tcp = await Deno.connect({
    hostname: bare(proxy?.hostname ?? hostname),
    port: proxy ? Number(proxy.port) || 80 : port,
    ...(signal && { signal }),
  });
  if (!proxy) return tcp;
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
  return tcp;
}

/** A URL has an address of IPv6 in brackets. */
function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}
