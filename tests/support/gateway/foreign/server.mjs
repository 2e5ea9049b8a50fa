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

function listen(request, response) {
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
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
