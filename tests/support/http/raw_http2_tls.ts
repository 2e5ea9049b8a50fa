/**
 * A server of HTTP/2 over TLS whose test writes every frame itself.
 *
 * @module
 */
import { makeCertificates } from "../gateway/foreign/certificates.ts";
import { LIMIT, within } from "../within.ts";
import { RawConnection } from "./raw_server.ts";
import { type RawHttp2Exchange, startRawHttp2 } from "./raw_http2.ts";

/** A server that speaks HTTP/2 alone; its requests are taken one by one. */
export class RawHttp2TlsServer implements AsyncDisposable {
  /** Its port on the loopback interface; the certificate is for `localhost`. */
  readonly port: number;
  /** The file of the certificate that a client has to trust. */
  readonly ca: string;
  readonly #stack: AsyncDisposableStack;
  readonly #waiting: RawHttp2Exchange[];
  readonly #wake: { call: () => void };

  private constructor(
    port: number,
    ca: string,
    stack: AsyncDisposableStack,
    waiting: RawHttp2Exchange[],
    wake: { call: () => void },
  ) {
    this.port = port;
    this.ca = ca;
    this.#stack = stack;
    this.#waiting = waiting;
    this.#wake = wake;
  }

  /** Starts one. */
  static async start(): Promise<RawHttp2TlsServer> {
    await using stack = new AsyncDisposableStack();
    const folder = stack.adopt(
      await Deno.makeTempDir(),
      (folder) => Deno.remove(folder, { recursive: true }),
    );
    await makeCertificates(folder);
    const waiting: RawHttp2Exchange[] = [];
    const wake = { call: (): void => {} };
    const plain = stack.use(
      await startRawHttp2((exchange) => {
        waiting.push(exchange);
        wake.call();
      }),
    );
    const listener = stack.use(Deno.listenTls({
      hostname: "127.0.0.1",
      port: 0,
      key: await Deno.readTextFile(`${folder}/site.key`),
      cert: await Deno.readTextFile(`${folder}/site.pem`),
      alpnProtocols: ["h2"],
    }));
    const serve = async (conn: Deno.TlsConn): Promise<void> => {
      const connection = new RawConnection(conn);
      try {
        await conn.handshake();
        connection.join(
          await Deno.connect({ hostname: "127.0.0.1", port: plain.port }),
        );
      } catch {
        connection[Symbol.dispose](); // it offers HTTP/1.1 first
      }
    };
    void (async () => {
      for await (const conn of listener) void serve(conn);
    })().catch(() => {}); // it is closed
    const { port } = listener.addr as Deno.NetAddr; // it listens on TCP
    const held = stack.move();
    return new RawHttp2TlsServer(port, `${folder}/ca.pem`, held, waiting, wake);
  }

  /** Waits for the next request. */
  async next(): Promise<RawHttp2Exchange> {
    for (;;) {
      const exchange = this.#waiting.shift();
      if (exchange) return exchange;
      await within(
        new Promise<void>((resolve) => this.#wake.call = resolve),
        LIMIT,
        "a request over HTTP/2",
      );
    }
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
