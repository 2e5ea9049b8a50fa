// Streams that seem to be gone, that are gone, and that were made anew.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { JetStreamStore } from "../../../../relay/stores/jetstream/jetstream_store.ts";
import { parseNatsAddress } from "../../../../relay/stores/jetstream/nats_address.ts";
import { message, NO_FACTS } from "../../../../relay/testing/contract_world.ts";
import { StoreError } from "../../../../relay/topics/store.ts";
import { systemClock } from "../../../../src/fetch/clock.ts";
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
    const server = stack.use(await NatsServer.start({ folder }));
    const { host, port } = server;
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
