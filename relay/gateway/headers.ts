import type { GatewayProvider, KeyHeader } from "./provider.ts";

/**
 * Headers that hold for one connection only (RFC 9110, section 7.6.1), and headers
 * that `fetch` and the server set themselves.
 */
const HOP_BY_HOP =
  /^(connection|content-length|expect|host|http2-settings|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/;

/**
 * Request headers that are for the relay alone. Cookies belong to the relay's own
 * host. The relay asks for no compression, since it reads what it passes on.
 */
const NOT_FORWARDED =
  /^(accept-encoding|access-control-.*|cookie|forwarded|origin|referer|rivulet-.*|sec-.*|x-forwarded-.*|x-real-ip)$/;

/** Response headers about a provider's own host, and about another relay's topics. */
const NOT_RETURNED =
  /^(access-control-.*|alt-svc|rivulet-.*|set-cookie|strict-transport-security)$/;

const KEY_HEADERS: readonly KeyHeader[] = [
  "authorization",
  "x-api-key",
  "api-key",
];

function named(header: string | null): ReadonlySet<string> {
  return new Set(
    (header ?? "").split(",").map((name) => name.trim().toLowerCase()),
  );
}

function* passed(headers: Headers, kept: RegExp): Generator<[string, string]> {
  const connection = named(headers.get("connection"));
  for (const [name, value] of headers) {
    if (HOP_BY_HOP.test(name) || kept.test(name)) continue;
    if (!connection.has(name)) yield [name, value];
  }
}

/**
 * Returns a caller's headers as the provider gets them: with the relay's key, if it
 * has one, and otherwise with the caller's own.
 */
export function requestHeaders(
  headers: Headers,
  { key, keyHeader }: GatewayProvider,
): Headers {
  const forwarded = new Headers([...passed(headers, NOT_FORWARDED)]);
  forwarded.set("accept-encoding", "identity");
  if (key !== undefined) {
    for (const name of KEY_HEADERS) forwarded.delete(name);
    forwarded.set(
      keyHeader,
      keyHeader === "authorization" ? `Bearer ${key}` : key,
    );
  }
  return forwarded;
}

/** Returns a provider's headers as the caller gets them. */
export function responseHeaders(headers: Headers): Headers {
  const returned = new Headers([...passed(headers, NOT_RETURNED)]);
  // It still holds: since `accept-encoding` was sent, `fetch` does not decompress.
  const length = headers.get("content-length");
  if (length !== null) returned.set("content-length", length);
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
  headers: Headers,
  ours: Readonly<Record<string, string>>,
): Headers {
  const returned = responseHeaders(headers);
  returned.delete("content-length");
  returned.set("x-accel-buffering", "no");
  for (const [name, value] of Object.entries(ours)) {
    returned.append(name, value);
  }
  return returned;
}
