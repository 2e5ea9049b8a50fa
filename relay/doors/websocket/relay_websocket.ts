import { isUtf8 } from "node:buffer";
// @ts-types="../../ws.d.ts"
import { WebSocket } from "ws";
import { CLOSE_CODES, CLOSINGS } from "./close_codes.ts";

/** The codes that `ws` closes with by itself when a frame is not WebSocket or not UTF-8. */
const FRAME_ERRORS: ReadonlySet<number> = new Set([1002, 1007]);

/** The session of a WebSocket: it is told what comes. */
export interface WebSocketOwner {
  /** A message has come. */
  onMessage(data: unknown, isBinary: boolean): void;
  /** A ping has come; nothing has answered it yet. */
  onPing(data: Uint8Array): void;
  /** A pong has come. */
  onPong(data: Uint8Array): void;
  /** The connection has failed: it is about to be closed. */
  onFailure(error: Error): void;
  /** The connection is closed. */
  onClose(code: number): void;
  /** Writes what is left of a frame that was begun: a close frame must not come within it. */
  beforeClose(): void;
}

/** A WebSocket that sends the protocol's close codes, and no other. */
export class RelayWebSocket extends WebSocket {
  /**
   * The session, which is told in place of listeners: five functions and a table of them
   * took 0.7 KB of an idle connection. Default: nobody but listeners is told.
   */
  owner: WebSocketOwner | undefined = undefined;

  /** The number of bytes that are held of a message that is not whole. */
  get unfinished(): number {
    // The receiver has them, of which the types of `ws` say nothing.
    const { _receiver: receiver } = this as this & {
      readonly _receiver?: {
        readonly _bufferedBytes?: number;
        readonly _messageLength?: number;
      };
    };
    return (receiver?._bufferedBytes ?? 0) + (receiver?._messageLength ?? 0);
  }

  /** Tells the session, or else those who listen; of the end all. */
  override emit(event: string | symbol, ...values: unknown[]): boolean {
    const { owner } = this;
    if (!owner) return super.emit(event, ...values);
    // as `ws` emits them
    const [value, isBinary] = values as [never, boolean | undefined];
    switch (event) {
      case "message":
        owner.onMessage(value, isBinary === true);
        return true;
      case "ping":
        owner.onPing(value);
        return true;
      case "pong":
        owner.onPong(value);
        return true;
      case "error":
        owner.onFailure(value);
        return true;
      case "close":
        owner.onClose(value);
    }
    return super.emit(event, ...values);
  }

  /** Closes with a code of the protocol, or echoes a close that had none. */
  override close(code?: number, reason?: string | Uint8Array): void {
    if (this.readyState === this.OPEN) this.owner?.beforeClose();
    if (code === undefined) return super.close();
    // A peer's own, which `ws` has not looked at (RFC 6455, section 5.5.1).
    if (reason instanceof Uint8Array && !isUtf8(reason)) {
      const { code, text } = CLOSINGS.invalidFrame;
      return super.close(code, text);
    }
    if (CLOSE_CODES.has(code)) return super.close(code, reason && `${reason}`);
    const closing = FRAME_ERRORS.has(code)
      ? CLOSINGS.invalidFrame
      : CLOSINGS.peerClosed; // the peer's own code, which `ws` would echo
    super.close(closing.code, closing.text);
  }
}
