import type { GatewayProvider, KeyHeader } from "./provider.ts";

/**
 * Headers that are between two neighbours only (RFC 9110, section 7.6.1), and
 * those that `fetch` and the server say themselves.
 */
const HOP_BY_HOP =
  /^(connection|content-length|expect|host|http2-settings|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/;

/**
 * What a caller has to say to the relay alone. Cookies are those of the relay's
 * own host; and what is not compressed can be read, and passed on as it is.
 */
const NOT_FORWARDED =
  /^(accept-encoding|access-control-.*|cookie|forwarded|origin|referer|rivulet-.*|sec-.*|x-forwarded-.*|x-real-ip)$/;

/** What a provider says of its own host, and another relay of its own topics. */
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
 * What a caller says, as the provider is told it: with the relay's key, where
 * it has one, and else with the caller's own.
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

/** What a provider says, as the caller is told it. */
export function responseHeaders(headers: Headers): Headers {
  const returned = new Headers([...passed(headers, NOT_RETURNED)]);
  // It still holds: what was packed is not unpacked, since `accept-encoding` was said.
  const length = headers.get("content-length");
  if (length !== null) returned.set("content-length", length);
  return returned;
}

/**
 * What a provider says of an event stream, as the caller is told it.
 *
 * @param headers The provider's. How long its answer is does not matter: where
 * that dies early, another takes its place.
 * @param ours What the relay has to say.
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
