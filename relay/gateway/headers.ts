import { isCredentialName } from "../../src/fetch/secrets/definition.ts";
import { queryFields } from "../../src/fetch/secrets/urls.ts";
import {
  isConnectionHeader,
  isMisleadingHeader,
  plainName,
} from "../forwarding.ts";
import type { HeaderList } from "../header_list.ts";
import { rememberNames } from "../known_names.ts";
import type { UpstreamAnswer } from "../upstream/answer.ts";
import type { GatewayProvider } from "./provider.ts";
import type { ProviderRequest } from "./provider_request.ts";

/**
 * Request headers that are for the relay alone. Cookies belong to the relay's own
 * host. The relay asks for no compression, since it reads what it passes on.
 */
const NOT_FORWARDED =
  /^(accept-encoding|access-control-.*|cookie|origin|referer|rivulet-.*|sec-.*)$/;

/**
 * Response headers about a provider's own host, and about another relay's topics. A
 * browser would take them for the relay's: they clear what its page keeps, widen the
 * scope of a service worker, report its errors to others, or load another document.
 * `Link` is returned: it tells the next page of a list.
 */
const NOT_RETURNED = new RegExp(
  `^(?:${
    [
      "access-control-.*|rivulet-.*",
      "alt-svc|clear-site-data|refresh|service-worker-allowed",
      "set-cookie2?|set-login|(?:sec|secure)-session-.*|use-as-dictionary",
      "expect-ct|public-key-pins(?:-report-only)?|strict-transport-security",
      "nel|report-to|reporting-endpoints",
      "accept-ch|critical-ch|observe-browsing-topics|origin-agent-cluster|origin-trial",
      "content-security-policy(?:-report-only)?|x-content-type-options",
    ].join("|")
  })$`,
);

/**
 * Headers that the relay adds to every answer of a provider. The answer comes from the
 * origin of the relay's page, which keeps a token. With these headers, a document in the
 * answer is no part of that origin and runs no script.
 */
const OF_STRANGERS: Readonly<Record<string, string>> = {
  "content-security-policy": "sandbox",
  "x-content-type-options": "nosniff",
};

function named(header: string): ReadonlySet<string> {
  return new Set(header.split(",").map((name) => name.trim().toLowerCase()));
}

/** Whether a header of a request is none that a provider gets. */
const isNotForwarded = rememberNames((name) =>
  isConnectionHeader(name) || NOT_FORWARDED.test(plainName(name)) ||
  isMisleadingHeader(name)
);

/** Whether a header of an answer is none that a caller gets. */
const isNotReturned = rememberNames((name) =>
  isConnectionHeader(name) || NOT_RETURNED.test(plainName(name))
);

/**
 * Headers that choose for whom a key acts, and who pays: the organization and project of
 * OpenAI, the workspace and the user of Anthropic, the project of Google.
 */
const ON_BEHALF =
  /^(?:openai-(?:organization|project)|anthropic-(?:workspace-id|user-profile-id)|x-goog-user-project)$/;

/** Whether a header belongs to the key: with the relay's, none of the caller's is forwarded. */
const isOfKey = rememberNames((name) =>
  isCredentialName(name) || ON_BEHALF.test(plainName(name))
);

/** Returns the headers that are passed on: without those that `Connection` names, too. */
function passed(
  headers: HeaderList,
  isLeftOut: (name: string) => boolean,
): HeaderList {
  const header = headers.get("connection");
  const connection = header === null ? undefined : named(header);
  return headers.filter((name) => !isLeftOut(name) && !connection?.has(name));
}

/**
 * Returns a caller's headers as the provider gets them: with the relay's key, if it
 * has one, and otherwise with the caller's own.
 */
export function requestHeaders(
  headers: HeaderList,
  { key, keyHeader }: Pick<GatewayProvider, "key" | "keyHeader">,
): HeaderList {
  const allowed = passed(headers, isNotForwarded);
  const forwarded = key === undefined
    ? allowed
    : allowed.filter((name) => !isOfKey(name));
  forwarded.set("accept-encoding", "identity");
  if (key !== undefined) {
    forwarded.set(
      keyHeader,
      keyHeader === "authorization" ? `Bearer ${key}` : key,
    );
  }
  return forwarded;
}

/**
 * Returns the query of a caller's URL as the provider gets it: without the caller's
 * key, if the relay has one. All else stays as it is written.
 */
export function requestQuery(search: string, { key }: GatewayProvider): string {
  const fields = queryFields(search);
  const kept = fields.filter(({ name }) => !isCredentialName(name));
  if (key === undefined || kept.length === fields.length) return search;
  return kept.length > 0 ? `?${kept.map(({ text }) => text).join("&")}` : "";
}

/**
 * Returns why an answer cannot be passed on: HTTP says that it does not end where its
 * head says, or that it belongs to another protocol (RFC 9112, section 6.3).
 */
export function framingFault(
  { status, headers }: UpstreamAnswer,
  peer: ProviderRequest["peer"],
): string | undefined {
  if (status < 200) {
    return `Expected an answer, and the ${peer} has answered ${status}, which nobody has asked for`;
  }
  const coding = headers.get("transfer-encoding");
  if (coding === null || /^chunked$/i.test(coding)) return undefined;
  return `Expected a body as it is or in chunks, and the ${peer} has sent the transfer coding '${coding}'`;
}

/**
 * Returns a provider's headers as the caller gets them. The length stays only if the
 * body ends by it: a chunked one ends elsewhere.
 */
export function responseHeaders(headers: HeaderList): HeaderList {
  const returned = passed(headers, isNotReturned);
  for (const [name, value] of Object.entries(OF_STRANGERS)) {
    returned.set(name, value);
  }
  if (headers.has("transfer-encoding")) return returned;
  // It still holds: since `accept-encoding` was sent, `fetch` does not decompress.
  // Lengths that differ are no answer for `fetch`.
  const [length] = headers.get("content-length")?.split(",") ?? [];
  if (length !== undefined) returned.set("content-length", length.trim());
  return returned;
}

/**
 * Returns a provider's headers of an event stream as the caller gets them.
 *
 * @param headers The provider's headers. The length goes: if the answer dies early,
 * another continues it.
 * @param ours The relay's own headers.
 */
export function streamHeaders(
  headers: HeaderList,
  ours: Readonly<Record<string, string>>,
): HeaderList {
  const returned = responseHeaders(headers);
  returned.delete("content-length");
  returned.set("x-accel-buffering", "no");
  for (const [name, value] of Object.entries(ours)) {
    returned.append(name, value);
  }
  return returned;
}
