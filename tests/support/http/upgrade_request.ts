/** The headers of an upgrade to a WebSocket (RFC 6455, section 4.1), with the key of its example. */
export const UPGRADE_HEADERS = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
} as const;

/**
 * Writes the request for an upgrade to a WebSocket.
 *
 * @param target The path, with the query.
 * @param headers Further headers, or others in place of the usual.
 * @param method Default: `GET`.
 */
export function upgradeRequest(
  target: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): string {
  const all = { Host: "localhost", ...UPGRADE_HEADERS, ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return [`${method} ${target} HTTP/1.1`, ...lines, "", ""].join("\r\n");
}
