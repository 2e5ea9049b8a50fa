import { assertEquals } from "@std/assert";

import { Connection } from "../../../../relay/stores/jetstream/connection.ts";
import type { Work } from "../../../../relay/stores/jetstream/log_work.ts";
import { namesOf } from "../../../../relay/stores/jetstream/names.ts";
import { parseNatsAddress } from "../../../../relay/stores/jetstream/nats_address.ts";
import type { RecordedLog } from "../../../../relay/stores/jetstream/record.ts";
import { SharedLog } from "../../../../relay/stores/jetstream/shared_log.ts";
import { prepareStreams } from "../../../../relay/stores/jetstream/streams.ts";
import type { Appended, TopicFacts } from "../../../../relay/topics/log.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";

function told(facts: TopicFacts): Work {
  const result = Promise.withResolvers<Appended>();
  return { kind: "facts", facts, writer: { refused: undefined }, result };
}

Deno.test({
  name:
    "SharedLog leaves the facts of a relay that wrote before its first message",
  ignore: lacksNats(),
  async fn() {
    await using server = await NatsServer.start();
    const address = parseNatsAddress(`nats://${server.host}`)!; // it is an address
    const names = namesOf(address.prefix);
    await using connection = new Connection(address, {
      prepare: (connected) => prepareStreams(connected, names, address),
      onConnect: () => {},
      onReconnect: () => {},
    });
    await connection.open();
    const store = {
      connection,
      stream: names.stream,
      retention: { maxEvents: 100, maxBytes: 1_000_000, maxAge: 1_000_000 },
      clock: new FakeClock(1_000_000),
      onEnded: () => {},
      onPlace: () => {},
    };
    const recorded: RecordedLog = {
      epoch: "abcdefghijkl",
      createdAt: 1_000_000,
      since: 0,
      facts: { isOpen: false, isAwaited: true },
    };
    const subject = names.log("t", recorded.epoch);
    const made = Promise.withResolvers<void>();
    const asked = new SharedLog(store, "t", subject, recorded, made.promise);
    asked.begin();
    const filled = new SharedLog(store, "t", subject, recorded);
    const facts = { isOpen: true, source: "a run", filling: "lost" };
    await filled.write(told(facts));
    made.resolve();
    await asked.settled();
    await filled.catchUp();
    assertEquals(asked.copy.facts, facts);
    assertEquals(filled.copy.facts, facts);
  },
});
