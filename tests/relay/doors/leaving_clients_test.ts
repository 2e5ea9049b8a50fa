// Clients that leave in the middle (field.md E7): their business, and no error of the relay's.
import { assertEquals } from "@std/assert";
import { configure, type LogRecord, reset } from "@logtape/logtape";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until } from "../../support/within.ts";

/** Sends the beginning of something, and cuts the connection. */
async function leave(port: number, text: string): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(text));
  await new Promise((resolve) => setTimeout(resolve, 50));
}

function head(request: string, headers: string, body: string): string {
  return `${request} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n${body}`;
}

const JSON_BODY = "Content-Type: application/json\r\nContent-Length: 1000";
const CHUNKED = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked";
const UPGRADE =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

// deno-fmt-ignore
const WAYS: readonly (readonly [string, string])[] = [
  ["a JSON publication", head("POST /topics/t", JSON_BODY, '[{"data":')],
  ["a text publication", head("POST /topics/t", "Content-Type: text/plain\r\nContent-Length: 9", "abc")],
  ["a published stream", head("POST /topics/t", CHUNKED, "5\r\ndata:\r\n")],
  ["a published stream within a chunk", head("POST /topics/t", CHUNKED, "50\r\ndata: a\n\nda")],
  ["a PUT", head("PUT /topics/t", JSON_BODY, "{")],
  ["an end", head("POST /topics/t/end", JSON_BODY, "{")],
  ["a cancel", head("POST /topics/t/cancel", JSON_BODY, "{")],
  ["a head", "GET /topics/t HTTP/1.1\r\nHost: lo"],
  ["a reader", head("GET /topics/t", "Accept: text/event-stream", "")],
  ["a run", head("POST /v1/responses", JSON_BODY, '{"input":')],
  ["a chunked run", head("POST /v1/chat/completions", "Content-Type: application/json\r\nTransfer-Encoding: chunked", "5\r\n{\"a\":\r\n")],
  ["an upload", head("POST /v1/files", "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000", "--x\r\n")],
  ["a chunked upload", head("POST /v1/files", "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked", "5\r\nabcde\r\n")],
  ["an upgrade", head("GET /ws", UPGRADE, "")],
  ["a frame", head("GET /ws", UPGRADE, "\x01\x7e\x00")],
];

Deno.test("E7: a client that leaves in the middle is logged below warning", async (t) => {
  await using provider = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      await request.text().catch(() => {});
      return Response.json({});
    },
  );
  const { port } = provider.addr;
  for (const [name, text] of WAYS) {
    await t.step(name, async () => {
      const records: LogRecord[] = [];
      await configure({
        reset: true,
        sinks: { records: (record) => records.push(record) },
        loggers: [
          { category: [], lowestLevel: "debug", sinks: ["records"] },
          { category: ["logtape", "meta"], lowestLevel: "error", sinks: [] },
        ],
      });
      {
        await using relay = await startRelay({
          gateway: {
            providers: [{
              name: "local",
              url: `http://127.0.0.1:${port}/v1`,
              key: "a",
            }],
          },
        });
        await leave(relay.port, text);
        await until(
          async () => {
            const response = await relay.request("/metrics");
            const figures = await response.text();
            return /rivulet_tcp_connections 1\n/.test(figures) || undefined;
          },
          LIMIT,
          "its connection to be gone",
        );
      }
      await reset();
      assertEquals(
        records.filter(({ level }) => /warn|error|fatal/.test(level))
          .map(({ level, message, properties }) =>
            `${level} ${message.join("")} ${Deno.inspect(properties)}`
          ),
        [],
      );
    });
  }
});
