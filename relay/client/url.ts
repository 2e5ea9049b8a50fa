// This module is browser compatible.

/**
 * Makes the URL of a WebSocket of one that may be relative, in a browser, or of
 * HTTP.
 *
 * @throws {TypeError} If it is no URL.
 */
export function webSocketUrl(input: string | URL): URL {
  // A runtime may have none, whatever the types say.
  const location: { href: string } | undefined = globalThis.location;
  const url = new URL(input, location?.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  return url;
}
