/**
 * The types of the part of `ws` that links need. Those of `@types/ws` come with all of
 * Node's globals.
 */
import type { Buffer } from "node:buffer";
import type { EventEmitter } from "node:events";
import type { ClientRequest, IncomingMessage } from "node:http";

export interface ClientOptions {
  perMessageDeflate?: boolean;
  skipUTF8Validation?: boolean;
  maxPayload?: number;
  handshakeTimeout?: number;
  headers?: Record<string, string>;
}

export class WebSocket extends EventEmitter {
  constructor(url: string, protocols: string[], options?: ClientOptions);
  readonly OPEN: 1;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly bufferedAmount: number;
  readonly protocol: string;
  close(code?: number, reason?: string): void;
  terminate(): void;
  send(data: string | Uint8Array, done?: () => void): void;
  on(
    event: "message",
    listener: (data: Buffer, isBinary: boolean) => void,
  ): this;
  on(event: "open", listener: () => void): this;
  on(event: "close", listener: (code: number, reason: Buffer) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
  on(
    event: "unexpected-response",
    listener: (request: ClientRequest, response: IncomingMessage) => void,
  ): this;
}
