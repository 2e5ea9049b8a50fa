import { Agent, type ClientRequest, type ClientRequestArgs } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../../src/fetch/clock.ts";
import { ReadPacer } from "../limits/read_pacer.ts";
import { TlsStream } from "./tls_stream.ts";

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

/** The only version that is offered: what the relay forwards has its lengths and headers in it as they are. */
const ALPN_PROTOCOLS = ["http/1.1"];

/** Keeps the connections to upstreams, and closes those that are idle. */
class KeepingAgent extends Agent {
  readonly #clock: Clock;
  readonly #idle = new WeakMap<Duplex, () => void>();
  /** Shares the time of the process among upstreams, however fast they send. */
  protected readonly pacer: ReadPacer;

  constructor(clock: Clock, pacer: ReadPacer) {
    super({ keepAlive: true });
    this.#clock = clock;
    this.pacer = pacer;
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
    const cancel = this.#clock.setTimeout(() => socket.destroy(), time);
    this.#idle.set(socket, cancel);
    socket.once("close", cancel);
    return true;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    const cancel = this.#idle.get(socket);
    if (cancel) {
      cancel();
      socket.off("close", cancel);
    }
    super.reuseSocket(socket, request);
    // Deno 2.9.6 sends any request again, a POST too, if such a connection breaks.
    request.reusedSocket = false;
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
    options: ClientRequestArgs,
    done?: (error: Error | null, stream: Duplex) => void,
  ): Duplex {
    const socket = super.createConnection(options, done);
    if (socket) this.pacer.pace(socket);
    return socket!; // as it came; the types of `node:http` say either
  }
}

/** Connects as `fetch` of Deno does, and trusts the same certificates. */
class TlsAgent extends KeepingAgent {
  /** Read by `node:http`. */
  readonly protocol = "https:";
  /** Read by `node:http`. */
  readonly defaultPort = 443;

  override createConnection(
    { host, port }: ClientRequestArgs,
    done: (error: Error | null, stream: Duplex) => void = () => {},
  ): Duplex {
    // `node:http` takes a stream later, and an error without one; its types do not.
    const none = undefined as unknown as Duplex;
    void connect(String(host), Number(port)).then(
      (stream) => {
        this.pacer.pace(stream);
        done(null, stream);
      },
      (error) => done(error, none),
    );
    return none;
  }
}

async function connect(hostname: string, port: number): Promise<TlsStream> {
  const conn = await Deno.connectTls({
    // A URL has an address of IPv6 in brackets.
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    port,
    alpnProtocols: ALPN_PROTOCOLS,
  });
  try {
    await conn.handshake();
    return new TlsStream(conn);
  } catch (error) {
    conn.close();
    throw error;
  }
}

/** The connections to upstreams, which are used for one request after the other. */
export class UpstreamAgents implements Disposable {
  readonly #pacer = new ReadPacer(FREE);
  readonly #plain: Agent;
  readonly #secure: Agent;

  /** Has no connections yet. */
  constructor(clock: Clock) {
    this.#plain = new PlainAgent(clock, this.#pacer);
    this.#secure = new TlsAgent(clock, this.#pacer);
  }

  /** Returns the agent for a URL. */
  for({ protocol }: URL): Agent {
    return protocol === "https:" ? this.#secure : this.#plain;
  }

  /** Closes every connection. */
  [Symbol.dispose](): void {
    this.#plain.destroy();
    this.#secure.destroy();
    this.#pacer[Symbol.dispose]();
  }
}
