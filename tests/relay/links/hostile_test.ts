// A relay with the right to link that says what no relay says: only its link ends.
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { LINK_CLOSINGS, LINK_PROTOCOL } from "../../../relay/links/wire.ts";
import { propertyParameters } from "../../support/property.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import {
  OPCODE,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";

/** The operations of a relay to its parent (PROTOCOL.md, section 8), and one that there is not. */
const NAMES = [
  ..."a got name pubs drop make skip end facts up read trim i list watch".split(
    " ",
  ),
  ..."unwatch hold keeps free lapse cancel delete letgo ended get put".split(
    " ",
  ),
  ..."claim orphans call ok no k n w o orphan stop constructor".split(" "),
] as const;

/** The number of the log that a hostile relay has, and the values of its operations. */
const LOG = 1;

const value = fc.oneof(
  fc.constantFrom(
    ...[LOG, 0, -1, 1.5, 1e300, Number.MAX_SAFE_INTEGER, 2],
    ...["t", "", "evicted", "a\nb", "__proto__", "\ud800"],
    ...[null, true, [], {}, [1], ["a", "", ""], { status: "complete" }],
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

const operations = fc.array(
  fc.tuple(fc.constantFrom(...NAMES), fc.array(value, { maxLength: 9 }))
    .map(([name, values]) => [name, ...values]),
  { minLength: 1, maxLength: 4 },
);

/** Links as a relay does, and has the log of a topic. */
async function link(url: string, topic = "t"): Promise<RawWebSocket> {
  const socket = await RawWebSocket.open(url, "/links", {
    "Sec-WebSocket-Protocol": LINK_PROTOCOL,
  });
  const hello = ["hello", { v: 1, id: crypto.randomUUID(), name: "hostile" }];
  await say(socket, [hello, ["name", 1, topic, 1]]);
  for (;;) {
    const [answer] = await answerOf(socket, 1);
    if (answer) return socket;
  }
}

function say(socket: RawWebSocket, value: unknown): Promise<void> {
  return socket.send(OPCODE.text, JSON.stringify(value));
}

/** Returns the answer to a request, or the code with which the link was closed. */
async function answerOf(
  socket: RawWebSocket,
  request: number,
): Promise<readonly unknown[]> {
  for (;;) {
    const frame = await socket.frame();
    if (!frame) return ["cut"];
    const { opcode, payload } = frame;
    if (opcode === OPCODE.close) {
      return ["closed", payload[0]! << 8 | payload[1]!]; // a code, always
    }
    if (opcode !== OPCODE.text) continue;
    const said: unknown[][] = JSON.parse(new TextDecoder().decode(payload));
    const answer = said.find(([name, number]) =>
      (name === "ok" || name === "no" || name === "k") && number === request
    );
    if (answer) return answer;
  }
}

async function pageOf({ request }: TestRelay, topic: string) {
  const response = await request(`/topics/${topic}?after=start`, {
    headers: { Accept: "application/json" },
  });
  return await response.json();
}

Deno.test("A1: whatever a linked relay says ends its own link at most", async () => {
  await using relay = await startRelay({ links: true });
  await relay.request("/topics/other", { method: "POST", body: "a" })
    .then((response) => response.body?.cancel());
  // Each without any value first.
  for (const name of NAMES) await sayAndLook([[name]]);
  const { numRuns, seed } = propertyParameters(150);
  await fc.assert(
    fc.asyncProperty(operations, async (said) => {
      await sayAndLook(said);
    }),
    { numRuns, seed },
  );
  const { events } = await pageOf(relay, "other");
  assertEquals(events, [{ data: "a" }]);

  async function sayAndLook(said: readonly unknown[]): Promise<void> {
    await using socket = await link(relay.url);
    await say(socket, said);
    // All before it was looked at.
    await say(socket, [["list", 9, "", "", 1]]);
    const answer = await answerOf(socket, 9);
    assert(
      answer[0] !== "closed" || answer[1] === LINK_CLOSINGS.invalid,
      `${answer}`,
    );
    const response = await relay.request("/healthz");
    await response.body?.cancel();
    assertEquals(response.status, 200);
  }
});

/** Operations on the log of the topic that would make of it what no log is. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  "a CR in data": ["a", 2, LOG, 0, 0, ["a\rdata: b\r\rdata: c", "", ""]],
  "a LF in a name": ["a", 2, LOG, 0, 0, ["a", "x\ndata: b\n\n", ""]],
  "a LF in an id": ["a", 2, LOG, 0, 0, ["a", "", "1\ndata: b"]],
  "half an offset": ["a", 2, LOG, 0, 1.5, ["a", "", ""]],
  "a hole of a part of an event": ["skip", 2, LOG, 10.5, "evicted"],
  "a hole backwards": ["skip", 2, LOG, -10, "evicted"],
  "a hole of nothing": ["skip", 2, LOG, 0, "evicted"],
  "a hole up to the last number": ["skip", 2, LOG, 2 ** 53 - 1, "evicted"],
  "a hole beyond all numbers": ["skip", 2, LOG, 1e300, "evicted"],
  "an epoch that is a line": [
    "make",
    2,
    7,
    "u",
    "a\r\nb: c",
    { isOpen: true },
  ],
  "an upstream that is none": ["up", LOG, { state: "retrying", attempt: -1 }],
};

for (const [name, operation] of Object.entries(REFUSED)) {
  Deno.test(`A1: a linked relay cannot put into a log ${name}`, async () => {
    await using relay = await startRelay({ links: true });
    await using socket = await link(relay.url);
    await say(socket, [operation]);
    assertEquals(
      (await answerOf(socket, 2)).slice(0, 2),
      ["closed", LINK_CLOSINGS.invalid],
    );
    const { events, next } = await pageOf(relay, "t");
    assertEquals([events, next], [[], 1]);
  });
}

Deno.test("A linked relay cannot append an event over --max-event, and its link lives on", async () => {
  await using relay = await startRelay({
    links: true,
    limits: { maxEvent: 4 },
  });
  await using socket = await link(relay.url);
  // Bytes of UTF-8 count, of the name and the id, too.
  for (const event of [["12345", "", ""], ["é1é", "", ""], ["1", "2", "345"]]) {
    await say(socket, [["a", 2, LOG, 0, 0, ["1", "", "", ...event]]]);
    assertEquals(await answerOf(socket, 2), [
      "no",
      2,
      { code: "event_too_large", maxEvent: 4 },
    ]);
  }
  await say(socket, [["a", 3, LOG, 0, 0, ["éé", "", ""]]]);
  assertEquals((await answerOf(socket, 3)).slice(0, 2), ["k", 3]);
  const { events } = await pageOf(relay, "t");
  assertEquals(events, [{ data: "éé" }]);
});
