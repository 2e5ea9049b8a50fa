// The policy for everything that the relay asks others for on behalf of callers:
// sources and providers have the same.

/**
 * Headers that belong to one connection only (RFC 9110, section 7.6.1), and headers
 * that clients and servers of HTTP set themselves.
 */
const OF_CONNECTION =
  /^(?:connection|content-length|expect|host|http2-settings|keep-alive|proxy(?:-.*)?|te|trailer|transfer-encoding|upgrade)$/;

/**
 * Headers that change where a request goes or what it does, pretend that somebody
 * else has sent it, or make a cloud tell its secrets.
 */
const MISLEADING = new RegExp(
  `^(?:${
    [
      "x-http-(?:destinationurl|host|method|path|url)(?:-override)?|x-method-override",
      "x-original-.*|x-override-.*|x-(?:proxy|rewrite)-ur[il]",
      "base-url|request-uri|uri|(?:x-)?host-override|x-host|x-accel-.*|x-sendfile(?:-type)?",
      "x-(?:appengine|arr|envoy|middleware|nf|vercel)-.*|x-(?:url-)?scheme|front-end-https",
      "forwarded|(?:x-)?forwarded-for|x-forwarded(?:-.*)?",
      "max-forwards|via",
      "(?:.*-)?(?:client|user)-?ip|.*-(?:connecting|connection)-ip(?:v6)?|x-real-ip|x-originating-ip",
      "(?:x-)?remote-(?:addr|email|groups|ip|name|user)|x-proxyuser-ip|x-azure-socketip",
      "x-auth-request-.*|x-webauth-.*|x-ms-client-principal(?:-.*)?|tailscale-user-.*",
      "x-goog-authenticated-user-.*|(?:x-)?(?:ssl|tls)-client-.*|(?:x-)?client-cert(?:-.*)?",
      "cf-(?:ipcountry|pseudo-ipv4|ray|visitor|worker)",
      "metadata|metadata-flavor|x-aws-ec2-metadata-.*|x-google-metadata-.*",
    ].join("|")
  })$`,
);

/** A step upwards in a decoded path. Some servers cut off what follows a semicolon. */
const STEP_UP = /(?:^|[/\\])\.\.\s*(?:[;?#/\\]|$)/;

/**
 * Characters that no URL of an API has in its path, where servers differ, besides
 * control characters: the backslash, and bytes that only overlong UTF-8 has, where
 * `%c0%ae` is a dot.
 */
const AMBIGUOUS = "\x7f\\\xc0\xc1";

/** The most times that a path is decoded: one for each server on the way. */
const MAX_DECODINGS = 5;

const ESCAPE = /%(?:u00)?([0-9a-f]{2})/gi;

/**
 * Returns the name of a header as gateways of CGI and WSGI read it: `X_Real_IP` is
 * `x-real-ip` to all of them, and `X.Real.IP` to some.
 */
export function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, "-");
}

/** Whether a header belongs to one connection, and is not passed on. */
export function isConnectionHeader(name: string): boolean {
  return OF_CONNECTION.test(plainName(name));
}

/** Whether a header is one by which the relay and its callers speak to each other. */
export function isRelayHeader(name: string): boolean {
  return plainName(name).startsWith("rivulet-");
}

/** Whether a header speaks for the relay or for proxies, and is not a caller's to set. */
export function isMisleadingHeader(name: string): boolean {
  return MISLEADING.test(plainName(name));
}

/**
 * Returns the readings of a path by servers that decode it, in turn; the last is
 * decoded until nothing is left to decode, or often enough. Bytes above 127 are one
 * character each.
 */
export function readingsOf(pathname: string): readonly string[] {
  const readings = [pathname];
  for (let last = pathname; readings.length <= MAX_DECODINGS;) {
    const next = last.replaceAll(
      ESCAPE,
      (_escape, hex) => String.fromCharCode(parseInt(hex, 16)),
    );
    if (next === last) break;
    readings.push(last = next);
  }
  return readings;
}

/**
 * Whether a path may be another for the server that gets it: many decode a path
 * before they resolve it, so that `/events/..%2fadmin` and `/events/..;/admin` are
 * `/admin` to them, and within `/events/*` to a pattern.
 */
export function isMisleadingPath(pathname: string): boolean {
  const readings = readingsOf(pathname);
  return readings.length > MAX_DECODINGS ||
    readings.some((path) => STEP_UP.test(path) || hasAmbiguousCharacter(path));
}

function hasAmbiguousCharacter(path: string): boolean {
  for (const character of path) {
    if (character < " " || AMBIGUOUS.includes(character)) return true;
  }
  return false;
}
