// A relay that is nearly out of memory says so, and lives.
import { assert, assertEquals } from "@std/assert";
import type { RelayMemory } from "../../../../relay/options/relay_options.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { upgradeRequest } from "../../../support/http/upgrade_request.ts";
import { LogCapture } from "../../../support/observing/log_capture.ts";
import { Bystanders } from "../../../support/relay/bystanders.ts";
import { RelayProcess } from "../../../support/relay/relay_process.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { stalledSockets } from "../../../support/relay/stalled_sockets.ts";
import {
  RawClient,
  RawWebSocket,
  requestUpgrade,
} from "../../../support/subscribers/raw_websocket.ts";
import { until } from "../../../support/within.ts";

const MIB = 1024 ** 2;

/** More than the memory holds the events of. */
const TOPICS = 14;

class FakeMemory implements RelayMemory {
  resident = 100;
  heap = 0;
  collections = 0;
  /** The bytes that are garbage. */
  garbage = 0;

  read(): ReturnType<RelayMemory["read"]> {
    return { resident: this.resident, heap: this.heap, heapLimit: 1_000 };
  }
  collect(): void {
    this.collections++;
    this.resident -= this.garbage;
    this.garbage = 0;
  }
}

Deno.test("A3: Relay refuses new work at the edge of its memory, and says so everywhere", async () => {
  const clock = new FakeClock();
  const memory = new FakeMemory();
  await using log = await LogCapture.start();
  await using relay = await startRelay({
    clock,
    memory,
    limits: { maxMemory: 1_000, maxQueued: MIB },
    delivery: { slowTimeout: Infinity, heartbeat: 1_000_000 },
    gateway: { providers: [{ name: "p", url: "http://127.0.0.1:9/v1" }] },
  });
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.message("welcome");
  relay.relay.topics.create("t");
  const metric = async (name: string): Promise<string | undefined> => {
    const text = await (await relay.request("/metrics")).text();
    return text.split("\n").find((line) => line.startsWith(`${name} `))
      ?.slice(name.length + 1);
  };
  const json = { "Content-Type": "application/json" };
  const asked: Readonly<Record<string, () => Promise<Response>>> = {
    "a publication": () =>
      relay.request("/topics/t", {
        method: "POST",
        headers: json,
        body: '{"data":"a"}',
      }),
    "a topic": () => relay.request("/topics/new", { method: "PUT" }),
    "an event stream": () =>
      relay.request("/topics/t", { headers: { Accept: "text/event-stream" } }),
    "a run": () =>
      relay.request("/v1/chat/completions", {
        method: "POST",
        headers: json,
        body: '{"stream":true}',
      }),
    "/readyz": () => relay.request("/readyz"),
  };

  memory.resident = 899;
  await clock.advance(1_000);
  assertEquals((await (await asked["/readyz"]!()).json()).status, "ok");
  assertEquals(await metric("rivulet_out_of_memory"), "0");

  // Garbage is no reason to refuse anything.
  memory.resident = 950;
  memory.garbage = 500;
  await clock.advance(1_000);
  assertEquals(memory.collections, 1);
  assertEquals((await (await asked["/readyz"]!()).json()).status, "ok");

  for (
    const edge of [{ resident: 950, heap: 0 }, { resident: 100, heap: 950 }]
  ) {
    Object.assign(memory, edge);
    await clock.advance(1_000);
    for (const [what, ask] of Object.entries(asked)) {
      const response = await ask();
      const { code } = await response.json();
      assertEquals(
        [response.status, code, response.headers.get("retry-after")],
        [503, "out_of_memory", "5"],
        what,
      );
    }
    await using client = await RawClient.connect(relay.url);
    const { status, body } = await requestUpgrade(client, "/topics/t");
    assertEquals([status, JSON.parse(body).code], [503, "out_of_memory"]);
    for (
      const message of [
        { type: "subscribe", topic: "u" },
        { type: "publish", topic: "t", events: [{ data: "a" }], id: "1" },
      ]
    ) {
      await socket.say(message);
      const { code, retryable } = await socket.message("error");
      assertEquals([code, retryable], ["out_of_memory", true]);
    }
    // Existing topics go on, and can be looked at and deleted.
    assertEquals((await (await relay.request("/healthz")).json()).status, "ok");
    assertEquals(
      (await (await relay.request("/topics/t", {
        headers: { Accept: "application/json" },
      })).json()).state,
      edge.heap === 0 ? "pending" : "open",
    );
    assertEquals(await metric("rivulet_out_of_memory"), "1");

    Object.assign(memory, { resident: 850, heap: 0 });
    await clock.advance(1_000);
    assertEquals(
      (await (await asked["/readyz"]!()).json()).code,
      "out_of_memory",
      "it does not flap",
    );
    memory.resident = 799;
    await clock.advance(1_000);
    assertEquals(
      (await (await asked["a publication"]!()).json()).epoch !== undefined,
      true,
    );
  }
  const said = log.lines.filter((line) => /^memory /i.test(line));
  assertEquals(said.map((line) => line.split(",")[0]), [
    "Memory is nearly used up",
    "Memory is available again",
    "Memory is nearly used up",
    "Memory is available again",
  ]);
  assertEquals(
    await metric('rivulet_refusals_total{reason="out_of_memory"}') !== "0",
    true,
  );
});

