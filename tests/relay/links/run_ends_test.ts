// Runs, responses over a WebSocket and turns of chats, made at one level of a tree: readers,
// callers who join and clients of every level are told the same.
import { assertEquals } from "@std/assert";
import { BEGIN, REST, UI_HEADER } from "../../support/gateway/chat_world.ts";
import type { ProviderExchange } from "../../support/gateway/raw_provider.ts";
import { ResponsesClient } from "../../support/gateway/responses_client.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { GatewayTree } from "../../support/links/gateway_tree.ts";
import {
  LIVE_DOORS,
  readBody,
  READING_DOORS,
} from "../../support/links/reading_doors.ts";
import type { TestRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

/** A way in which an answer goes on after its beginning, and ends. */
interface Ending {
  readonly name: string;
  /**
   * Plays it.
   *
   * @param stop Cancels the run, at another level than it was made at.
   */
  play(
    exchange: ProviderExchange,
    stop: () => Promise<void>,
  ): Promise<void> | void;
}

/** The endings of a format; `cut` is a half of an event. */
function endingsOf(
  ends: readonly (readonly [name: string, wire: string, ...unknown[]])[],
  cut: string,
): readonly Ending[] {
  return [
    ...ends.map(([name, wire]): Ending => ({
      name,
      play: (exchange) => exchange.end(wire),
    })),
    { name: "no last word", play: (exchange) => exchange.end() },
    { name: "a reset", play: (exchange) => exchange.reset() },
    { name: "a cancel elsewhere", play: (_exchange, stop) => stop() },
    {
      name: "a cut within an event",
      play: async (exchange) => {
        await exchange.write(cut.slice(0, 20));
        exchange.close();
      },
    },
  ];
}

/** Live doors; a topic that is nobody's yet is not active. */
const DOORS = Object.entries(LIVE_DOORS).filter(([door]) => door !== "active");

/** Has each relay's readers follow a topic that is not there yet, at every door. */
async function follow(
  relays: readonly TestRelay[],
  name: string,
): Promise<(relay: TestRelay) => Promise<Readonly<Record<string, unknown>>>> {
  const reading = new Map(relays.map((relay) => [
    relay,
    DOORS.map(([, read]) => read(relay, name)),
  ]));
  await untilFollowed(relays, name, DOORS.length);
  return async (relay) => {
    const told = await Promise.all(reading.get(relay) ?? []);
    return Object.fromEntries(
      DOORS.map(([door], at) => [door, lasting(told[at])]),
    );
  };
}

/** Cancels what fills a topic. */
async function cancel({ request }: TestRelay, topic: string): Promise<void> {
  const answer = await request(`/topics/${topic}/cancel`, {
    method: "POST",
    body: '{"reason":"enough"}',
  });
  await answer.body?.cancel();
  assertEquals(answer.status, 200);
}

async function untilFollowed(
  relays: readonly TestRelay[],
  name: string,
  followers: number,
): Promise<void> {
  await until(
    () =>
      relays.every(({ relay }) =>
        relay.topics.get(name)?.followers === followers
      ) || undefined,
    LIMIT,
    () =>
      `the readers of ${name}: ${
        relays.map(({ relay }) => relay.topics.get(name)?.followers)
      }`,
  );
}

/** Asserts that each relay has been told the same, door by door. */
async function assertAlike(
  relays: readonly TestRelay[],
  told: (relay: TestRelay) => Promise<Readonly<Record<string, unknown>>>,
  what: string,
): Promise<void> {
  const all = await within(Promise.all(relays.map(told)), LIMIT, what);
  const [root, ...others] = all;
  for (const [door, above] of Object.entries(root ?? {})) {
    for (const below of others) {
      assertEquals(below[door], above, `${what} at ${door}`);
    }
  }
}

/** Leaves out what is told of the moment: how far a reader is, and how the upstream is. */
function lasting(told: unknown): unknown {
  if (typeof told === "string") {
    return told.replace(
      /event: rivulet\.(?:live|upstream)\n(?:.+\n)*\n/g,
      "",
    );
  }
  if (!Array.isArray(told)) return told;
  return told
    .filter((one) => one?.type !== "live" && one?.type !== "upstream")
    .map(lasting);
}

/** Reads a topic that has ended, at every door. */
async function readAll(
  relay: TestRelay,
  name: string,
): Promise<Readonly<Record<string, unknown>>> {
  const doors = Object.entries(READING_DOORS);
  return Object.fromEntries(
    await Promise.all(
      doors.map(async ([door, read]) => [door, await read(relay, name)]),
    ),
  );
}

/** The levels at which runs are made, each with the level at which they are cancelled. */
const PLACES = [["root", 0, 2], ["leaf", 2, 0]] as const;

for (const [place, at, other] of PLACES) {
  for (const [format, wire] of Object.entries(WIRE_FORMATS)) {
    const { path, headers, start, delta, ends } = wire;
    Deno.test(`A ${format} run at the ${place} of a tree ends alike at every level and door`, async () => {
      await using tree = await GatewayTree.start(2);
      const { relays } = tree;
      const own = relays[at]!; // of three
      const endings = endingsOf(ends, delta("half"));
      for (const [index, { name, play }] of endings.entries()) {
        const topic = `run-${index}`;
        const told = await follow(relays, topic);
        const key = { "Idempotency-Key": topic };
        const answer = tree.ask(own, path, topic, key);
        const exchange = await tree.next();
        await exchange.stream(start + delta("a"), headers);
        await using caller = await answer;
        await caller.see(delta("a"));
        const joined = await Promise.all(
          relays.map((relay) => tree.ask(relay, path, topic, key)),
        );
        await play(exchange, () => cancel(relays[other]!, topic)); // of three
        await caller.rest();
        await assertAlike(relays, told, `${name}, as it happens,`);
        await assertAlike(
          relays,
          (relay) => readAll(relay, topic),
          `${name}, afterwards,`,
        );
        await assertAlike(relays, async (relay) => {
          const before = joined[relays.indexOf(relay)];
          const after = await tree.ask(relay, path, topic, key);
          return {
            before: [before?.status, await before?.rest()],
            after: [after.status, await after.rest()],
          };
        }, `${name}, for callers who join,`);
        assertEquals(tree.provider.count, index + 1);
      }
    });
  }

  Deno.test(`A response over a WebSocket at the ${place} of a tree ends alike at every level and door`, async () => {
    const { start, delta, ends } = WIRE_FORMATS["Responses"]!; // there is one
    await using tree = await GatewayTree.start(2);
    const { relays } = tree;
    const endings = endingsOf(ends, delta("half"));
    for (const [index, { name, play }] of endings.entries()) {
      const topic = `run-${index}`;
      const told = await follow(relays, topic);
      await using client = ResponsesClient.open(relays[at]!.url, { // of three
        headers: { "Rivulet-Topic": topic },
      });
      client.create();
      const exchange = await tree.next();
      await exchange.stream(start + delta("a"));
      await client.next("response.output_text.delta");
      await play(exchange, () => cancel(relays[other]!, topic)); // of three
      await assertAlike(relays, told, `${name}, as it happens,`);
      await assertAlike(
        relays,
        (relay) => readAll(relay, topic),
        `${name}, afterwards,`,
      );
    }
  });

  Deno.test(`A turn of a chat at the ${place} of a tree ends alike at every level and door`, async () => {
    const { ends } = WIRE_FORMATS["UI"]!; // there is one
    await using tree = await GatewayTree.start(2);
    const { relays } = tree;
    const endings = endingsOf([...ends, ["complete text", REST]], REST);
    for (const [index, { name, play }] of endings.entries()) {
      const id = `${index}`;
      const topic = `raw:${id}`;
      const told = await follow(relays, topic);
      const answer = tree.say(relays[at]!, id); // of three
      const exchange = await tree.next();
      await exchange.stream(BEGIN, UI_HEADER);
      await using caller = await answer;
      await caller.see(BEGIN);
      const tabs = await Promise.all(
        relays.map(({ request }) => request(`/chat/raw/${id}/stream`)),
      );
      await play(exchange, async () => {
        const { request } = relays[other]!; // of three
        const stopped = await request(`/chat/raw/${id}/stop`, {
          method: "POST",
        });
        assertEquals(stopped.status, 204);
      });
      await caller.rest();
      await assertAlike(relays, told, `${name}, as it happens,`);
      await assertAlike(relays, async (relay) => {
        const tab = tabs[relays.indexOf(relay)]!; // one of each
        const over = await relay.request(`/chat/raw/${id}/stream`);
        return {
          ...await readAll(relay, topic),
          tab: [tab.status, await readBody(tab)],
          over: [over.status, over.headers.get("Rivulet-End")],
          chat: await (await relay.request(`/chat/raw/${id}`)).text(),
        };
      }, `${name}, afterwards,`);
    }
  });

  Deno.test(`A response that was made at the ${place} of a tree is resumed at every level`, async () => {
    await using tree = await GatewayTree.start(2);
    const { relays } = tree;
    const events = ["created", "output_text.delta", "completed"].map((
      type,
      sequence_number,
    ) =>
      `data: ${
        JSON.stringify({
          type: `response.${type}`,
          sequence_number,
          response: { id: "resp_1" },
        })
      }\n\n`
    );
    const answer = tree.ask(relays[at]!, "responses", "run"); // of three
    const exchange = await tree.next();
    await exchange.stream(events[0]);
    await using caller = await answer;
    await caller.see(events[0]!); // of three
    const resume = ({ request }: TestRelay) =>
      request("/v1/responses/resp_1?stream=true&starting_after=0");
    const tabs = [await within(resume(relays[at]!), LIMIT, "its own")];
    // The root is told of the response before it makes this topic.
    const made = await relays[at]!.request("/topics/next", { method: "PUT" });
    await made.body?.cancel();
    const others = Promise.all(relays.map(resume));
    tabs.push(...await within(others, LIMIT, "the answers"));
    await exchange.end(events.slice(1).join(""));
    for (const tab of tabs) {
      assertEquals(tab.status, 200);
      const [text = "", ...cut] = await readBody(tab);
      assertEquals(text.replace(/^id: .*\n/gm, ""), events.slice(1).join(""));
      assertEquals(cut, []);
    }
    assertEquals(tree.provider.count, 1);
  });
}
