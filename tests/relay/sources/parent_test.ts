// A relay behind a relay behind a relay: the end of the first is the end of all, word
// for word, and what one misses is a gap in all that follow it (field.md C5).
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { assertEquals } from "@std/assert";
import { readEvents } from "../../../src/sse/read_events.ts";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { END_STATUSES } from "../../../relay/topics/end.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import {
  type OpenRelay,
  startRelay,
  type TestRelay,
} from "../../support/relay/relay.ts";
import {
  ReconnectingUpstream,
} from "../../support/upstreams/reconnecting_upstream.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const FAST = { minTimeout: 2, maxTimeout: 5 };

type Topic = NonNullable<ReturnType<OpenRelay["topics"]["get"]>>;

function topicOf({ relay }: TestRelay): Topic {
  const topic = relay.topics.get("t");
  if (!topic) throw new Error("There is no topic 't'");
  return topic;
}

function add(topic: Topic, letters: string, event = "message"): void {
  void topic.append([...letters].map((data) => ({ event, data, id: "" })));
}

function startBehind(
  url: string,
  source: Partial<NonNullable<RelayOptions["sources"]>[number]> = {},
  options: RelayOptions = {},
): Promise<TestRelay> {
  return startRelay({
    ...options,
    sources: [{ name: "t", url, reconnect: FAST, ...source }],
  });
}

async function has(relay: TestRelay, next: number): Promise<void> {
  const { log } = topicOf(relay);
  await until(
    () => log.next >= next || undefined,
    LIMIT,
    () => `event ${next - 1}: the next one is ${log.next}`,
  );
}

async function end(relay: TestRelay): Promise<unknown> {
  return await within(topicOf(relay).ended, LIMIT, "the end");
}

/**
 * Returns the messages that a WebSocket's subscriber of an ended topic
 * receives.
 */
async function told(relay: TestRelay, query = ""): Promise<unknown[]> {
  const url = `${relay.url.replace("http", "ws")}/topics/t${query}`;
  const socket = new WebSocket(url);
  const messages: unknown[] = [];
  const closed = Promise.withResolvers<void>();
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    switch (message.type) {
      case "events": {
        const { offset, events } = message;
        return messages.push(
          ...events.map((event: { data: string; event?: string }, at: number) =>
            `${offset + at} ${event.event ?? ""}${event.data}`
          ),
        );
      }
      case "gap":
        return messages.push(
          `${message.from}-${message.to} ${message.reason}`,
        );
      case "end":
        return messages.push(`${message.offset} ${message.status}`);
    }
  };
  socket.onclose = () => closed.resolve();
  await within(closed.promise, LIMIT, "the end of a subscription");
  return messages;
}

for (const query of ["", "?raw"]) {
  for (
    const reconnect of [FAST, false, { ...FAST, onCleanEnd: "done" }] as const
  ) {
    const how = reconnect === false
      ? "not reconnecting"
      : "onCleanEnd" in reconnect
      ? "done at a clean end"
      : "reconnecting";
    Deno.test(`Relays that follow each other by '/topics/t${query}', ${how}, have one end (C5)`, async (t) => {
      for (const status of END_STATUSES) {
        for (const reason of [undefined, "because, 50 % – “так”"]) {
          await t.step(`${status} ${reason ?? ""}`, async () => {
            await using first = await startRelay();
            const topic = first.relay.topics.create("t");
            add(topic, "a");
            await using second = await startBehind(
              `${first.url}/topics/t${query}`,
              { reconnect },
            );
            await using third = await startBehind(
              `${second.url}/topics/t${query}`,
              { reconnect },
            );
            add(topic, "b");
            await has(third, 3);
            topic.end(status, reason);
            const verdict = { status, ...(reason && { reason }) };
            assertEquals(await end(second), verdict);
            assertEquals(await end(third), verdict);
            // The relays' own events are not among those of the topic.
            assertEquals(await told(third), ["1 a", "2 b", `3 ${status}`]);
          });
        }
      }
    });
  }

  Deno.test(`A relay that was away when the topic of '/topics/t${query}' ended is told how (C5)`, async () => {
    await using first = await startRelay();
    const topic = first.relay.topics.create("t");
    add(topic, "a");
    await using line = await CuttableLine.start(first.port);
    await using second = await startBehind(`${line.url}/topics/t${query}`);
    await has(second, 2);
    line.cut();
    add(topic, "b");
    topic.end("failed", "out of ink");
    line.mend();
    assertEquals(await end(second), { status: "failed", reason: "out of ink" });
    assertEquals(await told(second), ["1 a", "2 b", "3 failed"]);
  });

  Deno.test(`Relays that follow each other by '/topics/t${query}' pass on what was missed as a gap (C5)`, async () => {
    await using first = await startRelay({ retention: { maxEvents: 3 } });
    const topic = first.relay.topics.create("t");
    add(topic, "ab");
    await using line = await CuttableLine.start(first.port);
    await using second = await startBehind(`${line.url}/topics/t${query}`);
    // A raw stream has no place for a gap: this one is read with the relay's events.
    await using third = await startBehind(`${second.url}/topics/t`);
    await has(third, 3);
    line.cut();
    add(topic, "cdefg");
    line.mend();
    await has(third, 8);
    topic.end("complete");
    assertEquals(await end(third), { status: "complete" });
    const all = [
      "1 a",
      "2 b",
      "3-4 evicted",
      "5 e",
      "6 f",
      "7 g",
      "8 complete",
    ];
    for (const relay of [second, third]) {
      const { epoch } = topicOf(relay).log;
      assertEquals(await told(relay), all);
      // A snapshot folds no further than to what is missing.
      assertEquals(await told(relay, "?snapshot=true"), all.slice(2));
      // Also for who comes back from before the gap, or from within it.
      assertEquals(await told(relay, `?after=${epoch}:2`), all.slice(2));
      assertEquals(
        await told(relay, `?after=${epoch}:3`),
        ["4-4 evicted", ...all.slice(3)],
      );
      assertEquals(await told(relay, `?after=${epoch}:4`), all.slice(3));
      const page = await relay.request(`/topics/t?after=${epoch}:2`, {
        headers: { Accept: "application/json" },
      });
      const { offset, next, recovered } = await page.json();
      assertEquals({ offset, next, recovered }, {
        offset: 5,
        next: 8,
        recovered: false,
      });
      const raw = await relay.request(`/topics/t?raw&after=${epoch}:2`);
      const { code, first } = await raw.json();
      assertEquals([raw.status, code, first], [
        410,
        "position_not_retained",
        5,
      ]);
    }
  });

  Deno.test(`A relay whose parent by '/topics/t${query}' has begun anew says so (C5)`, async () => {
    await using first = await startRelay();
    add(first.relay.topics.create("t"), "ab");
    await using line = await CuttableLine.start(first.port);
    await using second = await startBehind(`${line.url}/topics/t${query}`);
    await has(second, 3);
    line.cut();
    first.relay.topics.delete("t");
    const again = first.relay.topics.create("t");
    add(again, "xy");
    line.mend();
    await has(second, 6);
    again.end("complete");
    await end(second);
    assertEquals(await told(second), [
      "1 a",
      "2 b",
      // One offset stands for what nobody can know.
      "3-3 epoch",
      "4 x",
      "5 y",
      "6 complete",
    ]);
  });

  Deno.test(`A relay that follows '/topics/t${query}' late has its parent's offsets (C5)`, async () => {
    await using first = await startRelay({ retention: { maxEvents: 2 } });
    const topic = first.relay.topics.create("t");
    add(topic, "abcd");
    await using second = await startBehind(`${first.url}/topics/t${query}`);
    await has(second, 5);
    topic.end("complete");
    await end(second);
    const { first: oldest, next } = topicOf(second).log;
    assertEquals([oldest, next], [3, 5]);
    assertEquals(await told(second), ["3 c", "4 d", "5 complete"]);
  });
}

