/**
 * The SSE upstream of the fan-out bench, a process of its own: prints its port,
 * and sends from the line `go` on its input on, to the first who connects.
 *
 * `fanout_upstream.ts SIZE RATE CHUNK`, the rate in events a second, 0 for as
 * many as are taken; an HTTP chunk has up to CHUNK events.
 */
import { eventData, wallClock } from "./fanout_event.ts";
import { lines } from "./fanout_process.ts";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
  "Transfer-Encoding: chunked\r\n\r\n";

/** How many events a write has at full speed. */
const BATCH = 256;

const encoder = new TextEncoder();

async function writeAll(connection: Deno.Conn, text: string): Promise<void> {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) {
    bytes = bytes.subarray(await connection.write(bytes));
  }
}

/** Makes an HTTP chunk, of characters that are a byte each. */
function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

const [size = 0, rate = 0, chunkEvents = 1] = Deno.args.map(Number);
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(listener.addr.port);
const connection = await listener.accept();
await connection.read(new Uint8Array(16 * 1024));
await writeAll(connection, HEAD);
for await (const line of lines(Deno.stdin.readable)) {
  if (line === "go") break;
}
const start = wallClock();
for (let sequence = 0;;) {
  const now = wallClock();
  const due = rate === 0
    ? sequence + BATCH
    : Math.floor((now - start) / 1_000 * rate);
  let text = "";
  while (sequence < due) {
    let events = "";
    const last = Math.min(due, sequence + chunkEvents);
    while (sequence < last) {
      events += `data: ${eventData(now, ++sequence, size)}\n\n`;
    }
    text += chunk(events);
  }
  try {
    await writeAll(connection, text);
  } catch {
    Deno.exit(); // the relay is gone: it has been measured
  }
  if (rate === 0) continue;
  const wait = start + (sequence + 1) / rate * 1_000 - wallClock();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
}
