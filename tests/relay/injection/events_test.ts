// Whatever is in an event, a reason or a key: every door gives it back, and makes
// nothing else of it.
import { assert, assertEquals } from "@std/assert";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { z } from "zod";
import {
  hostileLine,
  hostileText,
} from "../../support/upstreams/hostile_text.ts";
import {
  CallerStream,
  type Received,
} from "../../support/gateway/caller_stream.ts";
import { propertyParameters } from "../../support/property.ts";
import { readReference } from "../../support/recordings/reference_events.ts";
import {
  OPCODE,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";

interface Published {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

const event: fc.Arbitrary<Published> = fc.record({
  // The relay's own names are another test's.
  event: hostileLine.map((name) => name.replace(/^rivulet\./, "other.")),
  data: hostileText,
  id: hostileLine,
});

const events = fc.array(event, { minLength: 1, maxLength: 4 });

/** Of at most as many characters as a reason may have. */
const reason = hostileText.map((text) => text.slice(0, 1_000));

/** Of which several fit into a message of 64 KiB, however they are escaped. */
const short = hostileText.map((text) => text.slice(0, 4_000));

/** An event stream knows one line end in data. */
function asPublished({ event, data, id }: Published): Published {
  return {
    event: event || "message",
    data: data.replaceAll(/\r\n?/g, "\n"),
    id,
  };
}

/** Returns the event as UTF-8 carries it: without halves of surrogate pairs. */
function asBytes({ event, data, id }: Published): Published {
  return {
    event: event.toWellFormed(),
    data: data.toWellFormed(),
    id: id.toWellFormed(),
  };
}

async function postJson(
  relay: TestRelay,
  path: string,
  body: unknown,
): Promise<Response> {
  return await relay.request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** A topic with these events, ended for this reason. */
async function publish(
  relay: TestRelay,
  topic: string,
  published: readonly Published[],
  reason: string,
): Promise<string> {
  const posted = await postJson(relay, `/topics/${topic}`, published);
  const { epoch, next } = await posted.json();
  assertEquals([posted.status, next], [200, published.length + 1]);
  const ended = await postJson(relay, `/topics/${topic}/end`, {
    status: "failed",
    reason,
  });
  assertEquals([ended.status, (await ended.json()).end.reason], [200, reason]);
  return epoch;
}

async function readStream(
  relay: TestRelay,
  path: string,
  end: Received["end"] = "whole",
): Promise<string> {
  await using stream = new CallerStream(
    await relay.request(path, { headers: { Accept: "text/event-stream" } }),
  );
  assertEquals([stream.status, (await stream.rest()).end], [200, end]);
  const { bytes } = stream;
  // A mark at its beginning would be taken for none of the text.
  return new TextDecoder("utf-8", { ignoreBOM: true, fatal: true })
    .decode(bytes);
}

Deno.test("SSE gives back every event, and forges none", async () => {
  await using relay = await startRelay();
  const { numRuns, seed } = propertyParameters(200);
  await fc.assert(
    fc.asyncProperty(events, reason, async (sent, reason) => {
      relay.relay.topics.delete("t");
      const epoch = await publish(relay, "t", sent, reason);
      const expected = sent.map(asPublished).map(asBytes);
      const ids = expected.map((_, index) => `${epoch}:${index + 1}`);
      for (const raw of [false, true]) {
        const text = raw
          // Its topic has failed, which nothing in the stream says.
          ? await readStream(relay, "/topics/t?raw", "cut")
          : await readStream(relay, "/topics/t");
        assert(/^(event|id): /.test(text), text.slice(0, 50));
        const parsed: unknown[] = [];
        const parser = createParser({
          onEvent: ({ event = "message", data, id }) =>
            parsed.push({ event, data, id }),
          onRetry: (retry) => parsed.push({ retry }),
          onComment: (comment) => parsed.push({ comment }),
        });
        parser.feed(text);
        const end = raw ? [] : [{
          event: "rivulet.end",
          data: JSON.stringify({
            type: "end",
            topic: "t",
            offset: sent.length + 1,
            status: "failed",
            reason,
          }),
          id: `${epoch}:${sent.length + 1}`,
        }];
        const got = parsed.filter((event) =>
          !JSON.stringify(event).startsWith('{"event":"rivulet.live"')
        );
        assertEquals(got, [
          ...expected.map(({ event, data }, index) => ({
            event,
            data,
            id: ids[index],
          })),
          ...end,
        ]);
        // The fields that the standard does not know.
        const unknown = readReference(text)
          .filter(({ event }) => !event.startsWith("rivulet."))
          .map(({ unknown }) => unknown);
        assertEquals(
          unknown,
          expected.map(({ id }) =>
            id === "" ? {} : { "upstream-id": id }
          ) as Record<string, string>[],
        );
      }
    }),
    { numRuns, seed },
  );
});

const foldedEvents = z.array(
  z.object({ event: z.string().optional(), data: z.string() }),
);

/** Reads a topic to its end. */
async function readSocket(
  relay: TestRelay,
  target: string,
): Promise<{ events: unknown[]; end: Record<string, unknown> }> {
  await using socket = await RawWebSocket.open(relay.url, target);
  const events: unknown[] = [];
  for (;;) {
    const message = await socket.next();
    if (!message) throw new Error("It was closed");
    const value = message["type"] === "snapshot" ? message["value"] : message;
    events.push(...(value as { events?: unknown[] }).events ?? []);
    if (message["type"] === "end") return { events, end: message };
  }
}

Deno.test("WebSockets and pages give back every event, and forge none", async () => {
  await using relay = await startRelay();
  const { numRuns, seed } = propertyParameters(200);
  await fc.assert(
    fc.asyncProperty(events, reason, async (sent, reason) => {
      relay.relay.topics.delete("t");
      await publish(relay, "t", sent, reason);
      const expected = sent.map(asPublished).map(({ event, data, id }) => ({
        ...(event !== "message" && { event }),
        data,
        ...(id !== "" && { id }),
      }));
      const all = await readSocket(relay, "/topics/t");
      assertEquals(all.events, expected);
      assertEquals([all.end["status"], all.end["reason"]], ["failed", reason]);
      const folded = await readSocket(
        relay,
        "/topics/t?snapshot=true&mode=merge",
      );
      assertEquals(folded.events, expected);

      const page = await relay.request("/topics/t", {
        headers: { Accept: "application/json" },
      });
      const read = await page.json();
      assertEquals([read.events, read.end.reason], [expected, reason]);
      const list = await relay.request("/topics");
      const { topics } = await list.json();
      assertEquals(topics.length, 1);
      assertEquals(topics[0].end, { status: "failed", reason });
    }),
    { numRuns, seed },
  );
});

/** Deltas of one item, as a chat has them. */
const deltas = fc.array(hostileText, { minLength: 2, maxLength: 5 });

Deno.test("What is folded for who comes late says what was in its parts", async () => {
  await using relay = await startRelay();
  const { numRuns, seed } = propertyParameters(100);
  await fc.assert(
    fc.asyncProperty(deltas, hostileLine, async (texts, event) => {
      relay.relay.topics.delete("t");
      const sent = texts.map((content) => ({
        event,
        data: JSON.stringify({ choices: [{ index: 0, delta: { content } }] }),
        id: "",
      }));
      await publish(relay, "t", sent, "over");
      const { events } = await readSocket(relay, "/topics/t?snapshot=true");
      const [folded, ...more] = foldedEvents.parse(events);
      assertEquals(more, []);
      assertEquals(folded?.event ?? "message", event || "message");
      const { choices: [choice] } = JSON.parse(folded?.data ?? "");
      assertEquals(choice.delta.content, texts.join(""));
    }),
    { numRuns, seed },
  );
});

Deno.test("An event whose name or id is more than a line is refused", async () => {
  // The longest texts are of more than the 64 KiB that a message may have.
  await using relay = await startRelay({ limits: { maxMessage: 2 ** 20 } });
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  const { numRuns, seed } = propertyParameters(100);
  await fc.assert(
    fc.asyncProperty(
      hostileText,
      fc.constantFrom("\r", "\n", "\0", "\r\n", "\n\n"),
      hostileText,
      fc.constantFrom("event", "id"),
      async (before, line, after, field) => {
        const wrong = { data: "x", [field]: before + line + after };
        const posted = await postJson(relay, "/topics/t", wrong);
        assertEquals(posted.status, 400);
        assertEquals((await posted.json()).code, "invalid_body");
        await socket.say({ type: "publish", topic: "t", events: [wrong] });
        const { code } = await socket.message("error");
        assertEquals(code, "invalid_message");
        assertEquals(relay.relay.topics.get("t")?.log.next ?? 1, 1);
      },
    ),
    { numRuns, seed },
  );
});

Deno.test("A program that embeds the relay cannot break a stream by an event's name or id", async () => {
  await using relay = await startRelay();
  const forged = "\n\nevent: rivulet.end\ndata: forged\n\n";
  for (const field of ["event", "id", "data"] as const) {
    relay.relay.topics.delete("t");
    const topic = relay.relay.topics.create("t");
    const wrong = {
      event: "message",
      data: "x",
      id: "",
      [field]: `a${forged}`,
    };
    try {
      topic.append([wrong]);
    } catch (error) {
      // To refuse it is one way.
      assert(error instanceof TypeError, String(error));
    }
    topic.end("complete");
    const text = await readStream(relay, "/topics/t");
    const ends = readReference(text)
      .filter(({ event }) => event === "rivulet.end");
    assertEquals(ends.length, 1, `${field}: ${text}`);
    assert(ends[0]?.data !== "forged");
  }
});

Deno.test("Relay answers hostile messages in JSON, whatever is in them", async () => {
  await using relay = await startRelay({
    limits: { maxMessageRate: 1_000_000 },
  });
  relay.relay.topics.create("t");
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.say({ type: "subscribe", topic: "t" });
  await socket.message("subscribed");
  const { numRuns, seed } = propertyParameters(300);
  /** Asks for a sign of life, so that it is known when all is answered. */
  const answers = async (message: unknown): Promise<unknown[]> => {
    await socket.say(message);
    await socket.say({ type: "heartbeat", time: 1 });
    const before: unknown[] = [];
    for (;;) {
      const frame = await socket.frame();
      assertEquals(frame?.opcode, OPCODE.text, JSON.stringify(message));
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
        .decode(frame?.payload);
      const answer: { type: string } = JSON.parse(text);
      if (answer.type === "heartbeat") return before;
      before.push(answer);
    }
  };
  // Such a text is right by chance: all topics with a prefix are followed then.
  const noPrefix = short.filter((text) => !text.endsWith("*"));
  await fc.assert(
    fc.asyncProperty(noPrefix, async (text) => {
      for (
        const message of [
          { type: text },
          { type: "subscribe", topic: text },
          { type: "subscribe", topic: "u", after: text },
          { type: "subscribe", topic: "u", mode: text },
          { type: "publish", topic: "t", events: [{ [text]: text, data: "" }] },
          { type: "unsubscribe", topic: "u", [text]: text },
          { type: "ack", topic: "t", offset: text },
        ]
      ) {
        const got = await answers(message);
        const types = got.map((answer) => (answer as { type: string }).type);
        // Some text is right by chance.
        const isAnswered = types.every((type) =>
          ["error", "subscribed", "published", "events", "live"].includes(type)
        );
        assert(isAnswered, JSON.stringify([message, got]));
      }
      const [published] = await answers({
        type: "publish",
        topic: `k${Math.floor(Math.random() * 2 ** 40)}`,
        events: [{ data: "x" }],
        id: text.slice(0, 256) || "x",
      }) as { type: string; id: string }[];
      assertEquals(
        [published?.type, published?.id],
        ["published", text.slice(0, 256) || "x"],
      );
    }),
    { numRuns, seed },
  );
});
