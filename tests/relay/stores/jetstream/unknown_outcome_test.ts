// A publication of which its relay does not know whether NATS has kept it, and that is
// repeated at another relay, or at one that was restarted: its events are there once.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { JetStreamStore } from "../../../../relay/stores/jetstream/jetstream_store.ts";
import { parseNatsAddress } from "../../../../relay/stores/jetstream/nats_address.ts";
import { message, NO_FACTS } from "../../../../relay/testing/contract_world.ts";
import { StoreError } from "../../../../relay/topics/store.ts";
import { systemClock } from "../../../../src/fetch/clock.ts";
import { Line } from "../../../cluster/line.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../../support/within.ts";

/** The bodies of a publication. */
const BODIES = {
  "application/json": JSON.stringify([{ data: "b" }, { data: "c" }]),
  "text/event-stream": "data: b\n\ndata: c\n\n",
} as const;

async function post(
  { request }: TestRelay,
  key: string,
  [type, body]: readonly [string, string],
) {
  const response = await request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": type, "Idempotency-Key": key },
    body,
  });
  const { status } = response;
  return { status, body: await response.text() };
}

async function eventsOf({ request }: TestRelay): Promise<string> {
  const page = await request("/topics/t", {
    headers: { Accept: "application/json" },
  });
  const { events } = await page.json();
  return events.map(({ data }: { readonly data: string }) => data).join("");
}

/** Repeats a publication until it is answered with its place. */
function repeat(
  relay: TestRelay,
  ...what: [string, readonly [string, string]]
) {
  return until(
    async () => {
      const { status, body } = await post(relay, ...what);
      return status === 200 ? JSON.parse(body) : undefined;
    },
    LIMIT,
    "the publication to be answered",
  );
}

/** Makes a store that gives NATS up soon. */
function impatient(port: number): JetStreamStore {
  return new JetStreamStore({
    address: parseNatsAddress(`nats://127.0.0.1:${port}`)!, // it is an address
    retention: { maxEvents: 99, maxBytes: 1_000_000, maxAge: 1_000_000 },
    clock: systemClock,
    patience: 500,
  });
}

/** The time that a message takes each way, so that no answer is waited for long enough, in milliseconds. */
const TOO_LONG = 1_200;

Deno.test({
  name: "A topic whose making was not answered can be used by its relay",
  ignore: lacksNats(),
  async fn() {
    await using server = await NatsServer.start();
    await using line = await Line.start(() => [server.port]);
    await using store = impatient(line.port);
    await store.open();
    line.delay = TOO_LONG;
    using made = store.create("t", NO_FACTS);
    await assertRejects(async () => await made.settled(), StoreError);
    line.delay = 0;
    // Messages that were sent before are late still.
    const prepare = async (): Promise<true | undefined> => {
      try {
        await store.prepare("t", { isFresh: true });
        return true;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        return undefined;
      }
    };
    await within(until(prepare, LIMIT, "NATS"), LIMIT, "the topic");
    using log = store.find("t");
    assert(log);
    assertEquals(log.epoch, made.epoch);
    await log.append([message("a")]);
    assertEquals(log.next, 2);
  },
});

for (const body of Object.entries(BODIES)) {
  for (const where of ["another relay", "another relay, later", "a restart"]) {
    Deno.test({
      name: `A publication of ${
        body[0]
      } that was not answered is kept once, repeated at ${where}`,
      ignore: lacksNats(),
      async fn() {
        await using server = await NatsServer.start();
        await using line = await Line.start(() => [server.port]);
        const store = impatient(line.port);
        await using stack = new AsyncDisposableStack();
        const relay = stack.use(await startRelay({ store }));
        const start = () => startRelay({ store: `nats://${server.host}` });
        const other = stack.use(await start());
        await repeat(relay, "1", ["application/json", '{"data":"a"}']);
        assertEquals(await eventsOf(other), "a");
        const first = repeat(relay, "2", body);
        // Its message has been written, and takes longer than an answer is waited for.
        line.delay = TOO_LONG;
        const place = where === "another relay"
          ? await repeat(other, "2", body)
          : undefined;
        line.delay = 0;
        const { first: at } = await first;
        assertEquals(at, 2);
        if (place) assertEquals(place.first, 2);
        const again = where === "a restart" ? stack.use(await start()) : other;
        assertEquals((await repeat(again, "2", body)).first, 2);
        for (const one of [relay, other, again]) {
          assertEquals(await eventsOf(one), "abc");
        }
      },
    });
  }
}
