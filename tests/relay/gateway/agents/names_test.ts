// Topics of agents: an agent sends the same headers with each request, so the relay
// makes a name of its own for each run (H2), which has the agent's session in it.
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  completeName,
  runName,
} from "../../../../relay/gateway/agents/run_name.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import {
  type Asked,
  type GatewayWorld,
  startGateway,
} from "../../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../../support/gateway/wire_formats.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";
import { startRelay } from "../../../support/relay/relay.ts";

const { start, ends } = WIRE_FORMATS["Responses"]!;

/** Makes a whole run; returns the name of its topic. */
async function nameOf(world: GatewayWorld, asked: Asked): Promise<string> {
  const { exchange, answer } = await world.begin({
    path: "responses",
    ...asked,
  });
  await exchange.stream(start + ends[0]![1]);
  await exchange.end();
  const caller = await answer;
  assertEquals((await caller.rest()).end, "whole");
  return caller.header("rivulet-topic") ?? "";
}

Deno.test("A name that ends with * is another one for each run, and sorts by time (H2)", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  const names: string[] = [];
  for (let i = 0; i < 3; i++) {
    names.push(
      await nameOf(world, { headers: { "rivulet-topic": "agent-7-*" } }),
    );
    await clock.advance(1);
  }
  for (const name of names) {
    assertMatch(name, /^agent-7-[0-9a-z]{9}-[0-9a-f]{8}$/);
  }
  assertEquals(new Set(names).size, 3);
  assertEquals(names.toSorted(), names);
});

const SESSION = "0199-abc";

for (
  const [what, asked] of Object.entries<Asked>({
    "session-id": { headers: { "session-id": SESSION } },
    "session_id": { headers: { "session_id": SESSION } },
    "thread-id": { headers: { "thread-id": SESSION } },
    "x-claude-code-session-id": {
      headers: { "x-claude-code-session-id": SESSION },
    },
    "x-session-id": { headers: { "x-session-id": SESSION } },
    "prompt_cache_key": { body: { prompt_cache_key: SESSION } },
    "metadata.session_id": { body: { metadata: { session_id: SESSION } } },
    "metadata.user_id": {
      body: { metadata: { user_id: `user_1f_account__session_${SESSION}` } },
    },
    "metadata.user_id of JSON": {
      body: {
        metadata: {
          user_id: JSON.stringify({ device_id: "d", session_id: SESSION }),
        },
      },
    },
    "a header before the body": {
      headers: { "session-id": SESSION },
      body: { prompt_cache_key: "other" },
    },
  })
) {
  Deno.test(`A session in ${what} names the topics of its runs (H2)`, async () => {
    await using world = await startGateway({}, { topic: "codex:{session}:*" });
    assertMatch(
      await nameOf(world, asked),
      new RegExp(`^codex:${SESSION}:[0-9a-z-]+$`),
    );
  });
}

Deno.test("A caller names its topic in place of the provider's name for it", async () => {
  await using world = await startGateway({}, { topic: "codex:{session}:*" });
  const headers = { "rivulet-topic": "mine", "session-id": SESSION };
  assertEquals(await nameOf(world, { headers }), "mine");
});

Deno.test("A session that has what separates names stays one part of a name (H10)", () => {
  const name = completeName("codex:{session}:*", "a:b~c d/é", 0);
  assertMatch(name, /^codex:a_b_c_d_:[0-9a-z-]+$/);
  assertMatch(completeName("c:{session}:x", undefined, 0), /^c:none:x$/);
  assertEquals(completeName("{session}", "x".repeat(200), 0).length, 64);
});

Deno.test("A name that cannot be completed is refused", async () => {
  for (const name of ["*", "a*b", "{session", "a{other}", "a".repeat(129)]) {
    if (name === "*") assert(runName.safeParse(name).success);
    else assert(!runName.safeParse(name).success, name);
  }
  await using world = await startGateway();
  const headers = {
    "rivulet-topic": `${"a".repeat(100)}{session}`,
    "session-id": "x".repeat(64),
  };
  const refused = await world.ask({ headers });
  assertEquals(refused.status, 400);
  assertEquals((await refused.problem())["code"], "invalid_topic");
});

Deno.test("The right to write is that to the name that a session makes", async () => {
  await using relay = await startRelay({
    rights: { jwtKey: JWT_KEY },
    gateway: { providers: [{ name: "raw", url: "http://127.0.0.1:1/v1" }] },
  });
  const token = await mintToken({ write: ["codex:mine:*"] });
  for (
    const [headers, body, status] of [
      [{ "session-id": "mine" }, {}, 502],
      [{ "session-id": "other" }, {}, 403],
      [{}, { prompt_cache_key: "mine" }, 502],
      [{}, { prompt_cache_key: "other" }, 403],
      [{}, {}, 403],
    ] as const
  ) {
    const response = await relay.request("/v1/responses", {
      method: "POST",
      headers: {
        ...headers,
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "rivulet-topic": "codex:{session}:*",
      },
      body: JSON.stringify({ stream: true, ...body }),
    });
    await response.body?.cancel();
    assertEquals(response.status, status, JSON.stringify({ headers, body }));
  }
});

Deno.test("A provider's default ends a run with its caller, and a caller may say otherwise (H4)", async () => {
  await using world = await startGateway({}, { onDisconnect: "cancel" });
  for (
    const [said, end] of [[undefined, "cancelled"], [
      "continue",
      "complete",
    ]] as const
  ) {
    const name = `t-${end}`;
    const { exchange, answer } = await world.begin({
      path: "responses",
      headers: {
        "rivulet-topic": name,
        ...(said && { "rivulet-on-disconnect": said }),
      },
    });
    await exchange.stream(start);
    const caller = await answer;
    await caller.see(start);
    await caller.leave();
    if (end === "cancelled") await exchange.closed;
    else {
      await exchange.write(ends[0]![1]);
      await exchange.end();
    }
    assertEquals((await world.ended(name)).status, end);
  }
});
