import type { Clock } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import { environmentProxy } from "./environment_proxy.ts";
import { askOverHttp1 } from "./http1.ts";
import { isIdempotent } from "./idempotent.ts";
import { UpstreamAgents } from "./upstream_agents.ts";
import { UpstreamConnectionError } from "./upstream_connection_error.ts";
import type { UpstreamRequest } from "./upstream_request.ts";

/** Asks upstreams, and keeps the connections to them. */
export class Upstreams implements Disposable {
  readonly #agents: UpstreamAgents;
  readonly #clock: Clock;
  readonly #http2Only = new Set<string>();

  /** Has no connections yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#agents = new UpstreamAgents(clock);
  }

  /**
   * Asks an upstream over HTTP/1.1, through the proxy that the environment names for
   * it. An upstream that speaks HTTP/2 alone is asked by `fetch`.
   *
   * A request that may be sent twice is sent again if the connection was used before
   * and is closed without an answer.
   *
   * @returns The answer, as it comes. A redirect is not followed.
   * @throws {UpstreamConnectionError} If there is none.
   */
  async ask(asked: UpstreamRequest): Promise<Response> {
    const url = new URL(asked.url);
    asked.signal.throwIfAborted();
    for (;;) {
      try {
        return await this.#askOnce(url, asked);
      } catch (error) {
        if (!canAskAgain(asked, error)) throw error;
      }
    }
  }

  async #askOnce(url: URL, asked: UpstreamRequest): Promise<Response> {
    if (!this.#http2Only.has(url.origin)) {
      try {
        return await askOverHttp1(url, asked, {
          agents: this.#agents,
          proxy: asked.address === undefined ? this.#proxyOf(url) : undefined,
          clock: this.#clock,
        });
      } catch (error) {
        // `fetch` would look up the host again.
        if (!isWrongVersion(error) || asked.address !== undefined) throw error;
        this.#http2Only.add(url.origin);
      }
    }
    return await fetchOnce(asked);
  }

  #proxyOf(url: URL): URL | undefined {
    try {
      return environmentProxy(url);
    } catch (cause) {
      throw new UpstreamConnectionError(cause, { isUnsent: true });
    }
  }

  /** Closes every connection. */
  [Symbol.dispose](): void {
    this.#agents[Symbol.dispose]();
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
    error.message.includes("NoApplicationProtocol");
}

async function fetchOnce(
  { url, method, headers, body, signal }: UpstreamRequest,
): Promise<Response> {
  // `duplex` is in the Fetch Standard, and not in the types.
  const init: RequestInit & { duplex?: "half" } = {
    method,
    headers,
    signal,
    redirect: "manual",
    ...(body !== null && method !== "GET" && method !== "HEAD" && {
      // As a stream, so that the runtime cannot send it twice by itself.
      body: body instanceof Uint8Array ? ReadableStream.from([body]) : body,
      duplex: "half",
    }),
  };
  try {
    return await fetch(url, init);
  } catch (error) {
    if (signal.aborted) throw error;
    const cause = error instanceof Error && error.cause instanceof Error
      ? error.cause
      : error;
    // Deno has no other sign of it.
    throw new UpstreamConnectionError(cause, {
      isUnsent: messageOf(cause).includes("(Connect)"),
    });
  }
}