Deno.test("A3: a relay with little memory lives with 50 subscribers that stop within 16 MiB each", async () => {
  const max = 320 * MIB;
  await using relay = await RelayProcess.start({
    limits: { maxMemory: max },
    retention: { endedTtl: 1_000 },
    delivery: { slowTimeout: 3_600_000 },
  });
  await using bystanders = await Bystanders.open(relay.url);
  await bystanders.check("the start");
  const { port } = new URL(relay.url);
  const live = async (): Promise<number> => {
    const { heapUsed, external } = await relay.memory();
    return heapUsed + external;
  };
  const before = await live();
  const refusals: number[] = [];
  let most = 0;
  {
    using sockets = stalledSockets(Number(port));
    for (let topic = 0; topic < TOPICS; topic++) {
      const target = `/topics/big-${topic}`;
      // Those of one topic share a frame; those of different topics share nothing.
      for (let subscriber = 0; subscriber < 5; subscriber++) {
        await sockets.open(upgradeRequest(target));
      }
      const response = await fetch(`${relay.url}${target}`, {
        method: "POST",
        headers: { "Content-Type": "text/plain", Connection: "close" },
        body: "x".repeat(16 * MIB - 7),
      });
      await response.body?.cancel();
      if (response.status !== 200) refusals.push(response.status);
      const metrics = await (await fetch(`${relay.url}/metrics`)).text();
      most = Math.max(
        most,
        Number(/^process_resident_memory_bytes (.*)$/m.exec(metrics)?.[1]),
      );
    }
    const health = await fetch(`${relay.url}/healthz`);
    assertEquals((await health.json()).status, "ok");
  }
  console.log(
    `at most ${Math.round(most / MIB)} MiB, ${refusals.length} refusals`,
  );
  // A body, its event and the frame are made of each other within a turn.
  assert(most < max * 1.5, `${most / MIB} MiB`);
  assert(refusals.length > 0, "it comes to its edge");
  assert(refusals.every((status) => status === 503));
  for (let topic = 0; topic < TOPICS; topic++) {
    const deleted = await fetch(`${relay.url}/topics/big-${topic}`, {
      method: "DELETE",
    });
    await deleted.body?.cancel();
  }
  // Not what is resident: how much of it the allocator gives back to the system, and
  // when, is its own affair, and depends on the load of the machine. What counts of
  // it is that the relay leaves the edge, below.
  let grown = Infinity;
  await until(
    async () => {
      grown = await live() - before;
      return grown < 16 * MIB || undefined;
    },
    60_000,
    () => `the memory to return: ${Math.round(grown / MIB)} MiB are kept`,
  );
  await until(
    async () => {
      const response = await fetch(`${relay.url}/readyz`);
      await response.body?.cancel();
      return response.status === 200 || undefined;
    },
    60_000,
    "the relay to be ready again",
  );
  await bystanders.check("all of that");
});
