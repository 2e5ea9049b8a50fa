import { assert, assertEquals, assertRejects } from "@std/assert";
import type { SharedLog } from "../../../../relay/stores/jetstream/shared_log.ts";
import type { Work } from "../../../../relay/stores/jetstream/log_work.ts";
import { removeMessages } from "../../../../relay/stores/jetstream/remove.ts";
import type { Appended, TopicFacts } from "../../../../relay/topics/log.ts";
import { StoreError } from "../../../../relay/topics/store.ts";
import type { ServerSentEvent } from "../../../../src/sse/event.ts";
import { lacksNats } from "../../../support/nats/nats_server.ts";
import { LIMIT, until, within } from "../../../support/within.ts";
import { StreamWorld } from "../../../support/nats/stream_world.ts";

function told(facts: TopicFacts, changes?: Partial<TopicFacts>): Work {
  const result = Promise.withResolvers<Appended>();
  return {
    kind: "facts",
    facts,
    changes,
    lease: undefined,
    writer: { refused: undefined },
    result,
  };
}

/** Reads the data of all events, joined. */
async function read(log: SharedLog): Promise<string> {
  const { entries } = await log.read(1, { events: 99, bytes: 9_999 });
  return entries.map(({ event: { data } }) => data).join("");
}

const one = (data: string) => [{ event: "message", data, id: "" }];

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
    const asked = world.log({ made: made.promise });
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
    const deaf = world.log({ isDeaf: true });
    const log = world.log();
    const events = (data: string) => [{ event: "message", data, id: data }];
    const [a, b, c] = [events("a"), events("b"), events("c")];
    world.connection.next = "not answered";
    await assertRejects(() => deaf.write(appended(a)), StoreError);
    assertEquals((await deaf.write(appended(a))).first, 1);
    // An attempt was kept and not answered, and made again under the same id.
    world.connection.next = "twice";
    const kept = log.write(appended(one("0")));
    assertEquals((await within(kept, LIMIT, "a message")).first, 2);
    await deaf.catchUp();
    world.connection.next = "late";
    assertEquals((await deaf.write(appended(b))).first, 3);
    // One that hears of its message may do so before it fails to hear the answer.
    world.connection.next = "not answered";
    const third = await log.write(appended(c))
      .catch(() => log.write(appended(c)));
    assertEquals(third.first, 4);
    // Events that were refused once may be meant to be there again.
    assertEquals((await log.write(appended(a))).first, 5);
    const other = world.log();
    await other.load();
    for (const log of [deaf, other]) {
      await log.catchUp();
      assertEquals(await read(log), "a0bca");
    }
  },
});

Deno.test({
  name: "SharedLog removes what retention has passed, and keeps its facts",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const log = world.log();
    const facts = { isOpen: true, source: "a source" };
    await log.write(told(facts));
    const append = (data: string) =>
      log.write(appended([{ event: "message", data, id: "" }]));
    // One of them in several messages.
    await append("x".repeat(900_000) + "y".repeat(900_000));
    for (let count = 0; count < 250; count++) await append(String(count));
    const { manager } = world.connection.connected;
    await until(
      async () => {
        const { state } = await manager.streams.info(world.names.stream);
        return state.messages < 200 || undefined;
      },
      LIMIT,
      "messages to be removed",
    );
    const other = world.log();
    await other.load();
    const { first, next } = log.copy;
    assertEquals([other.copy.first, other.copy.next], [first, next]);
    assertEquals(other.copy.facts, facts);
    const { entries } = await other.read(first, { events: 100, bytes: 9_999 });
    assertEquals(entries.length, 100);
  },
});

