/**
 * The types of the part of `ws` that the project uses. Those of `@types/ws` come
 * with all of Node's globals, whose `Event` is not the platform's.
 */
import type { Buffer } from "node:buffer";
import type { EventEmitter } from "node:events";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

export interface ClientOptions {
  perMessageDeflate?: boolean;
  skipUTF8Validation?: boolean;
  maxPayload?: number;
  handshakeTimeout?: number;
  headers?: Record<string, string>;
  ca?: string;
  servername?: string;
}

export class WebSocket extends EventEmitter {
  static readonly OPEN: 1;
  constructor(
    url: string | URL,
    protocols?: string | string[] | ClientOptions,
    options?: ClientOptions,
  );
  /** Over a connection that was made already. */
  constructor(
    url: null,
    protocols: undefined,
    options: Readonly<Record<string, unknown>>,
  );
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly isPaused: boolean;
  readonly protocol: string;
  close(code?: number, reason?: string | Uint8Array): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  ping(data?: string | Uint8Array): void;
  pong(data?: string | Uint8Array): void;
  send(data: string | Uint8Array, done?: () => void): void;
  send(data: string | Uint8Array, options: { binary: boolean }): void;
  on(
    event: "message",
    listener: (data: Buffer, isBinary: boolean) => void,
  ): this;
  on(event: "ping" | "pong", listener: (data: Buffer) => void): this;
  on(event: "open", listener: () => void): this;
  on(event: "close", listener: (code: number, reason: Buffer) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
  on(
    event: "unexpected-response",
    listener: (request: ClientRequest, response: IncomingMessage) => void,
  ): this;
}

export interface ServerOptions {
  noServer: true;
  WebSocket?: typeof WebSocket;
  clientTracking?: boolean;
  perMessageDeflate?: boolean;
  maxPayload?: number;
  autoPong?: boolean;
  skipUTF8Validation?: boolean;
  handleProtocols?: (protocols: Set<string>) => string | false;
}

export class WebSocketServer extends EventEmitter {
  constructor(options: ServerOptions);
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    callback: (ws: WebSocket, request: IncomingMessage) => void,
  ): void;
  on(
    event: "headers",
    listener: (headers: string[], request: IncomingMessage) => void,
  ): this;
  on(
    event: "wsClientError",
    listener: (error: Error, socket: Duplex, request: IncomingMessage) => void,
  ): this;
}
