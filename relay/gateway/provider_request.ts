import type { RequestWithSecrets } from "../../src/fetch/secrets/request_secrets.ts";
import { Upload } from "./upload.ts";

/** A request to a provider. */
export interface ProviderRequest {
  /** The caller's request: its own keys may not reach the provider, and are secrets too. */
  readonly asked: { readonly url: URL; readonly headers: Headers };
  /** The name of the provider. */
  readonly provider: string;
  /** The URL at the provider. It may have secrets in it. */
  readonly url: string;
  /** The path below the provider's URL, without query: `responses`. */
  readonly path: string;
  /** The method. */
  readonly method: string;
  /** The headers, as the provider gets them. */
  readonly headers: Headers;
  /** The body. Bytes can be sent again, an upload cannot. */
  readonly body: Uint8Array<ArrayBuffer> | Upload | null;
}

/** Options of {@linkcode sendRequest}. */
export interface SendOptions {
  /** The headers to send in place of the request's. */
  readonly headers: Headers;
  /** The URL to get the rest of a response from, instead of sending the request again. */
  readonly rest: string | undefined;
  /** Stops the request and its answer. */
  readonly signal: AbortSignal;
  /** Called for each part of an upload. */
  onUpload(): void;
}

/** `duplex` is in the Fetch Standard, and not in the types. */
interface StreamingRequestInit extends RequestInit {
  duplex: "half";
}

/** Returns the parts of a request that may hold secrets; of an upload, nothing is kept. */
export function partsWithSecrets(
  { asked, headers, body }: ProviderRequest,
): RequestWithSecrets {
  return {
    url: asked.url.href,
    headers: [...headers, ...asked.headers],
    // Decoded when it is looked through: a long body is not kept as text too.
    get body() {
      return body instanceof Uint8Array
        ? new TextDecoder().decode(body)
        : undefined;
    },
  };
}

/** Whether a request can be sent again after no event of its answer has come. */
export function canBeSentAgain({ body, method }: ProviderRequest): boolean {
  return body instanceof Uint8Array ||
    (body === null && (method === "GET" || method === "HEAD"));
}

/** Sends a request to its provider once; rejects as `fetch` does. */
export function sendRequest(
  { url, method, body }: ProviderRequest,
  { headers, rest, signal, onUpload }: SendOptions,
): Promise<Response> {
  // The caller gets a redirect as it is.
  const init = { method, headers, signal, redirect: "manual" } as const;
  if (rest !== undefined) {
    headers.delete("content-type");
    return fetch(rest, { ...init, method: "GET", headers });
  }
  if (body === null) return fetch(url, init);
  const streaming: StreamingRequestInit = {
    ...init,
    // As a stream, so that the runtime cannot send it twice by itself.
    body: body instanceof Upload
      ? body.stream(onUpload, signal)
      : ReadableStream.from([body]),
    duplex: "half",
  };
  return fetch(url, streaming);
}
