import { createHash, randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
// @ts-types="../ws.d.ts"
import { WebSocket } from "ws";
import { HeaderList } from "../header_list.ts";
import type { UpstreamAnswer } from "./answer.ts";
import { UpstreamConnectionError } from "./upstream_connection_error.ts";
import type { Upstreams } from "./upstreams.ts";

/**
 * The suffix that the accepting side adds to the key (RFC 6455, section 1.3).
 */
const ACCEPT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The longest message of an upstream, in bytes: as the longest event. */
const MAX_MESSAGE = 64 * 1024 * 1024;

/** A WebSocket over a connection that was upgraded already. */
class ClientWebSocket extends WebSocket {
  constructor(socket: Duplex, head: Uint8Array) {
    super(null, undefined, { autoPong: true });
    // `ws` makes clients only of URLs, which it would connect to by itself: past the
    // proxies and the certificates of the relay. Its types say nothing of these.
    const self = this as unknown as {
      _isServer: boolean;
      setSocket(
        socket: Duplex,
        head: Uint8Array,
        options: Readonly<Record<string, unknown>>,
      ): void;
    };
    self._isServer = false;
    self.setSocket(socket, head, {
      allowSynchronousEvents: true,
      maxPayload: MAX_MESSAGE,
      skipUTF8Validation: false,
    });
  }
}

/** The upstream's answer to an upgrade. */
export type UpstreamWebSocket =
  | { readonly kind: "open"; readonly socket: WebSocket }
  | { readonly kind: "refused"; readonly answer: UpstreamAnswer };

/** An upstream to connect to. */
export interface UpstreamWebSocketOptions {
  /** The URL: of http or https, as for other requests. */
  readonly url: URL;
  /** The headers, without those of the upgrade. */
  readonly headers: HeaderList;
  /** Stops connecting. */
  readonly signal: AbortSignal;
}

/**
 * Opens a WebSocket at an upstream, by the ways and with the certificates of all other
 * requests to upstreams.
 *
 * @param upstreams Asks upstreams.
 * @param options The address, and the settings of the connection.
 * @returns The socket, or the answer of an upstream that makes none of the connection.
 * Rejects with an {@linkcode UpstreamConnectionError} if there is no answer.
 */
export async function openUpstreamWebSocket(
  upstreams: Upstreams,
  { url, headers, signal }: UpstreamWebSocketOptions,
): Promise<UpstreamWebSocket> {
  const key = randomBytes(16).toString("base64");
  const asked = new HeaderList(headers);
  asked.set("connection", "Upgrade");
  asked.set("upgrade", "websocket");
  asked.set("sec-websocket-version", "13");
  asked.set("sec-websocket-key", key);
  let upgraded: { socket: Duplex; head: Uint8Array } | undefined;
  const answer = await upstreams.ask({
    url,
    method: "GET",
    headers: asked,
    body: null,
    length: undefined,
    isKept: false,
    signal,
    onUpgrade: (socket, head) => upgraded = { socket, head },
  });
  if (!upgraded) return { kind: "refused", answer };
  const { socket, head } = upgraded;
  const accept = createHash("sha1").update(key + ACCEPT).digest("base64");
  if (answer.headers.get("sec-websocket-accept") !== accept) {
    socket.destroy();
    throw new UpstreamConnectionError(
      new Error("it has switched to another protocol than WebSocket"),
      { isUnsent: true },
    );
  }
  return { kind: "open", socket: new ClientWebSocket(socket, head) };
}
