import { assertEquals, assertRejects } from "@std/assert";

import {
  type Connected,
  Connection,
} from "../../../../relay/stores/jetstream/connection.ts";
import { isWrongSequence } from "../../../../relay/stores/jetstream/failures.ts";
import type { Work } from "../../../../relay/stores/jetstream/log_work.ts";
import { namesOf } from "../../../../relay/stores/jetstream/names.ts";
import { parseNatsAddress } from "../../../../relay/stores/jetstream/nats_address.ts";
import type { RecordedLog } from "../../../../relay/stores/jetstream/record.ts";
import { SharedLog } from "../../../../relay/stores/jetstream/shared_log.ts";
import { prepareStreams } from "../../../../relay/stores/jetstream/streams.ts";
import type { Appended, TopicFacts } from "../../../../relay/topics/log.ts";
import { StoreError } from "../../../../relay/topics/store.ts";
import type { ServerSentEvent } from "../../../../src/sse/event.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";

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

type Ask = <T>(
  what: (connected: Connected) => Promise<T>,
  options?: Parameters<Connection["ask"]>[1],
) => Promise<T>;

/** A connection over which messages may be lost and late. */
class PoorConnection extends Connection {
  /** What becomes of the next message that is written. */
  next: "heard" | "not answered" | "late" = "heard";
  #late: (() => Promise<unknown>) | undefined;

  override ask: Ask = async (what, options) => {
    if (options?.passes !== isWrongSequence) {
      return await super.ask(what, options);
    }
    const { next } = this;
    this.next = "heard";
    switch (next) {
      case "late":
        this.#late = () => super.ask(what, options);
        // As the server says of one that it has seen, and not stored yet.
        return undefined as Awaited<ReturnType<typeof what>>;
      case "not answered":
        await super.ask(what, options);
        throw new StoreError("away", "No answer");
      case "heard":
        await this.#late?.();
        this.#late = undefined;
        return await super.ask(what, options);
    }
  };
}

/** A server with the streams of a relay, and logs in it. */
class World implements AsyncDisposable {
  readonly connection: PoorConnection;
  readonly #server: NatsServer;
  readonly #names = namesOf("rivulet");
  readonly #recorded: RecordedLog = {
    epoch: "abcdefghijkl",
    createdAt: 1_000_000,
    since: 0,
    facts: { isOpen: false, isAwaited: true },
  };

  private constructor(server: NatsServer) {
    this.#server = server;
    const address = parseNatsAddress(`nats://${server.host}`)!; // it is an address
    this.connection = new PoorConnection(address, {
      prepare: (connected) => prepareStreams(connected, this.#names, address),
      onConnect: () => {},
      onReconnect: () => {},
    });
  }

  static async start(): Promise<World> {
    const world = new World(await NatsServer.start());
    await world.connection.open();
    return world;
  }

  /** Takes up the log, as another relay each time. */
  log(made?: Promise<void>): SharedLog {
    const store = {
      connection: this.connection,
      stream: this.#names.stream,
      retention: { maxEvents: 100, maxBytes: 1_000_000, maxAge: 1_000_000 },
      clock: new FakeClock(1_000_000),
      onEnded: () => {},
      onPlace: () => {},
    };
    const subject = this.#names.log("t", this.#recorded.epoch);
    return new SharedLog(store, "t", subject, this.#recorded, made);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}

Deno.test({
  name:
    "SharedLog leaves the facts of a relay that wrote before its first message",
  ignore: lacksNats(),
  async fn() {
    await using world = await World.start();
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
    await using world = await World.start();
    const log = world.log();
    const events = (data: string) => [{ event: "message", data, id: data }];
    const [a, b, c] = [events("a"), events("b"), events("c")];
    world.connection.next = "not answered";
    await assertRejects(() => log.write(appended(a)), StoreError);
    assertEquals((await log.write(appended(a))).first, 1);
    world.connection.next = "late";
    assertEquals((await log.write(appended(b))).first, 2);
    assertEquals((await log.write(appended(c))).first, 3);
    // What was refused once may be meant to be there again.
    assertEquals((await log.write(appended(a))).first, 4);
    const other = world.log();
    await other.load();
    for (const { copy } of [log, other]) {
      const { entries } = copy.read(1, { events: 9, bytes: 999 });
      assertEquals(entries.map(({ event: { data } }) => data).join(""), "abca");
    }
  },
});
