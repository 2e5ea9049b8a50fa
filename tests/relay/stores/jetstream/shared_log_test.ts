import { assertEquals, assertRejects } from "@std/assert";
import type { Work } from "../../../../relay/stores/jetstream/log_work.ts";
import type { Appended, TopicFacts } from "../../../../relay/topics/log.ts";
import { StoreError } from "../../../../relay/topics/store.ts";
import type { ServerSentEvent } from "../../../../src/sse/event.ts";
import { lacksNats } from "../../../support/nats/nats_server.ts";
import { StreamWorld } from "../../../support/nats/stream_world.ts";

function told(facts: TopicFacts): Work {
  const result = Promise.withResolvers<Appended>();
  return { kind: "facts", facts, writer: { refused: undefined }, result };
}

function appended(events: readonly ServerSentEvent[]): Work {
  return {
    kind: "append",
    events,
    bytes: 1,
    expected: undefined,
    publication: undefined,
    lease: undefined,
    writer: { refused: undefined },
    result: Promise.withResolvers<Appended>(),
  };
}

Deno.test({
  name:
    "SharedLog leaves the facts of a relay that wrote before its first message",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const made = Promise.withResolvers<void>();
    const asked = world.log(made.promise);
    asked.begin();
    const filled = world.log();
    const facts = { isOpen: true, source: "a run", filling: "lost" };
    await filled.write(told(facts));
    made.resolve();
    await asked.settled();
    await filled.catchUp();
    assertEquals(asked.copy.facts, facts);
    assertEquals(filled.copy.facts, facts);
  },
});

Deno.test({
  name:
    "SharedLog adds events once whose message was not answered, or was late",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const log = world.log();
    const events = (data: string) => [{ event: "message", data, id: data }];
    const [a, b, c] = [events("a"), events("b"), events("c")];
    world.connection.next = "not answered";
    await assertRejects(() => log.write(appended(a)), StoreError);
    assertEquals((await log.write(appended(a))).first, 1);
    world.connection.next = "late";
    assertEquals((await log.write(appended(b))).first, 2);
    assertEquals((await log.write(appended(c))).first, 3);
    // Events that were refused once may be meant to be there again.
    assertEquals((await log.write(appended(a))).first, 4);
    const other = world.log();
    await other.load();
    for (const { copy } of [log, other]) {
      const { entries } = copy.read(1, { events: 9, bytes: 999 });
      assertEquals(entries.map(({ event: { data } }) => data).join(""), "abca");
    }
  },
});
