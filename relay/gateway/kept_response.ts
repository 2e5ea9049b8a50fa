import {
  isCredentialName,
  isSecretShape,
  MIN_LENGTH_IN_EVENTS,
} from "../../src/fetch/secrets/definition.ts";
import { secretsOf } from "../../src/fetch/secrets/request_secrets.ts";
import { queryFields } from "../../src/fetch/secrets/urls.ts";
import { HeaderList } from "../header_list.ts";
import type { Log } from "../topics/log.ts";
import { isKeepable, type ResponseFilling } from "../topics/filling.ts";
import { requestHeaders } from "./headers.ts";
import { judgeFor, type Verdict } from "./judge.ts";
import type { GatewayProvider } from "./provider.ts";
import type { ProviderRequest } from "./provider_request.ts";
import type { Target } from "./request.ts";

/** The header that says of which version of the API a response is. */
const KEPT_HEADER = "openai-beta";

/** The number of events that are looked at for the last number: nearly every event has one. */
const TAIL = 64;

/** The part of a background response that a relay before this one has had. */
export interface KeptResponse {
  /** The provider's id of the response. */
  readonly responseId: string;
  /** The number of the last event; `undefined` if there is no event. */
  readonly sequenceNumber: number | undefined;
}

/**
 * The end of a response in a store, if the response was being written when the
 * relay ended.
 */
export type ResponseTail =
  | { readonly kind: "open"; readonly kept: KeptResponse }
  | { readonly kind: "over"; readonly verdict: Verdict }
  /** It is not known how far they have come, for a reason in words. */
  | { readonly kind: "unknown"; readonly why: string };

/**
 * Returns what the store keeps of a run whose provider goes on with the response
 * when nobody reads it.
 *
 * Secrets are not kept. Without them, the next relay could neither ask for the rest of
 * a response that was asked for with the caller's key, nor take the secrets of the
 * request out of it.
 *
 * @param request The request.
 * @param target The place that it went to.
 * @param id The provider's id of the response.
 * @returns `undefined` if the next relay cannot go on with it.
 */
export function responseFilling(
  request: ProviderRequest,
  { provider, path }: Pick<Target, "provider" | "path">,
  id: string,
): ResponseFilling | undefined {
  const { search, href } = request.url;
  const headers = [...request.headers].filter(([name]) =>
    provider.key === undefined || name !== provider.keyHeader
  );
  const names = [
    ...headers.map(([name]) => name),
    ...queryFields(search).map(({ name }) => name),
  ];
  if (names.some(isCredentialName) || !isKeepable(href)) {
    return undefined;
  }
  const found = request.content?.secrets() ?? [];
  const secrets = secretsOf({ url: href, headers, found });
  if (secrets.some(({ length }) => length >= MIN_LENGTH_IN_EVENTS)) {
    return undefined;
  }
  const kept = headers.filter(([name, value]) =>
    name === KEPT_HEADER && !isSecretShape(value)
  );
  return {
    kind: "response",
    provider: provider.name,
    path,
    query: search,
    headers: Object.fromEntries(kept),
    id,
  };
}

/** Returns the request whose rest is asked for with what the store has kept. */
export function keptRequest(
  { path, query, headers: kept }: ResponseFilling,
  provider: GatewayProvider,
): ProviderRequest {
  const url = new URL(`${provider.url}/${path}${query}`);
  return {
    asked: { url, headers: new HeaderList() },
    provider: provider.name,
    url,
    path,
    method: "GET",
    headers: requestHeaders(
      new HeaderList(
        Object.entries({ ...kept, accept: "text/event-stream" }),
      ),
      provider,
    ),
    body: null,
    content: undefined,
    peer: "provider",
    isRepeatable: false,
  };
}

/**
 * Finds out how far the events of a response have come that the store has kept.
 *
 * @param log The log of its topic.
 * @param filling The filling that the store has kept.
 */
export async function tailOf(
  log: Log,
  { path, id: responseId }: ResponseFilling,
): Promise<ResponseTail> {
  const judge = judgeFor(path);
  const budget = { events: TAIL, bytes: Infinity };
  for (let from = Math.max(log.first, log.next - TAIL); from < log.next;) {
    const { offset, entries } = await log.read(from, budget);
    for (const { event } of entries) judge.take(event);
    from = offset + entries.length;
  }
  const { verdict, sequenceNumber } = judge;
  if (verdict) return { kind: "over", verdict };
  if (sequenceNumber === undefined && log.next > 1) {
    const why = log.first === log.next
      ? "the last events of the response are not retained any more"
      : "the events of the response have no numbers";
    return { kind: "unknown", why };
  }
  return { kind: "open", kept: { responseId, sequenceNumber } };
}
