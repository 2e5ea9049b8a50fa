// @ts-types="./ws.d.ts"
import { WebSocket } from "ws";

/** What the relay may say when it closes (PROTOCOL.md, section 2). */
export type CloseCode =
  | 1000
  | 1001
  | 1008
  | 1009
  | 1011
  | 1012
  | 1013
  | 4401
  | 4408
  | 4412
  | 4429
  | 4500
  | 4501
  | 4503
  | 4505;

const OURS: ReadonlySet<number> = new Set<CloseCode>([
  1000,
  1001,
  1008,
  1009,
  1011,
  1012,
  1013,
  4401,
  4408,
  4412,
  4429,
  4500,
  4501,
  4503,
  4505,
]);

/** What `ws` closes with by itself when a frame is not WebSocket or not UTF-8. */
const FRAME_ERRORS: ReadonlySet<number> = new Set([1002, 1007]);

/** A WebSocket that sends the protocol's close codes, and no other. */
export class RelayWebSocket extends WebSocket {
  /** Closes with a code of the protocol, or echoes a close that had none. */
  override close(code?: number, reason?: string | Uint8Array): void {
    if (code === undefined) return super.close();
    if (OURS.has(code)) return super.close(code, reason && String(reason));
    if (FRAME_ERRORS.has(code)) return super.close(4500, "Invalid frame");
    super.close(1000); // the peer's own code, which `ws` would echo
  }
}
