import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import { KEY_HEADERS } from "../../src/fetch/secrets/definition.ts";
import { tokenRefusal } from "./tokens/token_refusal.ts";

/** A token that came with a request. */
export interface Credential {
  /** The token, whatever it is worth. */
  readonly token: string;
  /** The header that it came in, which is to be passed on to nobody; none where it came in the URL. */
  readonly header: string | undefined;
}

/** A request, and where in it a token may be. */
export interface CredentialRequest {
  /**
   * The door that it came in by: at the gateway, callers may have keys of providers
   * too, and `responses` is an upgrade there.
   */
  readonly door: "http" | "gateway" | "upgrade" | "responses";
  /** Its headers. */
  readonly headers: Headers | IncomingHttpHeaders;
  /** Its query. */
  readonly query: URLSearchParams;
  /** Whether its token may be in the query. */
  readonly allowQueryToken: boolean;
}

/** For callers whose `Authorization` is for a provider. */
const OWN_HEADER = "rivulet-token";

/** The query parameter for the token of a client that cannot send a header. */
const QUERY_PARAMETER = "access_token";

/**
 * Finds the token of a request: in `Rivulet-Token`, which is taken before all
 * others; in `Authorization: Bearer`, in a subprotocol `bearer.BASE64URL` of an
 * upgrade, or in the query, where that is allowed; and at the gateway in what an
 * SDK calls its key, if it is nowhere else.
 *
 * @returns The token, if there is one.
 * @throws {Problem} 400 `ambiguous_token` If those that are equal have different
 * ones (RFC 6750, section 2), 401 `invalid_token` if it is not encoded as it should be.
 */
export function findCredential(
  { door, headers, query, allowQueryToken }: CredentialRequest,
): Credential | undefined {
  const own = read(headers, OWN_HEADER);
  if (own !== "") return { token: own, header: OWN_HEADER };
  const found = [...bearer(headers)];
  if (door === "upgrade" || door === "responses") {
    found.push(...subprotocols(headers));
  }
  if (allowQueryToken) {
    for (const token of query.getAll(QUERY_PARAMETER)) {
      if (token !== "") found.push({ token, header: undefined });
    }
  }
  const [first] = found;
  if (first) {
    if (found.every(({ token }) => token === first.token)) return first;
    throw tokenRefusal.ambiguous();
  }
  if (door !== "gateway" && door !== "responses") return undefined;
  const header = KEY_HEADERS.find((name) =>
    name !== "authorization" && read(headers, name) !== ""
  );
  return header && { token: read(headers, header), header };
}

/** The value of a header; empty where there is none. */
function read(headers: CredentialRequest["headers"], name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  return (Array.isArray(value) ? value.join(", ") : value ?? "").trim();
}

function* bearer(headers: CredentialRequest["headers"]): Generator<Credential> {
  const header = "authorization";
  const [, token] = /^bearer +(.+)$/i.exec(read(headers, header)) ?? [];
  if (token !== undefined) yield { token, header };
}

function* subprotocols(
  headers: CredentialRequest["headers"],
): Generator<Credential> {
  const header = "sec-websocket-protocol";
  for (const offered of read(headers, header).split(",")) {
    const [, encoded] = /^bearer\.(.*)$/.exec(offered.trim()) ?? [];
    if (encoded === undefined) continue;
    const token = Buffer.from(encoded, "base64url");
    // It passes over what is none, and reads what is left.
    if (token.length === 0 || token.toString("base64url") !== encoded) {
      throw tokenRefusal.invalid(
        "malformed",
        "Expected a subprotocol 'bearer.BASE64URL', without padding",
      );
    }
    yield { token: token.toString("latin1"), header };
  }
}

/**
 * Removes a token in the query (`access_token`) from a URL that is logged or
 * passed on. Everything else stays as it is written.
 *
 * @param url A URL, or the end of one that begins with its path.
 */
export function withoutToken(url: string): string {
  const hash = url.indexOf("#");
  const end = hash < 0 ? url.length : hash;
  const start = url.slice(0, end).indexOf("?");
  if (start < 0) return url;
  const query = url.slice(start + 1, end);
  const kept = query.split("&").filter((part) => !isToken(part));
  const rest = kept.length > 0 ? `?${kept.join("&")}` : "";
  return `${url.slice(0, start)}${rest}${url.slice(end)}`;
}

/** Reads the name decoded: `access%5Ftoken` is the same name. */
function isToken(part: string): boolean {
  const [name = ""] = new URLSearchParams(part).keys();
  return name.toLowerCase() === QUERY_PARAMETER;
}