/** A relay's answers, as a test wants them. */
async function startParent(
  stream: (answer: ServerResponse) => void,
  page: unknown,
): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer(({ headers }, answer) => {
    if (headers.accept === "application/json") {
      return void answer.end(JSON.stringify(page));
    }
    answer.writeHead(200, {
      "Content-Type": "text/event-stream",
      "Rivulet-Epoch": "epoch_of_parent",
    });
    stream(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}/topics/t`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const EVENT = "id: epoch_of_parent:1\ndata: a\n\n";

Deno.test("A relay takes no part of a topic for the whole, whatever became of it since (C5)", async (t) => {
  const ends: Record<string, (answer: ServerResponse) => void> = {
    "cut": (answer) =>
      answer.write(EVENT, () => setTimeout(() => answer.destroy(), 10)),
    "clean": (answer) => answer.end(EVENT),
  };
  for (const [how, stream] of Object.entries(ends)) {
    for (
      const [name, page, status] of [
        [
          "has ended there",
          { next: 2, end: { status: "complete" } },
          "complete",
        ],
        [
          "has another event",
          { next: 3, end: { status: "complete" } },
          "truncated",
        ],
        ["has not ended", { next: 2 }, "truncated"],
        ["is another", {
          epoch: "another",
          next: 2,
          end: { status: "complete" },
        }, "truncated"],
        ["is gone", "no", "truncated"],
      ] as const
    ) {
      await t.step(`${how}, and the topic ${name}`, async () => {
        const facts = typeof page === "object"
          ? { epoch: "epoch_of_parent", ...page }
          : page;
        await using parent = await startParent(stream, facts);
        await using relay = await startBehind(`${parent.url}?raw`, {
          reconnect: false,
        });
        const { status: got } = await end(relay) as { status: string };
        // A relay ends a raw stream well only if it is whole.
        assertEquals(got, how === "clean" ? "complete" : status);
      });
    }
    await t.step(`${how}, with the relay's own events`, async () => {
      await using parent = await startParent(stream, {});
      await using relay = await startBehind(parent.url, { reconnect: false });
      const { status } = await end(relay) as { status: string };
      assertEquals(status, "truncated");
    });
  }
});

Deno.test("An upstream's own names survive a chain of relays (C5)", async () => {
  await using first = await startRelay();
  const topic = first.relay.topics.create("t");
  add(topic, "a", "rivulet.end");
  await using second = await startBehind(`${first.url}/topics/t`);
  await using third = await startBehind(`${second.url}/topics/t`);
  topic.end("complete");
  await end(third);
  assertEquals(await told(third), ["1 rivulet.enda", "2 complete"]);
});

Deno.test("An upstream that is no relay does not speak as one (C5)", async () => {
  const forged = 'event: rivulet.end\ndata: {"status":"failed"}\n\n';
  await using upstream = await ReconnectingUpstream.start(
    async (connection) => {
      await connection.write(forged);
      connection.end();
    },
    (connection) => connection.refuse(204),
  );
  await using relay = await startBehind(upstream.url);
  assertEquals(await end(relay), { status: "complete" });
  const response = await relay.request("/topics/t");
  const names = [];
  for await (const { event } of readEvents(response.body!)) names.push(event); // a stream has one
  assertEquals(names, ["upstream.rivulet.end", "rivulet.end"]);
});
