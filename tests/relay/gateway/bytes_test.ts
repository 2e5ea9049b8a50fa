// The caller receives the provider's bytes, as they are, as they come.
import { assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { readEvents } from "../../../src/sse/read_events.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import {
  type Asked,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { propertyParameters } from "../../support/property.ts";

const encoder = new TextEncoder();

async function eventsOf(bytes: Uint8Array): Promise<ServerSentEvent[]> {
  const body = new Blob([new Uint8Array(bytes)]).stream();
  return await Array.fromAsync(readEvents(body));
}

const EVENT = 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n';
const LAST =
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';
const DONE = "data: [DONE]\n\n";

const INVALID = new Uint8Array([
  ...encoder.encode("data: "),
  0xFF,
  0xC3,
  0x28,
  0xE2,
  0x82,
  ...encoder.encode("\n\n"),
]);

const STREAMS:
  readonly (readonly [string, readonly (string | Uint8Array)[]])[] = [
    ["comments before and between", [
      ": OPENROUTER PROCESSING\n\n: again\n\n",
      EVENT,
      ": more\n",
      EVENT,
      LAST,
      DONE,
    ]],
    ["CRLF", [`${EVENT}${LAST}${DONE}`.replaceAll("\n", "\r\n")]],
    ["CR", [`${EVENT}${LAST}${DONE}`.replaceAll("\n", "\r")]],
    ["a byte order mark", ["\uFEFF", EVENT, LAST, DONE]],
    ["ids, retries and unknown fields", [
      "retry: 3000\n\nid: 0\n\n",
      `id: 7\nretry: 10\nfoo: bar\n${EVENT}`,
      `event: chunk\n${LAST}`,
      DONE,
    ]],
    ["NUL", ["id: \0\ndata: \0\n\n", LAST, DONE]],
    ["bytes that are no UTF-8", [EVENT, INVALID, LAST, DONE]],
    ["pings with empty data", ["event: ping\ndata:\n\n", EVENT, LAST, DONE]],
    ["half an event at the end", [EVENT, LAST, DONE, "data: half"]],
    ["what follows the last word", [
      EVENT,
      LAST,
      DONE,
      ": bye\n\n",
      "data: late\n\n",
      "\n\n\n",
    ]],
    ["no space after the colon", [EVENT.replace(": ", ":"), LAST, DONE]],
  ];

for (const [name, parts] of STREAMS) {
  Deno.test(`The caller gets what the provider sends, byte for byte: ${name}`, async () => {
    await using world = await startGateway();
    for (const size of [Infinity, 1, 7]) {
      const topic = `t${size}`;
      const { exchange, answer } = await world.begin({
        headers: { "rivulet-topic": topic },
      });
      const bytes = new Uint8Array(
        parts.flatMap((part) => [
          ...typeof part === "string" ? encoder.encode(part) : part,
        ]),
      );
      await exchange.stream();
      for (let at = 0; at < bytes.length; at += size) {
        await exchange.write(
          bytes.subarray(at, Math.min(at + size, bytes.length)),
        );
        if (size === Infinity) break;
      }
      await exchange.end();
      const caller = await answer;
      assertEquals((await caller.rest()).end, "whole");
      assertEquals(caller.bytes, bytes);
      assertEquals((await world.ended(topic)).status, "complete");
      // Events after `[DONE]` are for the caller alone.
      const events = await eventsOf(bytes);
      const done = events.findIndex(({ data }) => data === "[DONE]");
      assertNotEquals(done, -1);
      const told = await world.events(topic);
      assertEquals(told.slice(0, done + 1), events.slice(0, done + 1));
    }
  });
}

const piece = fc.constantFrom(
  ...[EVENT, ": c\n", ":\n\n", "id: 3\n", "retry: 9\n", "event: e\n"],
  ...["data: x\n", "data\n", "\n", "\r", "\r\n", "foo: \u{1F600}\n", "\0"],
);

Deno.test("The caller gets what the provider sends, and the topic its events, however it is cut", async () => {
  await using world = await startGateway();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 25 }),
      fc.array(fc.nat(400), { maxLength: 8 }),
      fc.constantFrom<Asked>(
        { path: "chat/completions" },
        { path: "responses" },
        { path: "messages" },
        { path: "other" },
      ),
      async (pieces, at, asked) => {
        const topic = `p${++runs}`;
        const body = encoder.encode(`${EVENT}${pieces.join("")}`);
        const { exchange, answer } = await world.begin({
          ...asked,
          headers: { "rivulet-topic": topic },
        });
        await exchange.stream();
        let from = 0;
        for (const to of [...at.sort((a, b) => a - b), body.length]) {
          const end = Math.min(to, body.length);
          if (end > from) await exchange.write(body.subarray(from, end));
          from = Math.max(from, end);
        }
        await exchange.end();
        const caller = await answer;
        const { end } = await caller.rest();
        assertEquals(caller.bytes, body);
        // A format that has last words has not come to its end without one (H5).
        const isWhole = asked.path === "other";
        assertEquals(end, isWhole ? "whole" : "cut");
        assertEquals(
          (await world.ended(topic)).status,
          isWhole ? "complete" : "truncated",
        );
        assertEquals(await world.events(topic), await eventsOf(body));
      },
    ),
    propertyParameters(60),
  );
});

Deno.test("The caller gets half an event when it comes, once there was an event", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin();
  await exchange.stream(EVENT);
  const caller = await answer;
  await caller.see("\n\n");
  await exchange.write("data: ha");
  await caller.see("data: ha");
  await exchange.write("lf\n");
  await caller.see("lf\n");
  await exchange.write(": co");
  await caller.see(": co");
  await exchange.end(`mment\n\n${LAST}${DONE}`);
  assertEquals((await caller.rest()).end, "whole");
});

Deno.test("The caller gets the head at once, comments line by line, and the first event when it is whole", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin();
  await exchange.stream();
  const caller = await answer;
  assertEquals(caller.status, 200);
  for (
    const start of [
      "\uFEFF: a\n",
      ": b\r\n",
      "\n",
      "retry: 5\n\n",
      "id: 1\r\r",
      ": c\n",
    ]
  ) {
    await exchange.write(start);
    await caller.see(start.replace("\uFEFF", ""));
  }
  const before = caller.bytes.length;
  await exchange.write("data: {}");
  await exchange.write("\n");
  // The comment would come with what is in front of it.
  await exchange.write(": d\n");
  await exchange.write("\n");
  await caller.see(": d\n\n");
  assertEquals(
    new TextDecoder().decode(caller.bytes.slice(before)),
    "data: {}\n: d\n\n",
  );
  await exchange.end(`${LAST}${DONE}`);
  await caller.rest();
});

Deno.test("A stream without any event is passed on, too, where its format has no last word", async () => {
  await using world = await startGateway();
  for (const body of ["retry: 10\n\n", "data: half", ": only\n\ndata: h", ""]) {
    const { exchange, answer } = await world.begin({ path: "other" });
    await exchange.stream(body);
    await exchange.end();
    assertEquals(await (await answer).rest(), { text: body, end: "whole" });
  }
});
