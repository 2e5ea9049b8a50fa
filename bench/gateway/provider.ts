/**
 * A provider of language models, a process of its own: answers each request with
 * as many events as it asks for, at the rate that it asks for, and stamps each
 * with the time at which it is written. Its first line of output is its port.
 *
 * It writes to sockets itself: a server would add what it takes to do so.
 *
 * @module
 */
import { wallClock } from "../fanout/event.ts";
import { writeText } from "../fanout/feed/outlet.ts";
import { chunk, endOfRequest, LAST_CHUNK } from "../net/http_request.ts";
import { contentEvent, LAST_EVENTS } from "./event.ts";
import { sleep } from "../sleep.ts";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
  "Transfer-Encoding: chunked\r\n\r\n";

/** Yields what is asked over a connection, one request after the other. */
async function* requests(connection: Deno.Conn): AsyncGenerator<string> {
  const bytes = new Uint8Array(16 * 1024);
  const decoder = new TextDecoder();
  for (let text = "";;) {
    const length = await connection.read(bytes);
    if (length === null) return;
    text += decoder.decode(bytes.subarray(0, length));
    const end = endOfRequest(text);
    if (end > text.length) continue;
    yield text.slice(0, end);
    text = text.slice(end);
  }
}

/** A number that a request has in its body. */
function numberIn(request: string, name: string): number {
  const [, number] = new RegExp(`"${name}":([0-9]+)`).exec(request) ?? [];
  return Number(number);
}

async function answer(connection: Deno.Conn, request: string): Promise<void> {
  const events = numberIn(request, "events");
  const rate = numberIn(request, "rate");
  await writeText(connection, HEAD);
  const start = wallClock();
  for (let sequence = 1; sequence <= events; sequence++) {
    const wait = start + sequence / rate * 1_000 - wallClock();
    if (wait > 0) {
      await sleep(Math.ceil(wait));
    }
    await writeText(connection, chunk(contentEvent(wallClock(), sequence)));
  }
  await writeText(connection, chunk(LAST_EVENTS) + LAST_CHUNK);
}

async function serve(connection: Deno.Conn): Promise<void> {
  using _ = connection;
  try {
    for await (const request of requests(connection)) {
      await answer(connection, request);
    }
  } catch {
    // The caller has left, as it does when it has seen enough.
  }
}

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(listener.addr.port);
for await (const connection of listener) {
  // Or an event waits for the acknowledgement of the one before.
  connection.setNoDelay();
  void serve(connection);
}
