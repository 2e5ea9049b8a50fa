import { Buffer } from "node:buffer";
import { decodedStream } from "../limits/content_coding.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import { askSource } from "./ask_source.ts";
import { followRedirects, type SourceRequest } from "./redirects.ts";

/** Makes a request by GET, as far as `fetch` does that. */
export type SourceFetch = (
  input: string | URL | Request,
  init?: RequestInit,
) => Promise<Response>;

/** As `fetch` has it. */
const MAX_REDIRECTS = 20;

/** Some servers answer no client without a name. */
const USER_AGENT = "Rivulet";

/**
 * The codings that are decoded though the relay asks for none. `deflate` is not: it
 * has two forms, and servers do not say which.
 */
const DECODED = /^(?:br|gzip|x-gzip|zstd)$/i;

/**
 * Makes a `fetch` for the upstreams that the operator has named.
 *
 * @param upstreams Asks them.
 * @returns A `fetch` for GET.
 */
export function createSourceFetch(upstreams: Upstreams): SourceFetch {
  return async (input, init) => {
    const { url, headers, signal } = new Request(input, init);
    return await followRedirects(new URL(url), { headers, signal }, {
      maxRedirects: MAX_REDIRECTS,
      ask: (url, request) => askOnce(upstreams, url, request),
    });
  };
}

async function askOnce(
  upstreams: Upstreams,
  url: URL,
  { headers: given, signal }: SourceRequest,
): Promise<Response> {
  const headers = new Headers(given);
  if (!headers.has("user-agent")) headers.set("user-agent", USER_AGENT);
  if (url.username !== "" || url.password !== "") {
    headers.set("authorization", basic(url));
  }
  const answer = decoded(await askSource(upstreams, url, { headers, signal }));
  // A `Response` that is made has no URL of its own.
  return Object.defineProperty(answer, "url", { value: url.href });
}

function basic({ username, password }: URL): string {
  const text = [username, password].map(decodeURIComponent).join(":");
  return `Basic ${Buffer.from(text).toString("base64")}`;
}

function decoded(response: Response): Response {
  const { body, status, statusText, headers } = response;
  const coding = headers.get("content-encoding") ?? "";
  if (!body || !DECODED.test(coding.trim())) return response;
  const init = { status, statusText, headers: new Headers(headers) };
  init.headers.delete("content-encoding");
  init.headers.delete("content-length");
  return new Response(decodedStream(body, coding), init);
}
