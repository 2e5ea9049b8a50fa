import { assertEquals } from "@std/assert";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { writeChunk } from "../../relay/write_chunk.ts";
import { RawCaller } from "../support/http/raw_caller.ts";
import { LIMIT, within } from "../support/within.ts";

/** Sizes around those at which a chunk is made in another way, or its size has a digit more. */
const SIZES = [1, 15, 16, 210, 255, 256, 4_095, 4_096, 4_097, 70_000];

/** A response whose head has been written, and its raw bytes. */
async function withResponse(
  request: string,
  headers: Record<string, string>,
  test: (response: ServerResponse, caller: RawCaller) => Promise<void>,
): Promise<void> {
  const asked = Promise.withResolvers<ServerResponse>();
  const server = createServer((_, response) => asked.resolve(response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  using caller = await RawCaller.open(port);
  caller.send(request);
  const response = await asked.promise;
  response.writeHead(200, headers);
  response.flushHeaders();
  await caller.see("\r\n\r\n");
  await test(response, caller);
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}

function bodyOf({ text }: RawCaller): string {
  return text.slice(text.indexOf("\r\n\r\n") + 4);
}

function bytesOf(size: number): Uint8Array {
  return new TextEncoder().encode("x".repeat(size));
}

const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

Deno.test("writeChunk frames pieces as HTTP/1.1 has them, whatever their size, and in order", async () => {
  await withResponse(GET, {}, async (response, caller) => {
    // In one turn, and each in a turn of its own.
    for (const isAlone of [false, true]) {
      for (const size of SIZES) {
        if (!isAlone) writeChunk(response, bytesOf(size));
        else {
          const left = new Promise<void>((resolve) =>
            writeChunk(response, bytesOf(size), resolve)
          );
          await within(left, LIMIT, "the bytes to have left");
        }
      }
    }
    writeChunk(response, new Uint8Array()); // a chunk of no bytes would be the last
    response.write("between");
    writeChunk(response, bytesOf(2));
    response.end("last");
    await caller.see("0\r\n\r\n");
    const chunk = (text: string): string =>
      `${text.length.toString(16)}\r\n${text}\r\n`;
    const sized = SIZES.map((size) => chunk("x".repeat(size))).join("");
    assertEquals(
      bodyOf(caller),
      `${sized}${sized}${chunk("between")}${chunk("xx")}${
        chunk("last")
      }0\r\n\r\n`,
    );
  });
});

Deno.test("writeChunk makes no chunks of a body that has a length, or ends with its connection", async () => {
  const length = { "Content-Length": "4" };
  const old = "GET / HTTP/1.0\r\n\r\n";
  for (const [request, headers] of [[GET, length], [old, {}]] as const) {
    await withResponse(request, headers, async (response, caller) => {
      writeChunk(response, bytesOf(3));
      writeChunk(response, bytesOf(1));
      response.end();
      await caller.see("xxxx");
      assertEquals(bodyOf(caller), "xxxx");
    });
  }
});

Deno.test("writeChunk has a response hear of room when its client reads again", async () => {
  await withResponse(GET, {}, async (response, caller) => {
    caller.pause(true);
    let written = 0;
    while (!response.writableNeedDrain) {
      writeChunk(response, bytesOf(4_000));
      written++;
    }
    const drained = new Promise((resolve) => response.once("drain", resolve));
    caller.pause(false);
    await within(drained, LIMIT, "room");
    response.end();
    await caller.see("\r\n0\r\n\r\n");
    assertEquals(bodyOf(caller).split("fa0\r\n").length - 1, written);
  });
});

Deno.test("writeChunk writes nothing behind the end of a body", async () => {
  await withResponse(GET, {}, async (response, caller) => {
    response.on("error", () => {});
    response.write("whole");
    await caller.see("whole\r\n");
    response.end();
    // The next answer of the connection would begin with it.
    writeChunk(response, bytesOf(2));
    writeChunk(response, bytesOf(5_000));
    await caller.see("0\r\n\r\n");
    writeChunk(response, bytesOf(2));
    caller.send("nonsense\r\n\r\n");
    await caller.see("HTTP/1.1 400 ");
    const [, rest = ""] = caller.text.split("5\r\nwhole\r\n");
    assertEquals(rest.slice(0, rest.indexOf("400")), "0\r\n\r\nHTTP/1.1 ");
  });
});
