import { isUtf8 } from "node:buffer";
// @ts-types="../../ws.d.ts"
import { WebSocket } from "ws";
import { CLOSE_CODES, CLOSINGS } from "./close_codes.ts";

/** The codes that `ws` closes with by itself when a frame is not WebSocket or not UTF-8. */
const FRAME_ERRORS: ReadonlySet<number> = new Set([1002, 1007]);

function ignore(): void {}

/** A WebSocket that sends the protocol's close codes, and no other. */
export class RelayWebSocket extends WebSocket {
  /** Writes what is left of a frame that was begun: a close frame must not come within it. */
  beforeClose: () => void = ignore;

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

  /** Closes with a code of the protocol, or echoes a close that had none. */
  override close(code?: number, reason?: string | Uint8Array): void {
    if (this.readyState === this.OPEN) this.beforeClose();
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
