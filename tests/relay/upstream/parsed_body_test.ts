import { assert, assertEquals } from "@std/assert";
import { Agent, createServer, request } from "node:http";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
} from "node:net";
import { AnswerBody } from "../../../relay/upstream/answer.ts";
import { PARSERS_PUSH } from "../../../relay/runtime.ts";
import { LIMIT, untilStill, within } from "../../support/within.ts";

/** More than all buffers on the way hold. */
const CHUNKS = 4_096;
const CHUNK = "0123456789abcdef".repeat(1_024);

/** Asks, and returns the body of the answer, of which nothing is taken yet. */
function ask(port: number, agent: Agent): Promise<AnswerBody> {
  return new Promise((resolve) => {
    const asked = request({ host: "127.0.0.1", port, agent });
    asked.on("response", (incoming) =>
      resolve(
        new AnswerBody(incoming, {
          isWhole: () => incoming.complete,
          cancel: () => asked.destroy(),
          request: asked,
          isParsed: true,
          signal: new AbortController().signal,
        }),
      ));
    asked.end();
  });
}

/** Reads a body to its end, and returns how many bytes it had. */
async function lengthOf(body: AnswerBody): Promise<number> {
  let length = 0;
  for (;;) {
    const bytes = await within(body.next(), LIMIT, "more of the body");
    if (!bytes) return length;
    length += bytes.length;
  }
}

Deno.test("AnswerBody reads no further where it takes the parts from the parser, and goes on", async () => {
  assert(PARSERS_PUSH);
  let sent = 0;
  const server = createServer((_, response) => {
    const send = (): void => {
      while (sent < CHUNKS) {
        sent++;
        if (!response.write(CHUNK)) return void response.once("drain", send);
      }
      response.end();
    };
    send();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const agent = new Agent({ keepAlive: false });
  const body = await ask(port, agent);
  await untilStill(() => sent, "the server to wait");
  assert(sent < CHUNKS, `${sent} chunks were taken that nobody reads`);
  assertEquals(await lengthOf(body), CHUNKS * CHUNK.length);
  assert(body.isOver);
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
});

Deno.test("AnswerBody gives all of a body that was over before it was taken", async () => {
  // The rest comes in one read, which fills what may wait and has the end as well. A
  // connection that is kept is then no longer that of the answer.
  const [first, rest] = ["x".repeat(60 * 1024), "y".repeat(20 * 1024)];
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", () => {
      const length = first.length + rest.length;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
      socket.write(first);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const agent = new Agent({ keepAlive: true });
  const isFree = new Promise<void>((resolve) => {
    agent.on("free", () => resolve());
  });
  const body = await ask(port, agent);
  for (const socket of sockets) socket.write(rest);
  await within(isFree, LIMIT, "the connection to be free for another request");
  assertEquals(await lengthOf(body), first.length + rest.length);
  assert(body.isOver);
  agent.destroy();
  await new Promise((resolve) => server.close(resolve));
});
