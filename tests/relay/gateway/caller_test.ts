import { assertEquals } from "@std/assert";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
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
      // Who makes it has to be done with that first.
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
      caller.head(200, "OK", new Headers({ "x-a": "b" }));
      caller.head(500, "No", new Headers());
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
