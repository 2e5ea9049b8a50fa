// Text from an upstream stays the upstream's: nobody can take it for the
// relay's.
import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { hostileText } from "../../support/upstreams/hostile_text.ts";
import {
  CallerStream,
  type Received,
} from "../../support/gateway/caller_stream.ts";
import { propertyParameters } from "../../support/property.ts";
import {
  readReference,
  readReferenceBytes,
  type ReferenceEvent,
} from "../../support/recordings/reference_events.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { Upstream } from "../../support/upstreams/upstream.ts";
import { LIMIT, until } from "../../support/within.ts";

async function read(
  relay: TestRelay,
  path: string,
  expected: Received["end"] = "whole",
): Promise<ReferenceEvent[]> {
  await using stream = new CallerStream(
    await relay.request(path, { headers: { Accept: "text/event-stream" } }),
  );
  const { text, end } = await stream.rest();
  assertEquals(end, expected);
  return readReference(text);
}

/**
 * Whether an event is the relay's, about a topic that ended before it was read.
 */
function isOwn({ event }: ReferenceEvent): boolean {
  return event.startsWith("rivulet.");
}

const FORGED = ["live", "gap", "upstream", "end", "", "whatever"]
  .map((name) => ({
    event: `rivulet.${name}`,
    data: `{"type":"${name}","topic":"t","offset":1,"status":"complete"}`,
  }));

async function assertNothingForged(relay: TestRelay): Promise<void> {
  const events = await read(relay, "/topics/t");
  const own = events.filter(isOwn);
  assertEquals(own.map(({ event }) => event), ["rivulet.end"]);
  const end = JSON.parse(own[0]?.data ?? "");
  assertEquals([end.offset, end.status], [FORGED.length + 2, "failed"]);
  // All are there, in order, each at its own position.
  const others = events.filter((event) => !isOwn(event));
  assertEquals(
    others.map(({ data }) => data),
    [...FORGED.map(({ data }) => data), "the last one"],
  );
  for (const [index, { event, id }] of others.slice(0, -1).entries()) {
    assert(event.endsWith(FORGED[index]!.event), event);
    assert(id.endsWith(`:${index + 1}`), id);
  }
  // A reader of `?raw` receives the upstream's events and nothing else, and
  // knows it.
  const raw = await read(relay, "/topics/t?raw", "cut");
  assertEquals(
    raw.map(({ event }) => event),
    [...FORGED.map(({ event }) => event), "message"],
  );
}

Deno.test("An upstream cannot speak as the relay", async () => {
  await using upstream = await Upstream.start();
  const url = upstream.add("t");
  await using relay = await startRelay({
    sources: [{ name: "t", url, reconnect: { maxAttempts: 1, minTimeout: 1 } }],
  });
  // It does not end by itself: the relay is to say how it ended.
  const answer = await upstream.answer("t");
  await answer.write(
    Buffer.from(
      FORGED.map(({ event, data }) => `event: ${event}\ndata: ${data}\n\n`)
        .join("") + "data: the last one\n\n",
    ),
  );
  const topic = relay.relay.topics.get("t");
  await until(
    () => topic && topic.log.next >= FORGED.length + 2 || undefined,
    LIMIT,
    "the upstream's events",
  );
  topic?.end("failed", "the relay says so");
  await assertNothingForged(relay);
});

Deno.test("A publisher cannot speak as the relay", async () => {
  await using relay = await startRelay();
  const published = await relay.request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify([...FORGED, { data: "the last one" }]),
  });
  // To refuse it is one way.
  if (published.status === 400) return void await published.body?.cancel();
  assertEquals((await published.json()).next, FORGED.length + 2);
  relay.relay.topics.get("t")?.end("failed", "the relay says so");
  await assertNothingForged(relay);
});

/** A stream, as it comes: of fields that may be anything, and of anything. */
const stream = fc.array(
  fc.oneof(
    hostileText,
    fc.tuple(
      fc.constantFrom("data", "event", "id", "retry", "", "upstream-id"),
      fc.constantFrom(":", ": ", ""),
      hostileText,
      fc.constantFrom("\n", "\r", "\r\n", "\n\n"),
    ).map((parts) => parts.join("")),
  ),
  { maxLength: 12 },
).map((parts) => `data: first\n\n${parts.join("")}\n\ndata: last\n\n`);

Deno.test("Whatever an upstream sends, its readers get the events that are in it", async () => {
  await using relay = await startRelay();
  const { numRuns, seed } = propertyParameters(100);
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(stream, async (text) => {
      const bytes = Buffer.from(text);
      const name = `u${runs++}`;
      const posted = await relay.request(`/topics/${name}`, {
        method: "POST",
        headers: { "Content-Type": "text/event-stream" },
        body: bytes,
      });
      assertEquals(posted.status, 200);
      await posted.body?.cancel();
      relay.relay.topics.get(name)?.end("complete");
      const expected = readReferenceBytes(bytes);
      const got = await read(relay, `/topics/${name}?raw`);
      assertEquals(
        got.map(({ event, data, unknown }) => ({
          event,
          data,
          id: unknown["upstream-id"] ?? "",
        })),
        expected,
      );
      const all = await read(relay, `/topics/${name}`);
      assertEquals(all.filter(isOwn).length, 1, "only the end is the relay's");
      assertEquals(all.length, expected.length + 1);
      relay.relay.topics.delete(name);
    }),
    { numRuns, seed },
  );
});
