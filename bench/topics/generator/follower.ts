import { upgradeRequest } from "../../../tests/support/http/upgrade_request.ts";
import { type Arrivals, Sequence } from "./arrivals.ts";
import { FrameReader } from "./frame_reader.ts";
import type { Loop } from "../../net/loop.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/**
 * Follows a topic from its beginning over a WebSocket of its own.
 *
 * @param onReady Called once the relay has accepted.
 */
export function follow(
  loop: Loop,
  port: number,
  topic: string,
  arrivals: Arrivals,
  onReady: () => void,
): void {
  const sequence = new Sequence(arrivals);
  let hasEnded = false;
  const reader = new FrameReader({
    onEvent: (time, number) => sequence.take(time, number),
    onMessage: ({ type, status }) => {
      switch (type) {
        case "subscribed":
          onReady();
          return;
        case "welcome":
        case "upstream":
        case "live":
        case "heartbeat":
          return;
        case "end":
          hasEnded = true;
          arrivals.ended++;
          if (status !== "complete") arrivals.errors++;
          return;
        default: // a gap, or an error
          arrivals.errors++;
      }
    },
    onPing: (pong) => loop.send(fd, pong),
  });
  let head: string | undefined = "";
  const fd = loop.connect(port, {
    read: (bytes, end) => {
      arrivals.reads++;
      if (head === undefined) return reader.push(bytes, end);
      const before = head.length;
      // One character a byte, so that places in the text are places in the bytes.
      head += decoder.decode(bytes.subarray(0, end));
      const at = head.indexOf("\r\n\r\n") + 4;
      if (at < 4) return;
      if (!head.startsWith("HTTP/1.1 101 ")) {
        throw new Error(`Expected to be accepted: got ${head}`);
      }
      head = undefined;
      const rest = bytes.slice(at - before, end);
      reader.push(rest, rest.length);
    },
    closed: () => {
      if (!hasEnded) arrivals.errors++;
    },
  });
  const target = `/topics/${topic}?after=start`;
  loop.send(fd, encoder.encode(upgradeRequest(target)));
}
