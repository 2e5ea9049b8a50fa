// OpenAI's own resumption, answered from the topic while that has what is asked for.
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { offsetAfter } from "../../../relay/gateway/starting_after.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import {
  type GatewayWorld,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { propertyParameters } from "../../support/property.ts";
import { readEvents } from "../../../src/sse/read_events.ts";

function event(type: string, number: number): string {
  return `event: ${type}\ndata: ${
    JSON.stringify({
      type,
      sequence_number: number,
      response: { id: "resp_1" },
    })
  }\n\n`;
}

const CREATED = event("response.created", 0);
const DELTAS = [1, 2, 3, 4].map((number) =>
  event("response.output_text.delta", number)
);
const COMPLETED = event("response.completed", 5);
const DONE = "data: [DONE]\n\n";
const WHOLE = [CREATED, ...DELTAS, COMPLETED, DONE];

async function resume(
  world: GatewayWorld,
  query = "",
  headers: Readonly<Record<string, string>> = {},
): Promise<CallerStream> {
  return new CallerStream(
    await world.request(`/v1/responses/resp_1?stream=true${query}`, {
      headers,
    }),
  );
}

/** The data of the events of a text. */
async function dataOf(text: string): Promise<string[]> {
  const events = await Array.fromAsync(readEvents(new Blob([text]).stream()));
  return events.map(({ data }) => data);
}

async function run(
  world: GatewayWorld,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { exchange, answer } = await world.begin({
    path: "responses",
    headers: { "rivulet-topic": "t", ...headers },
  });
  await exchange.stream(WHOLE.join(""));
  await exchange.end();
  await (await answer).rest();
}

/** Checks that a request goes to the provider. */
async function assertForwarded(
  world: GatewayWorld,
  asked: Promise<CallerStream>,
  query = "",
): Promise<void> {
  const exchange = await world.provider.next();
  assertEquals(
    exchange.target,
    `/base/v1/responses/resp_1?stream=true${query}`,
  );
  await exchange.json(404, { error: { message: "Not here" } });
  const caller = await asked;
  assertEquals(caller.status, 404);
  await caller.rest();
}

Deno.test("The rest of a response is had from its topic, after each of its events", async () => {
  await using world = await startGateway();
  await run(world);
  const wire = await dataOf(WHOLE.join(""));
  for (const number of [undefined, -1, 0, 1, 2, 3, 4, 5]) {
    const caller = await resume(
      world,
      number === undefined ? "" : `&starting_after=${number}`,
    );
    assertEquals(caller.status, 200);
    assertEquals(caller.header("rivulet-topic"), "t");
    assertEquals(
      caller.header("content-type")?.split(";")[0],
      "text/event-stream",
    );
    const { text, end } = await caller.rest();
    assertEquals(end, "whole");
    assertEquals(await dataOf(text), wire.slice((number ?? -1) + 1));
  }
  assertEquals(world.provider.count, 1);
});

Deno.test("The rest of a response that has no [DONE] is nothing after its last event", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin({ path: "responses" });
  await exchange.stream(WHOLE.slice(0, -1).join(""));
  await exchange.end();
  await (await answer).rest();
  await world.ended((await answer).header("rivulet-topic") ?? "");
  const caller = await resume(world, "&starting_after=5");
  assertEquals(caller.status, 200);
  assertEquals(caller.header("content-type"), "text/event-stream");
  assertEquals(await caller.rest(), { text: "", end: "whole" });
  assertEquals(world.provider.count, 1);
});

Deno.test("The rest of a response is followed while it is going on", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin({ path: "responses" });
  await exchange.stream(CREATED + DELTAS[0] + DELTAS[1]);
  await (await answer).see(DELTAS[1]!);
  const topic = (await answer).header("rivulet-topic") ?? "";
  const callers: CallerStream[] = [];
  for (const number of [-1, 0, 1, 2]) {
    callers.push(await resume(world, `&starting_after=${number}`));
  }
  await world.followed(topic, 4);
  await exchange.end(WHOLE.slice(3).join(""));
  const wire = await dataOf(WHOLE.join(""));
  for (const [index, caller] of callers.entries()) {
    const { text, end } = await caller.rest();
    assertEquals(end, "whole");
    assertEquals(await dataOf(text), wire.slice(index));
  }
  await (await answer).rest();
  assertEquals(world.provider.count, 1);
});

