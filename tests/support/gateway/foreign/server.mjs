// Servers of Node's own library: one that parses bodies as strict frameworks do, and one that
// speaks HTTP/2 alone. `server.mjs http`, or `server.mjs http2 KEY CERTIFICATE`.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";

const [kind, key, certificate] = process.argv.slice(2);

const chunk = (delta, reason) =>
  `data: ${
    JSON.stringify({
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason: reason }],
    })
  }\n\n`;

function answer(request, response, body) {
  const text = body.toString("latin1");
  if (!text.includes('"stream":true')) {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({
      method: request.method,
      version: request.httpVersion,
      headers: request.headers,
      body: text,
    }));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(chunk({ content: "hi" }, null));
  if (text.includes("break off")) {
    setTimeout(() => response.stream.close(2 /* INTERNAL_ERROR */), 50);
    return;
  }
  if (text.includes("end early")) {
    response.end();
    return;
  }
  response.end(chunk({}, "stop") + "data: [DONE]\n\n");
}

/** The connections by their ports: a session of HTTP/2 does not let them be ended. */
const sockets = new Map();

/** The ways in which a stream of events over HTTP/2 ends. */
const ENDS = {
  "END_STREAM": (response) => response.end(),
  "NO_ERROR": (response) => response.stream.close(0),
  "INTERNAL_ERROR": (response) => response.stream.close(2),
  "CANCEL": (response) => response.stream.close(8),
  "GOAWAY": ({ stream: { session } }) => {
    session.goaway(0);
    sockets.get(session.socket.remotePort).end();
  },
  "closed": ({ stream: { session } }) =>
    sockets.get(session.socket.remotePort).end(),
  "destroyed": ({ stream: { session } }) => session.destroy(),
};

/** Sends two of six events, after the last that has come, and is over in the way of the query. */
function stream(request, response) {
  const last = Number(request.headers["last-event-id"] ?? 0);
  if (last >= 6) {
    response.writeHead(204).end();
    return;
  }
  const { searchParams } = new URL(request.url, "https://localhost");
  response.writeHead(200, { "content-type": "text/event-stream" });
  const event = (id) => `id: ${id}\ndata: ${id} of ${request.httpVersion}\n\n`;
  response.write(
    `retry: 1\n${event(last + 1)}${event(last + 2)}data: half of one\n`,
    () => ENDS[searchParams.get("end")](response),
  );
}

function listen(request, response) {
  if (request.url.startsWith("/events?")) {
    stream(request, response);
    return;
  }
  const { headers, method } = request;
  const length = headers["content-length"];
  // As body-parser: a length, or no body.
  if (kind === "http" && headers["transfer-encoding"] !== undefined) {
    response.writeHead(411).end();
    return;
  }
  if (method === "DELETE" && length !== undefined && length !== "0") {
    response.writeHead(400).end();
    return;
  }
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts);
    if (length !== undefined && Number(length) !== body.length) {
      response.writeHead(400).end();
      return;
    }
    answer(request, response, body);
  });
}

const server = kind === "http2"
  ? createSecureServer({
    key: readFileSync(key),
    cert: readFileSync(certificate),
  }, listen)
  : createServer(listen);
server.on("secureConnection", (socket) => {
  sockets.set(socket.remotePort, socket);
  socket.on("close", () => sockets.delete(socket.remotePort));
});
server.on("sessionError", () => {}); // it has been ended
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
