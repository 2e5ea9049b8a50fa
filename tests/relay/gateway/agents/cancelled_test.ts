// A cancel is the last word for the agent that asked, too (H1): it neither takes it for a
// bad network, nor asks for the same once more, which would be paid for.
import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { startGateway } from "../../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../../support/gateway/wire_formats.ts";
import { LIMIT, within } from "../../../support/within.ts";

const WHY = "The run was cancelled: enough";

/** The data of the last events of each format. */
const LAST_WORDS: Readonly<Record<string, readonly unknown[]>> = {
  Responses: [{
    type: "response.failed",
    sequence_number: 1,
    response: {
      id: "resp_1",
      object: "response",
      status: "failed",
      // Codex stops at this code, and asks again after any other.
      error: { code: "invalid_prompt", message: WHY },
      output: [],
    },
  }],
  Chat: [{
    error: {
      message: WHY,
      type: "invalid_request_error",
      code: "cancelled",
      param: null,
    },
  }],
  Anthropic: [{
    type: "error",
    error: { type: "invalid_request_error", message: WHY },
  }],
  UI: [{ type: "abort", reason: WHY }, "[DONE]"],
};

for (
  const [name, { path, headers = {}, start }] of Object.entries(WIRE_FORMATS)
) {
  Deno.test(`A cancelled run of ${name} ends with a word of its format (H1)`, async () => {
    await using world = await startGateway();
    const { exchange, answer } = await world.begin({
      path,
      headers: { "rivulet-topic": "t" },
    });
    await exchange.stream(start, headers);
    const caller = await answer;
    await caller.see(start);
    await world.cancel("t", "enough");
    const { text, end } = await caller.rest();
    // A cut behind it would be taken for a bad network.
    assertEquals(end, "whole");
    assert(text.startsWith(start));
    const events = text.slice(start.length).split("\n\n").filter(Boolean);
    const said = events.map((event) => {
      const data = event.slice(event.indexOf("data: ") + "data: ".length);
      return data === "[DONE]" ? data : JSON.parse(data);
    });
    assertEquals(said, LAST_WORDS[name] ?? []);
    // The topic has what the provider said, and no word of the relay's.
    assertEquals((await world.events("t")).length, 1);
    assertEquals(world.provider.count, 1);
  });
}

const { start, ends } = WIRE_FORMATS["Responses"]!;

for (
  const header of [
    "session-id",
    "session_id",
    "thread-id",
    "x-claude-code-session-id",
    "x-session-id",
  ]
) {
  Deno.test(`A session that names itself in ${header} is refused for 5 s after a cancel (H1)`, async () => {
    const clock = new FakeClock();
    await using world = await startGateway({ clock });
    const asked = { path: "responses", headers: { [header]: "s-1" } };
    const first = await world.begin({
      ...asked,
      headers: { ...asked.headers, "rivulet-topic": "t" },
    });
    await first.exchange.stream(start);
    await (await first.answer).see(start);
    await world.cancel("t", "enough");
    await (await first.answer).rest();

    const refused = await world.ask(asked);
    assertEquals(refused.status, 400);
    assertEquals(refused.header("x-should-retry"), "false");
    assertEquals((await refused.problem())["code"], "session_cancelled");
    assertEquals(world.provider.count, 1);

    // Another session, and one that has no name.
    for (const headers of [{ [header]: "s-2" }, {}]) {
      const other = await world.begin({ path: "responses", headers });
      await other.exchange.stream(start + ends[0]![1]);
      await other.exchange.end();
      assertEquals((await (await other.answer).rest()).end, "whole");
    }

    await clock.advance(5_000);
    const later = await world.begin(asked);
    await later.exchange.stream(start + ends[0]![1]);
    await later.exchange.end();
    assertEquals((await (await later.answer).rest()).end, "whole");
  });
}

Deno.test("A session is not refused whose own caller has left, and so cancelled its run", async () => {
  await using world = await startGateway();
  const headers = {
    "session-id": "s-1",
    "rivulet-topic": "t",
    "rivulet-on-disconnect": "cancel",
  };
  const { exchange, answer } = await world.begin({
    path: "responses",
    headers,
  });
  await exchange.stream(start);
  await (await answer).see(start);
  await (await answer).leave();
  await within(exchange.closed, LIMIT, "the provider's connection to close");
  const next = await world.begin({
    path: "responses",
    headers: { "session-id": "s-1" },
  });
  await next.exchange.stream(start + ends[0]![1]);
  await next.exchange.end();
  assertEquals((await (await next.answer).rest()).end, "whole");
});
