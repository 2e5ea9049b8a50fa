import { type Outlet, writeText } from "./outlet.ts";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
  "Transfer-Encoding: chunked\r\n\r\n";

/** Makes an HTTP chunk, of characters that are a byte each. */
function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

/** The answer to the first who asks: an event stream. */
export class SseOutlet implements Outlet {
  readonly batch = 256;
  readonly #connection: Deno.Conn;
  readonly #chunkEvents: number;

  private constructor(connection: Deno.Conn, chunkEvents: number) {
    this.#connection = connection;
    this.#chunkEvents = chunkEvents;
  }

  /**
   * Waits for a request; the port is the first line of output.
   *
   * @param chunkEvents How many events an HTTP chunk has at most.
   */
  static async open(chunkEvents: number): Promise<SseOutlet> {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    console.log(listener.addr.port);
    const connection = await listener.accept();
    // Or an event waits for the acknowledgement of the one before, 40 ms now and then.
    connection.setNoDelay();
    await connection.read(new Uint8Array(16 * 1024));
    await writeText(connection, HEAD);
    return new SseOutlet(connection, chunkEvents);
  }

  /** Sends events as one write. */
  async send(events: readonly string[]): Promise<void> {
    let text = "";
    for (let at = 0; at < events.length; at += this.#chunkEvents) {
      const some = events.slice(at, at + this.#chunkEvents);
      text += chunk(some.map((data) => `data: ${data}\n\n`).join(""));
    }
    await writeText(this.#connection, text);
  }
}
