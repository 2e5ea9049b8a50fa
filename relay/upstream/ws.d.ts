/**
 * The types of the part of `ws` that upstreams need: a WebSocket over a connection that
 * was made already. Those of `@types/ws` come with all of Node's globals.
 */
import type { Buffer } from "node:buffer";
import type { EventEmitter } from "node:events";

export class WebSocket extends EventEmitter {
  constructor(
    url: null,
    protocols: undefined,
    options: Readonly<Record<string, unknown>>,
  );
  readonly OPEN: 1;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly isPaused: boolean;
  close(code?: number): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  send(data: string | Uint8Array, options?: { binary: boolean }): void;
  on(
    event: "message",
    listener: (data: Buffer, isBinary: boolean) => void,
  ): this;
  on(event: "close", listener: (code: number, reason: Buffer) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
}
