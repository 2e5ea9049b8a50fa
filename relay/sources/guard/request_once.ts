import { getLogger } from "@logtape/logtape";
import { UpstreamConnectionError } from "../../upstream/upstream_connection_error.ts";
import type { Upstreams } from "../../upstream/upstreams.ts";
import { askSource } from "../ask_source.ts";
import type { SourceRequest } from "../redirects.ts";

/** The parts of one request. */
export interface RequestOnceOptions extends SourceRequest {
  /** The address to connect to. */
  readonly address: string;
  /** Asks. */
  readonly upstreams: Upstreams;
}

const logger = getLogger(["rivulet", "relay", "source"]);

/**
 * Returns the error of a failed connection without the runtime's message, which
 * contains the address: a caller that may name a host need not know its
 * address.
 */
function connectionFailed(
  { host }: URL,
  address: string,
  error: unknown,
): TypeError {
  const cause = error instanceof UpstreamConnectionError ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : "it was closed";
  logger.info("No answer from {host} at {address}: {reason}", {
    host,
    address,
    reason,
  });
  const code = cause instanceof Error && "code" in cause ? cause.code : "";
  const detail = typeof code === "string" && code !== "" ? ` (${code})` : "";
  return new TypeError(`the connection failed${detail}`, { cause });
}

/** Passes a body on, and says nothing of the address when it breaks off. */
function failingWith(
  body: ReadableStream<Uint8Array>,
  explain: (error: unknown) => unknown,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        controller.error(explain(error));
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

/**
 * Makes a GET request, as `fetch` does, but connects to an address that is given:
 * the host is not resolved, so nobody can answer differently from when it was
 * checked. It still is what the server is asked for, and what its certificate has
 * to be for. No redirect is followed, no connection kept, no proxy used, and no
 * head of more than 16 KiB read, which is the most by default.
 *
 * @param url The URL.
 * @param options The rest of the request.
 * @returns The answer.
 * @throws {TypeError} If there is none; the message names no address.
 */
export async function requestOnce(
  url: URL,
  { headers, address, signal, upstreams }: RequestOnceOptions,
): Promise<Response> {
  const explain = (error: unknown): unknown =>
    signal.aborted ? signal.reason : connectionFailed(url, address, error);
  let response: Response;
  try {
    response = await askSource(upstreams, url, { headers, address, signal });
  } catch (error) {
    throw explain(error);
  }
  const encoding = response.headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    await response.body?.cancel();
    throw new TypeError(
      `the answer is compressed in '${encoding}', which nobody has asked for`,
    );
  }
  const { body, status, statusText, headers: answered } = response;
  if (!body) return response;
  const init = { status, statusText, headers: answered };
  return new Response(failingWith(body, explain), init);
}
