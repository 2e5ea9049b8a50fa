/**
 * The subscribers of the fan-out bench, a process of their own: says `ready`
 * when all are connected, counts from the line `begin` on its input to the line
 * `end`, and prints the {@linkcode Tally}, its latencies as percentiles.
 *
 * `fanout_subscribers.ts PORT SUBSCRIBERS SIZE`
 */
import { TOPIC } from "./fanout_event.ts";
import { emptyTally, FrameReader, type Tally } from "./fanout_frames.ts";
import { lines } from "./fanout_process.ts";

const BUFFER = 64 * 1024;

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.floor(sorted.length * share)] ?? NaN;
}

/** Upgrades a connection; returns what came after the head of the answer. */
async function upgrade(
  connection: Deno.Conn,
  buffer: Uint8Array,
): Promise<Uint8Array> {
  await connection.write(
    new TextEncoder().encode(
      `GET /topics/${TOPIC} HTTP/1.1\r\nHost: relay\r\n` +
        "Connection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ),
  );
  let head = "";
  for (;;) {
    const length = await connection.read(buffer) ?? 0;
    if (length === 0) throw new Error("The relay has closed the connection");
    // One character a byte, so that places in the text are places in the bytes.
    const before = head.length;
    for (const byte of buffer.subarray(0, length)) {
      head += String.fromCharCode(byte);
    }
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) continue;
    if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head.slice(0, end));
    return buffer.subarray(end + 4 - before, length);
  }
}

async function follow(
  connection: Deno.Conn,
  buffer: Uint8Array,
  first: Uint8Array,
  reader: FrameReader,
): Promise<void> {
  reader.push(first);
  for (;;) {
    const length = await connection.read(buffer);
    if (length === null) throw new Error("The relay has closed the connection");
    reader.push(buffer.subarray(0, length));
  }
}

const [port = 0, subscribers = 0, size = 0] = Deno.args.map(Number);
const tally: Tally = emptyTally();
for (let i = 0; i < subscribers; i++) {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(BUFFER);
  const first = await upgrade(connection, buffer);
  void follow(connection, buffer, first, new FrameReader(size, tally));
}
console.log("ready");
for await (const line of lines(Deno.stdin.readable)) {
  if (line === "begin") Object.assign(tally, emptyTally());
  if (line !== "end") continue;
  const latencies = Float64Array.from(tally.latencies).sort();
  console.log(JSON.stringify({
    ...tally,
    latencies: undefined,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  }));
}