Deno.test("What the topic cannot answer is forwarded", async () => {
  await using world = await startGateway();
  await assertForwarded(world, resume(world));
  await run(world);
  for (
    const query of [
      "&starting_after=6", // there was no such event
      "&starting_after=100",
      "&starting_after=x",
      "&starting_after=",
      "&starting_after=-2",
      "&starting_after=1.5",
    ]
  ) {
    await assertForwarded(world, resume(world, query), query);
  }
  for (
    const [method, target] of [
      ["GET", "responses/resp_1"],
      ["GET", "responses/resp_1?stream=false"],
      ["GET", "responses/resp_2?stream=true"],
      ["GET", "responses/resp_1/input_items?stream=true"],
      ["GET", "other/resp_1?stream=true"],
      ["DELETE", "responses/resp_1?stream=true"],
      ["POST", "responses/resp_1/cancel"],
    ] as const
  ) {
    const asked = world.request(`/v1/${target}`, { method });
    const exchange = await world.provider.next();
    assertEquals([exchange.method, exchange.target], [
      method,
      `/base/v1/${target}`,
    ]);
    await exchange.json(200, {});
    assertEquals(await (await asked).json(), {});
  }
  await world.remove("t");
  await assertForwarded(world, resume(world));
});

Deno.test("What is no longer retained is forwarded", async () => {
  await using world = await startGateway({ retention: { maxEvents: 3 } });
  await run(world);
  // Of seven events those numbered 4 and 5 are left, and the last.
  for (const query of ["", "&starting_after=0", "&starting_after=3"]) {
    await assertForwarded(world, resume(world, query), query);
  }
  const { text } = await (await resume(world, "&starting_after=4")).rest();
  assertEquals(await dataOf(text), await dataOf(COMPLETED + DONE));
});

Deno.test("A response is had by who has the key it was made with", async () => {
  await using world = await startGateway();
  await run(world, { authorization: "Bearer mine" });
  for (
    const headers of [
      {},
      { authorization: "Bearer other" },
      { authorization: "Bearer mine", "x-api-key": "other" },
    ]
  ) {
    await assertForwarded(world, resume(world, "", headers));
  }
  const mine = await resume(world, "", { authorization: "Bearer mine" });
  assertEquals((await mine.rest()).text.includes("response.completed"), true);
});

Deno.test("Where the key is the relay's, a response is had by everybody", async () => {
  await using world = await startGateway({}, { key: "relay-key" });
  await run(world, { authorization: "Bearer mine" });
  const other = await resume(world, "", { authorization: "Bearer other" });
  assertEquals((await other.rest()).text.includes("response.completed"), true);
  assertEquals(world.provider.count, 1);
});

Deno.test("A response of another provider is not had by its id", async () => {
  await using world = await startGateway();
  await using other = await startGateway({
    gateway: {
      providers: [
        { name: "raw", url: world.provider.url },
        { name: "other", url: world.provider.url },
      ],
    },
  });
  const begun = world.provider.next();
  const asked = other.request("/v1/responses", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"stream":true}',
  });
  const exchange = await begun;
  await exchange.stream(WHOLE.join(""));
  await exchange.end();
  await (await asked).text();
  const forwarded = other.request("/other/v1/responses/resp_1?stream=true");
  await (await world.provider.next()).json(200, {});
  assertEquals(await (await forwarded).json(), {});
  const retained = await other.request("/raw/v1/responses/resp_1?stream=true");
  assertEquals((await dataOf(await retained.text())).length, 7);
});

Deno.test("offsetAfter finds the event after a number, or says that it cannot", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(60), { maxLength: 30 }),
      fc.nat(3),
      fc.integer({ min: 1, max: 40 }),
      async (numbers, trailing, maxEvents) => {
        const log = new MemoryLog(
          { maxEvents, maxBytes: Infinity, maxAge: Infinity },
          new FakeClock(),
        );
        numbers.sort((a, b) => a - b);
        const data = [
          ...numbers.map((number) => `{"sequence_number":${number}}`),
          ...["[DONE]", "{}", ""].slice(0, trailing),
        ];
        for (const text of data) {
          log.append([{ event: "message", data: text, id: "" }]);
        }
        for (let number = -1; number <= 61; number++) {
          const index = numbers.indexOf(number);
          const isThere = number < 0
            ? log.first === 1
            : index >= 0 && index + 1 >= log.first;
          assertEquals(
            await offsetAfter(log, number),
            isThere ? index + 2 : undefined,
            `after ${number}`,
          );
        }
      },
    ),
    propertyParameters(100),
  );
});
