import { assert, assertEquals } from "@std/assert";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { AnswerBody } from "../../../relay/upstream/answer.ts";
import { PARSERS_PUSH } from "../../../relay/runtime.ts";
import { LIMIT, untilStill, within } from "../../support/within.ts";

/** More than all buffers on the way hold. */
const CHUNKS = 4_096;
const CHUNK = "0123456789abcdef".repeat(1_024);

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
  const body = await new Promise<AnswerBody>((resolve) => {
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
  await untilStill(() => sent, "the server to wait");
  assert(sent < CHUNKS, `${sent} chunks were taken that nobody reads`);
  let length = 0;
  for (;;) {
    const bytes = await within(body.next(), LIMIT, "more of the body");
    if (!bytes) break;
    length += bytes.length;
  }
  assertEquals(length, CHUNKS * CHUNK.length);
  assert(body.isOver);
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
});
