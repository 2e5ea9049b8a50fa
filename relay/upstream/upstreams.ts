import type { Clock } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import { hasEnvironmentProxy } from "./environment_proxy.ts";
import { askOverHttp1 } from "./http1.ts";
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
   * Asks an upstream once over HTTP/1.1. An upstream that speaks HTTP/2 alone, or is
   * reached through a proxy of the environment, is asked by `fetch`.
   *
   * @returns The answer, as it comes. A redirect is not followed.
   * @throws {UpstreamConnectionError} If there is none.
   */
  async ask(asked: UpstreamRequest): Promise<Response> {
    const url = new URL(asked.url);
    asked.signal.throwIfAborted();
    const isPlain = asked.address !== undefined ||
      !this.#http2Only.has(url.origin) && !hasEnvironmentProxy(url);
    if (isPlain) {
      try {
        return await askOverHttp1(url, asked, {
          agents: this.#agents,
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

  /** Closes every connection. */
  [Symbol.dispose](): void {
    this.#agents[Symbol.dispose]();
  }
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
    throw new UpstreamConnectionError(
      cause,
      messageOf(cause).includes("(Connect)"),
    );
  }
}