Deno.test({
  name:
    "SharedLog has the newest events in memory, and fetches older ones, in parts too",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const retention = { maxEvents: 9_999, maxBytes: 99e6, maxAge: 1_000_000 };
    const log = world.log({ retention });
    const other = world.log({ retention });
    await other.load();
    // Three messages for each of some, of NATS' own 1 MiB.
    const sizes = Array.from(
      { length: 80 },
      (_, index) => index % 50 === 7 ? 2_500_000 : 20_000 + index,
    );
    for (const size of sizes) {
      const data = String(size).padEnd(size, "x");
      await log.write(appended([{ event: "message", data, id: "" }]));
    }
    await other.catchUp();
    // Each log has 256 KiB, and a single event however large it is.
    assert(world.windows.bytes < 2 * 320_000, `${world.windows.bytes}`);
    const late = world.log({ retention });
    await late.load();
    assert(world.windows.bytes < 3 * 320_000, `${world.windows.bytes}`);
    for (const one of [log, other, late]) {
      const read: number[] = [];
      while (read.length < sizes.length) {
        const at = read.length + 1;
        const range = await one.read(at, { events: 50, bytes: 99_999 });
        assertEquals(range.offset, at);
        for (const { event, size } of range.entries) {
          assertEquals(size, event.data.length + "message".length);
          read.push(Number(event.data.replaceAll("x", "")));
        }
      }
      assertEquals(read, sizes);
      one.letGo();
    }
    assertEquals(world.windows.bytes, 0);
  },
});

Deno.test({
  name: "SharedLog goes on behind what another relay has removed",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const retention = { maxEvents: 9_999, maxBytes: 99e6, maxAge: 1_000_000 };
    const log = world.log({ retention });
    const data = "x".repeat(10_000);
    for (let count = 0; count < 100; count++) {
      await log.write(appended([{ event: "message", data, id: "" }]));
    }
    const { connection, names } = world;
    const removed = Array.from({ length: 30 }, (_, index) => index + 1);
    await removeMessages(connection, names.stream, removed);
    const { offset, entries } = await log.read(5, { events: 1, bytes: 1 });
    assertEquals([offset, entries.length, log.copy.first], [31, 1, 31]);
  },
});

Deno.test({
  name:
    "SharedLog sees a hole in what it is told, and reads what it has missed",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const log = world.log();
    const deaf = world.log({ isDeaf: true });
    const events = (data: string) => [{ event: "message", data, id: data }];
    await log.write(appended(events("a")));
    await deaf.load();
    for (const data of "bc") await log.write(appended(events(data)));
    // It is told of the third one, whose predecessor is the second.
    await world.tell(deaf, 3);
    await deaf.catchUp();
    assertEquals([deaf.next, world.missed], [4, 1]);
    const { entries } = await deaf.read(1, { events: 9, bytes: 999 });
    assertEquals(entries.map(({ event: { data } }) => data).join(""), "abc");
  },
});

Deno.test({
  name: "SharedLog is written by two relays at once without a void message",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const logs = [world.log(), world.log()];
    await Promise.all(logs.map(async (log, index) => {
      for (let count = 0; count < 10; count++) {
        await log.write(appended(one("ab"[index]!)));
      }
    }));
    // The server has refused what came second: each follows the one before.
    let place = 0;
    for (const { seq, header } of await world.messages()) {
      assertEquals(JSON.parse(header).after, place);
      place = seq;
    }
    for (const log of logs) await log.catchUp();
    const [all] = await Promise.all(logs.map(read));
    assertEquals([all?.replaceAll("b", "").length, all?.length], [10, 20]);
  },
});

Deno.test({
  name: "SharedLog leaves out a message that follows an older one",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const log = world.log();
    await log.write(appended(one("a")));
    await log.write(appended(one("b")));
    const [first] = await world.messages();
    // As a server keeps it that has lost count.
    const { header } = (await world.messages())[1]!; // two were written
    assertEquals(JSON.parse(header).after, first?.seq);
    await world.put(header, JSON.stringify([["void", "message", ""]]));
    await log.write(appended(one("c")));
    const other = world.log();
    await other.load();
    for (const one of [log, other]) assertEquals(await read(one), "abc");
    // Read from the stream, and not from memory.
    const late = world.log();
    await late.load();
    late.window.clear();
    assertEquals(await read(late), "abc");
  },
});

