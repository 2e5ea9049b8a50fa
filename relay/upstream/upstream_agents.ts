import { Buffer } from "node:buffer";
import { Agent, type ClientRequest, type RequestOptions } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../../src/fetch/clock.ts";
import { ReadPacer } from "../limits/read_pacer.ts";
import {
  HAS_DENO_TLS,
  HTTP2_TAKES_HANDLES,
  READS_MAKE_BUFFERS,
} from "../runtime.ts";
import { connectNodeTls } from "./connect_node_tls.ts";
import { PlainStream } from "./plain_stream.ts";
import {
  type ConnectTlsOptions,
  type TlsConnection,
  TlsConnector,
} from "./connect_tls.ts";

/**
 * The time for which an idle connection is kept, in milliseconds. A request on a
 * connection that its provider is just closing is lost, and most requests may not
 * be sent twice. Servers keep connections for 5 s and more; undici, the client of
 * Node, also keeps them for 4 s.
 */
const IDLE_TIMEOUT = 4_000;

/** The certain time by which a connection is given up before its provider closes it, in milliseconds. */
const MARGIN = 1_000;

/**
 * The number of bytes that a provider may send on a connection within 100 ms before it
 * waits for a turn: some ten times the pace of a model. With turns for all, 200 runs of
 * 50 events/s had a p50 of 95 ms, against 30.
 */
const FREE = 16 * 1024;

/** A request, as an agent gets it. */
export interface AgentOptions extends RequestOptions {
  /** Whether a client has named the upstream: it waits for a turn from its first byte on. */
  readonly isUntrusted?: boolean;
  /** The options of a connection over TLS. */
  readonly tls?: {
    /** The name that is asked for, and that the certificate has to be for. */
    readonly name: string;
    /** The proxy to connect through. Default: none. */
    readonly proxy?: URL | undefined;
    /** Stops connecting. */
    readonly signal: AbortSignal;
  };
}

/** The way to an upstream that speaks HTTP/2 alone. */
export interface Http2Way {
  /** The address to connect to, if a client has named the upstream. */
  readonly address: string | undefined;
  /** The proxy to connect through. Default: none. */
  readonly proxy: URL | undefined;
  /** Stops connecting. */
  readonly signal: AbortSignal;
}

/** The buffer into which connections without TLS are read: all of them into the same. */
const READ_BUFFER = Buffer.alloc(READS_MAKE_BUFFERS ? 64 * 1024 : 0);

/** The only version that is offered: what the relay forwards has its lengths and headers in it as they are. */
const ALPN_PROTOCOLS = ["http/1.1"];

/** The requests on connections that were used before. */
const REUSING = new WeakSet<ClientRequest>();

/** Share the time of the process among upstreams, however fast they send. */
interface Pacers {
  readonly trusted: ReadPacer;
  readonly untrusted: ReadPacer;
}

/** Keeps the connections to upstreams, and closes those that are idle. */
class KeepingAgent extends Agent {
  readonly #clock: Clock;
  /** The times at which idle connections are closed. */
  readonly #idle = new Map<Duplex, number>();
  /** The time of the timer for the first of them. */
  #due = Infinity;
  #cancel = (): void => {};
  readonly #pacers: Pacers;

  constructor(clock: Clock, pacers: Pacers) {
    super({ keepAlive: true });
    this.#clock = clock;
    this.#pacers = pacers;
  }

  /** Reads a new connection in turns. */
  protected pace(socket: Duplex, { isUntrusted }: AgentOptions): void {
    const { trusted, untrusted } = this.#pacers;
    (isUntrusted ? untrusted : trusted).pace(socket);
    socket.once("close", () => this.#idle.delete(socket));
  }

  override keepSocketAlive(socket: Duplex): boolean {
    // `node:http` puts the last request there, whose answer is just over.
    const { _httpMessage: last } = socket as Duplex & {
      readonly _httpMessage?: ClientRequest & {
        readonly res?: { readonly headers: Record<string, string> };
      };
    };
    const time = idleTimeFor(last?.res?.headers["keep-alive"]);
    if (time <= 0) return false;
    const due = this.#clock.now() + time;
    this.#idle.set(socket, due);
    if (due < this.#due) this.#wait(due);
    return true;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    this.#idle.delete(socket);
    super.reuseSocket(socket, request);
    REUSING.add(request);
    // Deno 2.9.6 sends any request again, a POST too, if such a connection breaks.
    request.reusedSocket = false;
  }

  override destroy(): void {
    this.#cancel();
    super.destroy();
  }

  /** Waits for a time at which a connection is closed: one timer for all of them. */
  #wait(due: number): void {
    this.#cancel();
    this.#due = due;
    this.#cancel = this.#clock.setTimeout(
      () => this.#closeIdle(),
      due - this.#clock.now(),
    );
  }

  #closeIdle(): void {
    const now = this.#clock.now();
    let next = Infinity;
    for (const [socket, due] of this.#idle) {
      // Timers may be early by a fraction of a millisecond.
      if (due <= now + 1) socket.destroy();
      else next = Math.min(next, due);
    }
    this.#due = Infinity;
    if (next < Infinity) this.#wait(next);
  }
}

