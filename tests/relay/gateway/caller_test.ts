import { assertEquals } from "@std/assert";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { HeaderList } from "../../../relay/header_list.ts";
import { Caller } from "../../../relay/gateway/caller.ts";
import { RawCaller } from "../../support/http/raw_caller.ts";
import { LIMIT, within } from "../../support/within.ts";

/** A request, from both sides. */
async function withResponse(
  test: (response: ServerResponse, caller: RawCaller) => Promise<void>,
): Promise<void> {
  const asked = Promise.withResolvers<ServerResponse>();
  const server = createServer((_, response) => asked.resolve(response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  using caller = await RawCaller.open(port);
  caller.head("GET", "/");
  await test(await asked.promise, caller);
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}

Deno.test("Caller notices that it has gone, once, and before too", async () => {
  for (const isLate of [false, true]) {
    await withResponse(async (response, raw) => {
      const left = Promise.withResolvers<void>();
      let times = 0;
      const onLeave = (): void => {
        times++;
        left.resolve();
      };
      const early = isLate ? undefined : new Caller(response, onLeave);
      const gone = new Promise((resolve) => response.on("close", resolve));
      raw[Symbol.dispose]();
      await within(gone, LIMIT, "the caller to be gone");
      const caller = early ?? new Caller(response, onLeave);
      // The maker has to be done with it first.
      if (isLate) assertEquals(times, 0);
      await within(left.promise, LIMIT, "that to be noticed");
      assertEquals([times, caller.isGone], [1, true]);
      caller.write(new Uint8Array(10));
      caller.end();
      caller.cut();
      await caller.drained();
      assertEquals(times, 1);
    });
  }
});

Deno.test("Caller that has all it will get does not leave", async () => {
  for (const last of ["end", "cut"] as const) {
    await withResponse(async (response, raw) => {
      let times = 0;
      const gone = new Promise((resolve) => response.on("close", resolve));
      const caller = new Caller(response, () => times++);
      caller.head(200, "OK", new HeaderList([["x-a", "b"]]));
      caller.head(500, "No", new HeaderList());
      caller.write(new TextEncoder().encode("hello"));
      caller[last]();
      const end = "\r\nhello\r\n0\r\n\r\n";
      if (last === "end") await raw.see(end);
      else {
        await raw.closed();
        assertEquals(raw.text.endsWith("\r\nhello\r\n"), true);
      }
      raw[Symbol.dispose]();
      await within(gone, LIMIT, "the caller to be gone");
      assertEquals([times, caller.isGone], [0, true]);
    });
  }
});

Deno.test("Caller gets a short answer in one write, and the head by itself if nothing follows", async () => {
  await withResponse(async (response, raw) => {
    const writes: number[] = [];
    const { socket } = response;
    const write = socket?._writev?.bind(socket);
    if (!socket || !write) throw new Error("Expected a socket that gathers");
    socket._writev = (chunks, done) => {
      writes.push(chunks.length);
      write(chunks, done);
    };
    const single = socket._write.bind(socket);
    socket._write = (chunk, encoding, done) => {
      writes.push(1);
      single(chunk, encoding, done);
    };
    const caller = new Caller(response, () => {});
    const length = new HeaderList([["content-length", "5"]]);
    caller.head(200, "OK", length, true);
    // The body of an answer comes a tick after its head.
    for (let i = 0; i < 2; i++) await new Promise<void>(process.nextTick);
    caller.end(new TextEncoder().encode("hello"));
    await raw.see("\r\n\r\nhello");
    assertEquals(writes.length, 1);
    raw[Symbol.dispose]();
  });
  await withResponse(async (response, raw) => {
    const caller = new Caller(response, () => {});
    caller.head(200, "OK", new HeaderList([["content-length", "5"]]), true);
    await raw.see("content-length: 5");
    caller.end(new TextEncoder().encode("hello"));
    await raw.see("\r\n\r\nhello");
    raw[Symbol.dispose]();
  });
});

Deno.test("Caller is cut off from an answer whose end has another length than its head says", async () => {
  for (const body of ["hell", "hello!"]) {
    await withResponse(async (response, raw) => {
      const caller = new Caller(response, () => {});
      caller.head(200, "OK", new HeaderList([["content-length", "5"]]), true);
      caller.end(new TextEncoder().encode(body));
      await raw.closed();
      assertEquals(raw.text.includes("HTTP/1.1 200"), true);
      assertEquals(raw.text.endsWith("hello"), false);
    });
  }
});
