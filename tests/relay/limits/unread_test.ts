// Unread bytes cost little, whoever does not read them, and however many there
// are.
import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { upgradeRequest } from "../../support/http/upgrade_request.ts";
import { RelayProcess } from "../../support/relay/relay_process.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { settled } from "../../support/relay/settled.ts";
import { stalledSockets } from "../../support/relay/stalled_sockets.ts";
import {
  OPCODE,
  RawClient,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";
import { LIMIT, until } from "../../support/within.ts";

const MIB = 1024 * 1024;

const TIMEOUT = 1_000;

/** The largest event, of characters that JSON makes six bytes of. */
const CONTROLS = "\u0001".repeat(16 * MIB - 7);

/** One that is read whole here. */
const LARGE = "\u0001".repeat(5 * MIB);

function request(target: string, accept: string): string {
  return `GET ${target} HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\n\r\n`;
}

const READERS: Readonly<Record<string, string>> = {
  "WebSocket subscribers": upgradeRequest("/topics/big"),
  "WebSocket subscribers with merge": upgradeRequest("/topics/big?mode=merge"),
  "WebSocket subscribers with a snapshot": upgradeRequest(
    "/topics/big?snapshot=true",
  ),
  "SSE readers": request("/topics/big", "text/event-stream"),
  "raw readers": request("/topics/big?raw", "text/event-stream"),
  "readers of pages": request("/topics/big", "application/json"),
};

Deno.test("A3: 50 readers that stop within an event of 16 MiB hold one copy of it", async (t) => {
  await using relay = await RelayProcess.start({
    delivery: { slowTimeout: 3_600_000 },
  });
  const response = await fetch(`${relay.url}/topics/big`, {
    method: "POST",
    headers: { "Content-Type": "text/plain" },
    body: CONTROLS,
  });
  assertEquals(response.status, 200);
  await response.body?.cancel();
  const { port } = new URL(relay.url);
  const live = async (): Promise<number> => {
    const { heapUsed, external } = await relay.memory();
    return heapUsed + external;
  };
  for (const [readers, asked] of Object.entries(READERS)) {
    await t.step(readers, async () => {
      const before = await live();
      {
        using sockets = stalledSockets(Number(port));
        for (let reader = 0; reader < 50; reader++) await sockets.open(asked);
        const health = await fetch(`${relay.url}/healthz`);
        assertEquals(health.status, 200);
        await health.body?.cancel();
        const grown = await live() - before;
        // One encoded frame, and what it was made of.
        assert(
          grown < 250 * MIB,
          `50 ${readers} hold ${Math.round(grown / MIB)} MiB`,
        );
      }
      await until(
        async () => await live() - before < 10 * MIB || undefined,
        LIMIT,
        "the memory to return",
      );
    });
  }
});

/** Reads a response of which the start was not read for a while. */
async function isCut(client: RawClient, clock: FakeClock): Promise<boolean> {
  for (let look = 0; look < 12; look++) await clock.advance(TIMEOUT / 4);
  client.resume();
  const end = "\r\n0\r\n\r\n";
  const whole = await client.take(
    (received) =>
      Buffer.from(received.subarray(-end.length)).toString() === end
        ? received.length
        : undefined,
    "the end",
  );
  return whole === undefined;
}

Deno.test("A3: Relay cuts a page of which nothing is read for the slow timeout, and no other", async (t) => {
  for (
    const slowTimeout of [undefined, TIMEOUT, Infinity]
  ) {
    await t.step(String(slowTimeout), async () => {
      const clock = new FakeClock();
      await using relay = await startRelay({
        clock,
        delivery: { slowTimeout },
      });
      relay.relay.topics.create("t").append([
        { event: "message", data: LARGE.slice(0, 2 * MIB), id: "" },
      ]);
      await using client = await RawClient.connect(relay.url);
      client.pause();
      await client.send(request("/topics/t", "application/json"));
      // It is seen to stop only once the kernel takes no more.
      await new Promise((resolve) => setTimeout(resolve, 300));
      await settled();
      if (slowTimeout === undefined) {
        for (let look = 0; look < 6; look++) await clock.advance(7_500);
      }
      assertEquals(await isCut(client, clock), slowTimeout !== Infinity);
    });
  }
});

Deno.test("A3: a slow reader of one large event is not one that reads nothing", async (t) => {
  for (const door of ["WebSocket", "page"] as const) {
    await t.step(door, async () => {
      const clock = new FakeClock();
      await using relay = await startRelay({
        clock,
        delivery: { slowTimeout: TIMEOUT, heartbeat: TIMEOUT },
      });
      relay.relay.topics.create("t").append([
        { event: "message", data: LARGE, id: "" },
      ]);
      await using client = await RawClient.connect(relay.url);
      await client.send(
        door === "page"
          ? request("/topics/t", "application/json")
          : upgradeRequest("/topics/t"),
      );
      // The kernel tells of room only once there is much of it.
      for (let left = 6 * LARGE.length; left > 0;) {
        client.resume();
        const taken = await client.take(
          ({ length }) =>
            length >= Math.min(6 * MIB, left) ? length : undefined,
          "some of it",
        );
        assert(taken, "it is cut");
        left -= taken.length;
        client.pause();
        await clock.advance(TIMEOUT * 0.6);
      }
    });
  }
});

Deno.test("A3: nothing comes within a frame that is written in parts", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    delivery: { heartbeat: TIMEOUT, slowTimeout: Infinity },
  });
  const topic = relay.relay.topics.create("t");
  await using socket = await RawWebSocket.open(relay.url, "/topics/t");
  await socket.message("subscribed");
  const { client } = socket;
  client.pause();
  topic.append([{ event: "message", data: LARGE, id: "" }]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await settled();
  await socket.send(OPCODE.ping, "are you there?");
  await socket.say({ type: "heartbeat" });
  await clock.advance(TIMEOUT);
  client.resume();
  const { events } = await socket.message("events");
  assertEquals(events, [{ data: LARGE }]);

  client.pause();
  topic.append([{ event: "message", data: LARGE, id: "" }]);
  topic.append([{ event: "message", data: LARGE, id: "" }]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await settled();
  const closed = relay.relay.close();
  client.resume();
  assertEquals(await socket.closeCode(), 1012);
  await closed;
});
