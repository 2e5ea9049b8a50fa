import { proxyAuthorization } from "./environment_proxy.ts";

/** The end of a connection on which a tunnel is opened. */
export interface TunnelEnd {
  /** Reads; returns the number of bytes, or `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes a part; returns its length. */
  write(bytes: Uint8Array): Promise<number>;
}

/** The largest head of a proxy's answer, in bytes. */
const MAX_HEAD = 16 * 1024;

/**
 * Has a proxy pass on the bytes of a connection (RFC 9110, section 9.3.6).
 *
 * @param conn A connection to the proxy that was not used yet.
 * @param authority The host and the port to connect to.
 * @param proxy The URL of the proxy.
 * @throws {Error} If the proxy does not do it.
 */
export async function openTunnel(
  conn: TunnelEnd,
  authority: string,
  proxy: URL,
): Promise<void> {
  const credentials = proxyAuthorization(proxy);
  const head = [
    `CONNECT ${authority} HTTP/1.1`,
    `Host: ${authority}`,
    ...(credentials === undefined
      ? []
      : [`Proxy-Authorization: ${credentials}`]),
    "\r\n",
  ].join("\r\n");
  await writeAll(conn, new TextEncoder().encode(head));
  const answer = await readHead(conn);
  const [, status] = /^HTTP\/1\.[01] (\d{3})\b/.exec(answer) ?? [];
  if (status === undefined) {
    throw new Error("the proxy has answered with something else than HTTP");
  }
  if (!status.startsWith("2")) {
    throw new Error(`the proxy has refused to connect, with status ${status}`);
  }
}

async function writeAll(conn: TunnelEnd, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    rest = rest.subarray(await conn.write(rest));
  }
}

/** Reads up to the empty line; the server speaks after the client, so that nothing follows it. */
async function readHead(conn: TunnelEnd): Promise<string> {
  const buffer = new Uint8Array(MAX_HEAD);
  for (let length = 0; length < MAX_HEAD;) {
    const count = await conn.read(buffer.subarray(length));
    if (count === null) {
      throw new Error("the proxy has closed the connection");
    }
    length += count;
    const text = String.fromCharCode(...buffer.subarray(0, length));
    if (text.endsWith("\r\n\r\n")) return text;
    if (text.includes("\r\n\r\n")) {
      throw new Error("the proxy has sent more than an answer");
    }
  }
  throw new Error(
    `the head of the proxy's answer is larger than ${MAX_HEAD} bytes`,
  );
}
