import { type Arrivals, Sequence } from "./arrivals.ts";
import type { Loop } from "../../net/loop.ts";
import { inputOf } from "./provider.ts";
import { ResponseReader } from "./response_reader.ts";

const encoder = new TextEncoder();

/** The path that is asked for. */
const PATH = "/v1/responses";

/** Asks for a run over a connection of its own, and reads it. */
export function call(
  loop: Loop,
  port: number,
  run: number,
  topic: string,
  arrivals: Arrivals,
): void {
  const sequence = new Sequence(arrivals);
  let hasEnded = false;
  const reader = new ResponseReader({
    onHead: (head) => {
      if (!head.startsWith("HTTP/1.1 200 ")) {
        throw new Error(`Expected a run: got ${head}`);
      }
    },
    onEvent: (time, number) => sequence.take(time, number),
    onEnd: () => {
      hasEnded = true;
      arrivals.ended++;
    },
  });
  const fd = loop.connect(port, {
    read: (bytes, end) => {
      arrivals.reads++;
      reader.push(bytes, end);
    },
    closed: () => {
      if (!hasEnded) arrivals.errors++;
    },
  });
  const body = JSON.stringify({
    model: "bench",
    stream: true,
    input: inputOf(run),
  });
  loop.send(
    fd,
    encoder.encode(
      `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\n` +
        "Content-Type: application/json\r\nAuthorization: Bearer bench\r\n" +
        `Rivulet-Topic: ${topic}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    ),
  );
}
