// A disk that the kernel lets nobody write to any more, below a relay that runs.
import { assert, assertEquals } from "@std/assert";
import { readEvents } from "../../../src/sse/read_events.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { CANNOT_FAIL, FailingDisk } from "../../support/relay/failing_disk.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { LIMIT, until } from "../../support/within.ts";

async function publish(
  relay: TestRelay,
  data: string,
): Promise<readonly [number, { failure?: string; epoch: string }]> {
  const response = await relay.request("/topics/t", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ data }),
  });
  return [response.status, await response.json()];
}

async function isReady(relay: TestRelay): Promise<boolean> {
  const response = await relay.request("/readyz");
  await response.body?.cancel();
  return response.ok;
}

/** The data of the events that a subscriber is sent, as they come. */
async function* dataOf(relay: TestRelay, path: string): AsyncGenerator<string> {
  const { body } = await relay.request(path);
  assert(body);
  for await (const { event, data } of readEvents(body)) {
    if (!event.startsWith("rivulet.")) yield data;
  }
}

async function firstData(
  relay: TestRelay,
  path: string,
): Promise<string | undefined> {
  for await (const data of dataOf(relay, path)) return data;
  return undefined;
}

Deno.test(
  "A relay whose disk can only be read serves what it has, refuses more, and loses nothing",
  {
    ignore: CANNOT_FAIL,
  },
  async () => {
    await using folder = new TemporaryFolder();
    using disk = FailingDisk.mount(folder.path);
    if (!disk) return;
    const store = `sqlite:${disk.path}/topics.db`;
    const first = 'data: {"n":1}\n\n';
    const rest = 'data: {"n":2}\n\ndata: [DONE]\n\n';
    let position: string;
    const shown: string[] = [];
    let follower: Promise<void>;
    {
      await using world = await startGateway({ store });
      const [, { epoch }] = await publish(world, "kept");
      position = `${epoch}:1`;
      follower = (async () => {
        for await (const data of dataOf(world, "/topics/t")) shown.push(data);
      })();
      await until(() => shown[0], LIMIT, "the first event");
      const run = await world.begin({ headers: { "rivulet-topic": "run" } });
      await run.exchange.stream(first);
      const caller = await run.answer;
      await caller.see(first);
      assert(await isReady(world));

      disk.fail();
      const [status, { failure }] = await publish(world, "lost");
      assertEquals([status, failure], [507, "io"]);
      assert(!await isReady(world));
      // The run goes on for the one who pays for it.
      await run.exchange.write(rest);
      await run.exchange.end();
      assert((await caller.rest()).text.endsWith(rest));
      assertEquals((await world.ended("run")).status, "truncated");
      assertEquals(await firstData(world, "/topics/t"), "kept");
    }
    await follower;
    // Nobody was shown what is not kept.
    assertEquals(shown, ["kept"]);
    disk.repair();
    await using relay = await startRelay({ store });
    const [status, { epoch }] = await publish(relay, "more");
    assertEquals([status, `${epoch}:1`], [200, position]);
    assertEquals(await firstData(relay, `/topics/t?after=${position}`), "more");
  },
);
