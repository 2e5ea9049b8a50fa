import type { Clock } from "../../src/fetch/clock.ts";
import type { UpstreamAnswer } from "./answer.ts";
import { environmentProxy, rememberVariables } from "./environment_proxy.ts";
import { askOverHttp1 } from "./http1.ts";
import { Http2Connections } from "./http2.ts";
import { Http2Origins } from "./http2_origins.ts";
import { isIdempotent } from "./idempotent.ts";
import { UpstreamAgents } from "./upstream_agents.ts";
import { UpstreamConnectionError } from "./upstream_connection_error.ts";
import type { UpstreamRequest } from "./upstream_request.ts";

/** Asks upstreams, and keeps the connections to them. */
export class Upstreams implements Disposable {
  readonly #agents: UpstreamAgents;
  readonly #http2: Http2Connections;
  readonly #clock: Clock;
  readonly #http2Only = new Http2Origins();
  readonly #readVariable = rememberVariables();

  /** Has no connections yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#agents = new UpstreamAgents(clock);
    this.#http2 = new Http2Connections(clock);
  }

  /**
   * Asks an upstream over HTTP/1.1, through the proxy that the environment names for
   * it, and over HTTP/2 if the upstream speaks nothing else.
   *
   * A request that may be sent twice is sent again if the connection was used before
   * and is closed without an answer.
   *
   * @returns The answer, as it comes. A redirect is not followed.
   * @throws {UpstreamConnectionError} If there is none.
   */
  async ask(asked: UpstreamRequest): Promise<UpstreamAnswer> {
    asked.signal.throwIfAborted();
    for (;;) {
      try {
        return await this.#askOnce(asked.url, asked);
      } catch (error) {
        if (!canAskAgain(asked, error)) throw error;
      }
    }
  }

  async #askOnce(url: URL, asked: UpstreamRequest): Promise<UpstreamAnswer> {
    const { address } = asked;
    const proxy = address === undefined ? this.#proxyOf(url) : undefined;
    const agents = this.#agents;
    if (!this.#http2Only.has(url.origin)) {
      try {
        return await askOverHttp1(url, asked, {
          agents,
          proxy,
          clock: this.#clock,
        });
      } catch (error) {
        if (!isWrongVersion(error)) throw error;
        this.#http2Only.add(url.origin);
      }
    }
    return await this.#http2.ask(
      url,
      asked,
      (url, signal) => agents.connectHttp2(url, { address, proxy, signal }),
    );
  }

  #proxyOf(url: URL): URL | undefined {
    try {
      return environmentProxy(url, this.#readVariable);
    } catch (cause) {
      throw new UpstreamConnectionError(cause, { isUnsent: true });
    }
  }

  /** Closes every connection. */
  [Symbol.dispose](): void {
    this.#agents[Symbol.dispose]();
    this.#http2[Symbol.dispose]();
  }
}

/** Whether a request was lost with a connection that was used before, and may be sent twice. */
function canAskAgain(
  { method, body }: UpstreamRequest,
  error: unknown,
): boolean {
  return error instanceof UpstreamConnectionError && error.isStale &&
    isIdempotent(method) && !(body instanceof ReadableStream);
}

/** Whether an upstream has refused to speak HTTP/1.1, in the handshake of TLS. */
function isWrongVersion(error: unknown): boolean {
  return error instanceof UpstreamConnectionError && error.isUnsent &&
    /no.?application.?protocol/i.test(error.message);
}
