// Streams that seem to be gone, that are gone, and that were made anew.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { JetStreamStore } from "../../../../relay/stores/jetstream/jetstream_store.ts";
import { parseNatsAddress } from "../../../../relay/stores/jetstream/nats_address.ts";
import type { Connected } from "../../../../relay/stores/jetstream/connection.ts";
import { verifyStreams } from "../../../../relay/stores/jetstream/streams.ts";
import { message, NO_FACTS } from "../../../../relay/testing/contract_world.ts";
import { StoreError } from "../../../../relay/topics/store.ts";
import { systemClock } from "../../../../src/fetch/clock.ts";
import { freePort } from "../../../support/http/free_port.ts";
import { openStore } from "../../../support/nats/open_store.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { StreamWorld } from "../../../support/nats/stream_world.ts";
import { LIMIT, until } from "../../../support/within.ts";

const ignore = lacksNats();

Deno.test({
  name: "Connection asks again for a stream that a server does not know yet",
  ignore,
  async fn() {
    await using world = await StreamWorld.start();
    const { connection } = world;
    let attempts = 0;
    const found = await connection.ask(({ manager }) =>
      manager.streams.info(++attempts < 3 ? "not-yet" : world.names.stream)
    );
    assertEquals([found.config.name, attempts], [world.names.stream, 3]);
    assertEquals(connection.failure, undefined);
  },
});

Deno.test({
  name:
    "JetStreamStore says that NATS has lost its streams, and does not go on in others",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "rivulet-nats-" });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const port = freePort();
    const server = stack.use(await NatsServer.start({ folder, port }));
    const { host } = server;
    await using store = new JetStreamStore({
      address: parseNatsAddress(`nats://${host}`)!, // it is an address
      retention: { maxEvents: 100, maxBytes: 1_000_000, maxAge: 1_000_000 },
      clock: systemClock,
      patience: 500,
    });
    await store.open();
    using log = store.create("t", NO_FACTS);
    for (const data of ["a", "b", "c"]) await log.append([message(data)]);
    await server.kill();
    await Deno.remove(`${folder}/jetstream`, { recursive: true });
    stack.use(await NatsServer.start({ port }));
    const says = (part: string) =>
      until(
        () => store.failure?.message.includes(part) || undefined,
        LIMIT,
        () => `'${part}': it says ${store.failure?.message}`,
      );
    await says("it was deleted");
    await using other = await openStore(host);
    using made = other.create("u", NO_FACTS);
    await made.append([message("x")]);
    await says("made anew: restart this relay");
    for (const name of ["t", "u"]) {
      const error = await assertRejects(
        async () => {
          using again = name === "t" ? log : store.create(name, NO_FACTS);
          await again.append([message("d")]);
        },
        StoreError,
      );
      assert(error.message.includes("made anew"), error.message);
    }
    assertEquals(made.next, 2);
  },
});

Deno.test({
  name:
    "verifyStreams lets relays make a stream together, and knows one made anew",
  async fn() {
    const at = (seconds: number) => `2026-11-30T01:02:0${seconds}.093431645Z`;
    let stream = { created: at(1), state: { last_seq: 0 } };
    const connected = {
      manager: { streams: { info: () => Promise.resolve(stream) } },
    } as unknown as Connected; // it asks for no more
    const made = new Map([["logs", at(1)]]);
    const logs = { name: "logs", place: 0 };
    // Another relay has asked for it a moment later.
    stream = { created: at(2), state: { last_seq: 0 } };
    await verifyStreams(connected, made, logs);
    assertEquals(made.get("logs"), at(2));
    // NATS is about to make it, and does not say yet when that was.
    const unmade = "0001-01-01T00:00:00Z";
    stream = { created: unmade, state: { last_seq: 0 } };
    await verifyStreams(connected, made, logs);
    assertEquals(made.get("logs"), at(2));
    const early = new Map([["logs", unmade]]);
    stream = { created: at(2), state: { last_seq: 0 } };
    await verifyStreams(connected, early, logs);
    assertEquals(early.get("logs"), at(2));
    stream = { created: at(3), state: { last_seq: 4 } };
    await assertRejects(
      () => verifyStreams(connected, made, { ...logs, place: 5 }),
      StoreError,
    );
    stream = { created: "2026-11-30T01:03:00Z", state: { last_seq: 9 } };
    await assertRejects(
      () => verifyStreams(connected, made, { ...logs, place: 5 }),
      StoreError,
    );
  },
});