Deno.test({
  name: "SharedLog is told of messages again, and late, and takes each once",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const log = world.log();
    const deaf = world.log({ isDeaf: true });
    await deaf.load();
    for (const data of "abc") await log.write(appended(one(data)));
    for (const seq of [1, 1, 2, 1, 3, 2, 3]) await world.tell(deaf, seq);
    assertEquals([deaf.next, world.missed], [4, 0]);
    assertEquals(await read(deaf), "abc");
  },
});

Deno.test({
  name: "SharedLog catches up with a log that is never at rest",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const log = world.log();
    await log.write(appended(one("a")));
    const deaf = world.log({ isDeaf: true });
    await deaf.load();
    // Each time that it reads, it is told of more, which does not follow what it has.
    let written = 1;
    let isOver = false;
    world.connection.onRead = async () => {
      if (isOver || written >= 100) return;
      for (let count = 0; count < 2; count++) {
        await log.write(appended(one("b")));
      }
      written += 2;
      await world.tell(deaf, written);
    };
    await log.write(appended(one("b")));
    written++;
    await within(deaf.catchUp(), LIMIT, "what there was");
    assert(deaf.next > 2 && written < 20, `${deaf.next}, ${written}`);
    isOver = true;
    await until(
      async () => {
        await deaf.catchUp();
        return deaf.next === log.next || undefined;
      },
      LIMIT,
      "the rest",
    );
  },
});

Deno.test({
  name: "SharedLog leaves out a part of a message that follows an older one",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const log = world.log();
    await log.write(appended(one("a")));
    const [{ seq = 0, header = "" } = {}] = await world.messages();
    const deed = JSON.parse(header);
    const part = JSON.stringify({ v: 1, after: seq, part: "id" });
    await world.put(part, '[["b","mess');
    // Void, as the first part follows the same message.
    await world.put(part, '[["z","mess');
    const whole = { ...deed, after: seq + 1, at: 2, count: 1, parts: 1 };
    await world.put(JSON.stringify(whole), 'age",""]]');
    await log.catchUp();
    assertEquals(await read(log), "ab");
    log.window.clear();
    assertEquals(await read(log), "ab");
  },
});

Deno.test({
  name:
    "SharedLog waits for the end that a new leader of NATS does not have yet",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const log = world.log();
    await log.write(appended(one("a")));
    const end = { status: "complete", isWhole: true, at: 1 } as const;
    const facts = { isOpen: true };
    const late = world.log({
      summary: { first: 1, next: 3, bytes: 2, end, facts },
    });
    let text: string | undefined;
    const reading = read(late).then((all) => text = all);
    for (let count = 0; count < 20; count++) await log.catchUp();
    // Its first event is there, and is not all.
    assertEquals(text, undefined);
    await log.write(appended(one("b")));
    const result = Promise.withResolvers<Appended>();
    const writer = { refused: undefined };
    await log.write({ kind: "end", end, lease: undefined, writer, result });
    assertEquals(await within(reading, LIMIT, "the log"), "ab");
    assertEquals(late.copy.ended, end);
  },
});

Deno.test({
  name: "SharedLog is read that a relay has made which knew an older stream",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    await world.log().write(appended(one("a")));
    assertEquals(await read(world.log({ since: 1_000 })), "a");
  },
});

Deno.test({
  name: "SharedLog keeps the facts that another relay has changed meanwhile",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const log = world.log();
    await log.write(told({ isOpen: true, source: "a run", filling: "lost" }));
    // It has not heard of that.
    const deaf = world.log({ isDeaf: true });
    const stale = { isOpen: false, owner: "ann" };
    await deaf.write(told(stale, { owner: "ann", isAwaited: undefined }));
    await deaf.write(told(stale, { source: "a file" }));
    await log.catchUp();
    const facts = { isOpen: true, filling: "lost", owner: "ann" };
    assertEquals(log.copy.facts, { ...facts, source: "a file" });
  },
});
