import type { RequestWithSecrets } from "../../src/fetch/secrets/request_secrets.ts";
import { HeaderList } from "../header_list.ts";
import type { UpstreamAnswer } from "../upstream/answer.ts";
import { isIdempotent } from "../upstream/idempotent.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import type { Content } from "./content.ts";
import { Upload } from "./upload.ts";

/** A request to a provider. */
export interface ProviderRequest {
  /** The caller's request: its own keys may not reach the provider, and are secrets too. */
  readonly asked: { readonly url: URL; readonly headers: HeaderList };
  /**
   * The peer that receives it: a provider of models, or an application that
   * answers a turn of a chat with UI messages.
   */
  readonly peer: "provider" | "application";
  /** The name of the provider, or of the chat's route. */
  readonly provider: string;
  /** The URL at the provider. It may have secrets in it. */
  readonly url: URL;
  /** The path below the provider's URL, without query: `responses`. */
  readonly path: string;
  /** The method. */
  readonly method: string;
  /** The headers, as the provider gets them. */
  readonly headers: HeaderList;
  /**
   * The body; `null` if the request says nothing about one. Bytes can be sent again,
   * an upload cannot once it is taken.
   */
  readonly body: Uint8Array<ArrayBuffer> | Upload | null;
  /** The facts of a body of JSON; of an upload, there are none. */
  readonly content: Content | undefined;
  /** Whether the provider takes a second request with this one's key for the first. */
  readonly isRepeatable: boolean;
  /** Asks the provider in another way than by HTTP, where it can be asked so. Default: by HTTP. */
  readonly other?: SendByOtherMeans | undefined;
}

/**
 * Asks a provider in another way than by HTTP.
 *
 * @param url The URL.
 * @param headers The headers, as a request over HTTP would have them.
 * @param signal Stops the request and its answer.
 * @returns The answer; `undefined` if the provider cannot be asked in this way. Rejects if
 * there is no answer.
 */
export type SendByOtherMeans = (
  url: URL,
  headers: HeaderList,
  signal: AbortSignal,
) => Promise<UpstreamAnswer | undefined>;

/** Options of {@linkcode sendRequest}. */
export interface SendOptions {
  /** The headers to send in place of the request's. */
  readonly headers: HeaderList;
  /** The URL to get the rest of a response from, instead of sending the request again. */
  readonly rest: URL | undefined;
  /** Stops the request and its answer. */
  readonly signal: AbortSignal;
  /** Asks the provider. */
  readonly upstreams: Upstreams;
  /** Called for each part of an upload. */
  onUpload(): void;
}

/** Returns the parts of a request that may hold secrets; of an upload, nothing is kept. */
export function partsWithSecrets(request: ProviderRequest): RequestWithSecrets {
  return new PartsWithSecrets(request);
}

/**
 * The parts, which are looked for when there is something to take secrets out of. A
 * class: an object with getters of its own outlives collections of young objects, with
 * all that the getters refer to.
 */
class PartsWithSecrets implements RequestWithSecrets {
  readonly #request: ProviderRequest;

  constructor(request: ProviderRequest) {
    this.#request = request;
  }

  get url(): string {
    return this.#request.asked.url.href;
  }

  get headers(): RequestWithSecrets["headers"] {
    const { headers, asked } = this.#request;
    return [...headers, ...asked.headers];
  }

  get found(): readonly string[] {
    return this.#request.content?.secrets() ?? [];
  }
}

/**
 * Whether a request may be sent once more after it has brought no answer.
 *
 * A provider may have begun, and bill, whatever it was sent.
 *
 * @param request The request.
 * @param isUnsent Whether no byte of it can have reached the provider.
 */
export function canBeSentAgain(
  { body, method, isRepeatable }: ProviderRequest,
  isUnsent: boolean,
): boolean {
  if (body instanceof Upload && body.isTaken) return false;
  return isUnsent || isRepeatable || isIdempotent(method);
}

/** Sends a request to its provider once; rejects if there is no answer. */
export async function sendRequest(
  { url, method, body, other }: ProviderRequest,
  { headers, rest, signal, upstreams, onUpload }: SendOptions,
): Promise<UpstreamAnswer> {
  if (other && rest === undefined) {
    const answer = await other(url, headers, signal);
    if (answer) return answer;
  }
  if (rest !== undefined) {
    const left = new HeaderList(headers);
    left.delete("content-type");
    left.delete("content-encoding");
    const asked = { url: rest, method: "GET", headers: left, signal };
    return upstreams.ask({
      ...asked,
      body: null,
      length: undefined,
      isKept: true,
    });
  }
  const asked = { url, method, headers, length: body?.length, signal };
  return upstreams.ask({
    ...asked,
    isKept: true,
    body: body instanceof Upload ? body.stream(onUpload, signal) : body,
  });
}