/** Returns how long an idle connection is kept, if the provider keeps it for as long as it says. */
function idleTimeFor(keepAlive: string | undefined): number {
  const [, seconds] = /timeout=(\d+)/i.exec(keepAlive ?? "") ?? [];
  return seconds === undefined
    ? IDLE_TIMEOUT
    : Math.min(IDLE_TIMEOUT, Number(seconds) * 1_000 - MARGIN);
}

/** Connects without TLS. */
class PlainAgent extends KeepingAgent {
  override createConnection(
    options: AgentOptions,
    done?: (error: Error | null, stream: Duplex) => void,
  ): Duplex {
    const given = READS_MAKE_BUFFERS
      ? {
        ...options,
        onread: {
          buffer: READ_BUFFER,
          callback: (count: number): boolean => {
            // A copy, since every connection is read into the same buffer. `Buffer.from`
            // takes three times as long.
            const piece = Buffer.allocUnsafe(count);
            piece.set(READ_BUFFER.subarray(0, count));
            return socket?.push(piece) ?? false;
          },
        },
      }
      : options;
    const socket = super.createConnection(given, done);
    if (socket) this.pace(socket, options);
    return socket!; // as it came; the types of `node:http` say either
  }
}

/** A way to connect over TLS. */
interface Connector {
  /** Connects; returns a connection whose handshake is over. */
  connect(options: ConnectTlsOptions): Promise<TlsConnection>;
}

/**
 * The way to upstreams that clients have named: it gives up a handshake at once on
 * every runtime.
 */
const NODE_TLS: Connector = { connect: connectNodeTls };

/** Connects as the runtime's `fetch` does, and trusts the same certificates. */
class TlsAgent extends KeepingAgent {
  readonly #connector: Connector;
  /** Read by `node:http`. */
  readonly protocol = "https:";
  /** Read by `node:http`. */
  readonly defaultPort = 443;

  constructor(clock: Clock, pacers: Pacers, connector: Connector) {
    super(clock, pacers);
    this.#connector = connector;
  }

  override getName(options?: AgentOptions): string {
    const { name, proxy } = options?.tls ?? {};
    return [super.getName(options), name, proxy?.href].join(":");
  }

  override createConnection(
    options: AgentOptions,
    done: (error: Error | null, stream: Duplex) => void = () => {},
  ): Duplex {
    const { host, port, tls } = options;
    // `node:http` takes a stream later, and an error without one; its types do not.
    const none = undefined as unknown as Duplex;
    const asked: ConnectTlsOptions = {
      hostname: String(host),
      port: Number(port) || this.defaultPort,
      name: tls?.name ?? String(host),
      protocols: ALPN_PROTOCOLS,
      proxy: tls?.proxy,
      signal: tls?.signal,
    };
    const connector = options.isUntrusted ? NODE_TLS : this.#connector;
    void connector.connect(asked).then(
      ({ stream }) => {
        this.pace(stream, options);
        done(null, stream);
      },
      (error) => done(error, none),
    );
    return none;
  }
}

/** The connections to upstreams, which are used for one request after the other. */
export class UpstreamAgents implements Disposable {
  readonly #pacers = {
    trusted: new ReadPacer(FREE),
    untrusted: new ReadPacer(),
  };
  readonly #connector: Connector & Partial<Disposable> = HAS_DENO_TLS
    ? new TlsConnector()
    : NODE_TLS;
  readonly #plain: Agent;
  readonly #secure: Agent;

  /** Has no connections yet. */
  constructor(clock: Clock) {
    this.#plain = new PlainAgent(clock, this.#pacers);
    this.#secure = new TlsAgent(clock, this.#pacers, this.#connector);
  }

  /** Returns the agent for a URL. */
  for({ protocol }: URL): Agent {
    return protocol === "https:" ? this.#secure : this.#plain;
  }

  /** Connects to an upstream that speaks HTTP/2 alone. */
  async connectHttp2(
    { hostname, port }: URL,
    { address, proxy, signal }: Http2Way,
  ): Promise<Duplex> {
    const asked: ConnectTlsOptions = {
      hostname: address ?? hostname,
      port: Number(port) || 443,
      name: hostname,
      protocols: ["h2"],
      proxy,
      signal,
    };
    const isUntrusted = address !== undefined;
    const connector = isUntrusted ? NODE_TLS : this.#connector;
    const { stream, protocol } = await connector.connect(asked);
    if (protocol !== "h2") {
      stream.destroy();
      throw new Error("it speaks neither HTTP/1.1 nor HTTP/2");
    }
    const { trusted, untrusted } = this.#pacers;
    (isUntrusted ? untrusted : trusted).pace(stream);
    return HTTP2_TAKES_HANDLES ? new PlainStream(stream) : stream;
  }

  /** Whether a request is on a connection that was used before: its peer may be closing it. */
  isReusing(request: ClientRequest): boolean {
    return REUSING.has(request);
  }

  /** Closes every connection. */
  [Symbol.dispose](): void {
    this.#plain.destroy();
    this.#secure.destroy();
    this.#connector[Symbol.dispose]?.();
    this.#pacers.trusted[Symbol.dispose]();
    this.#pacers.untrusted[Symbol.dispose]();
  }
}
