/**
 * The floor of the attack bench, a process of its own: what the runtime does with
 * the bytes of an attack where nothing else is done with them. It takes the flags of
 * the relay, of which it heeds `--source` and `--provider`.
 *
 * It answers `GET /healthz`, takes every WebSocket, passes requests on to the
 * provider, and reads whatever comes without a look at it.
 *
 * @module
 */
import { createServer, request } from "node:http";
import { parseArgs } from "node:util";
import { pass } from "../proxies/pass.ts";

const UPGRADED =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

const { values } = parseArgs({
  strict: false, // the relay has more flags
  options: { source: { type: "string" }, provider: { type: "string" } },
});

/** Returns the URL of `NAME=URL`. */
function upstreamOf(value: string | boolean | undefined): URL | undefined {
  if (typeof value !== "string") return undefined;
  return new URL(value.slice(value.indexOf("=") + 1));
}

const source = upstreamOf(values.source);
const provider = upstreamOf(values.provider);

const server = createServer((incoming, outgoing) => {
  outgoing.on("error", () => {});
  if (incoming.url === "/healthz") {
    incoming.resume();
    outgoing.end("ok\n");
  } else if (provider && incoming.url?.startsWith("/v1/")) {
    pass(provider, incoming, outgoing);
  } else {
    incoming.on("error", () => {});
    incoming.on("end", () => {
      outgoing.statusCode = 404;
      outgoing.end();
    });
    incoming.resume();
  }
});
server.on("upgrade", (_incoming, socket) => {
  socket.on("error", () => {});
  socket.resume();
  socket.write(UPGRADED);
});
server.on("clientError", (_error, socket) => socket.destroy());
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") {
    console.log(`listens on http://127.0.0.1:${address.port}`);
  }
});
if (source) request(source, (answer) => answer.resume()).end();
void Deno.stdin.readable.pipeTo(new WritableStream()).then(() => Deno.exit());
