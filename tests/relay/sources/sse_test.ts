import { type AddressInfo, createServer, type Socket } from "node:net";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { closingFetch } from "../../support/upstreams/closing_fetch.ts";
import { systemClock } from "../../../src/fetch/clock.ts";
import { EventRoom } from "../../../relay/limits/memory/event_room.ts";
import { ReceiveBudget } from "../../../relay/limits/memory/receive_budget.ts";
import { SseSource } from "../../../relay/sources/sse.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { Topic } from "../../../relay/topics/topic.ts";

/** An upstream that answers each connection by hand. */
async function upstream(
  answer: (socket: Socket) => void,
): Promise<{ url: string; closed: Promise<void> } & AsyncDisposable> {
  const gone = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("close", () => gone.resolve());
    socket.once("data", () => answer(socket));
  });
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve())
  );
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}/`,
    closed: gone.promise,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => server.close(() => resolve())),
  };
}

function topic(): Topic {
  return new Topic(
    "t",
    new MemoryLog(DEFAULT_RETENTION, systemClock),
    systemClock,
  );
}

function room(): EventRoom {
  const budget = { maxReceived: 1_000, maxReceivedPerClient: 1_000 };
  return new EventRoom(new ReceiveBudget(budget), "a", () => {});
}

const HEAD =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHUNK = "9\r\ndata: a\n\n\r\n";

Deno.test("SseSource without reconnection gives each ending of its upstream its status", async (t) => {
  // deno-fmt-ignore
  const table: [string, (socket: Socket) => void, string, number][] = [
    ["a whole body", (s) => s.end(`${HEAD}${CHUNK}0\r\n\r\n`), "complete", 2],
    ["a body that breaks off", (s) => {
      s.write(HEAD + CHUNK, () => setTimeout(() => s.destroy(), 10));
    }, "truncated", 2],
    ["no content", (s) => s.end("HTTP/1.1 204 No Content\r\n\r\n"), "complete", 1],
    ["an error", (s) => s.end("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), "failed", 1],
    ["another type", (s) =>
      s.end("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"), "failed", 1],
    ["no answer", (s) => s.destroy(), "failed", 1],
  ];
  for (const [name, answer, status, next] of table) {
    await t.step(name, async () => {
      await using server = await upstream(answer);
      using fetch = closingFetch();
      const filled = topic();
      const source = new SseSource(filled, server.url, {
        reconnect: false,
        clock: systemClock,
        fetch,
        room: room(),
      });
      if (status === "failed") await assertRejects(() => source.opened);
      else await source.opened;
      await source.finished;
      const end = await filled.ended;
      assertEquals([end.status, filled.log.next], [status, next]);
      assertEquals(end.reason === undefined, status === "complete");
      // The end says it all.
      assertEquals(filled.upstream, undefined);
    });
  }
});

Deno.test("SseSource fails where nobody listens, and says where, without secrets", async () => {
  const server = await upstream(() => {});
  await server[Symbol.asyncDispose]();
  using fetch = closingFetch();
  const filled = topic();
  const source = new SseSource(filled, `${server.url}?key=sesame`, {
    clock: systemClock,
    fetch,
    room: room(),
  });
  const error = await assertRejects(() => source.opened);
  assertStringIncludes(String(error), server.url);
  assertEquals(String(error).includes("sesame"), false);
  const { status, reason = "" } = await filled.ended;
  assertEquals([status, reason.includes("sesame")], ["failed", false]);
  await source.finished;
});

Deno.test("SseSource closes its upstream when its topic is ended, and when it is stopped", async (t) => {
  for (const by of ["ended", "stopped"]) {
    await t.step(by, async () => {
      await using server = await upstream((s) => s.write(HEAD + CHUNK));
      using fetch = closingFetch();
      const filled = topic();
      const source = new SseSource(filled, server.url, {
        clock: systemClock,
        fetch,
        room: room(),
      });
      await source.opened;
      if (by === "ended") filled.end("cancelled");
      else source.stop();
      await source.finished;
      await server.closed;
      assertEquals(filled.state.kind, by === "ended" ? "ended" : "open");
    });
  }
});
