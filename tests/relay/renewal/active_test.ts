// GET /topics/NAME?active: what goes on now, or 204.
import { assertEquals } from "@std/assert";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { startRelay } from "../../support/relay/relay.ts";

const { path, start, delta, ends } = WIRE_FORMATS["Responses"]!;

Deno.test("?active is 204 where nothing goes on, and makes no topic", async () => {
  for (const awaitTopics of [true, false]) {
    await using world = await startRelay({ delivery: { awaitTopics } });
    const { topics } = world.relay;
    const ask = async (query = "") => {
      const response = await world.request(`/topics/t?active${query}`);
      await response.body?.cancel();
      return [response.status, response.headers.get("rivulet-end")];
    };
    assertEquals(await ask(), [204, null]);
    assertEquals(topics.size, 0);
    const topic = topics.create("t");
    assertEquals(await ask(), [204, null], "nothing fills it");
    topic.open();
    assertEquals(await ask(), [200, null]);
    topic.end("failed");
    assertEquals(await ask(), [204, "failed"]);
    assertEquals(await ask("&raw"), [204, "failed"]);
    assertEquals(await ask("=false"), [200, null]);
    topics.renew("t").open();
    assertEquals(await ask("&raw"), [200, null]);
  }
});

Deno.test("?active&raw gives a run from its start, whatever the reader has read before", async () => {
  await using world = await startGateway();
  const headers = { "rivulet-topic": "t", "rivulet-if-ended": "renew" };
  const first = await world.begin({ path, headers });
  await first.exchange.stream(start + delta("a") + ends[0]![1]);
  await first.exchange.end();
  const epoch = (await first.answer).header("rivulet-epoch");
  await (await first.answer).rest();
  const second = await world.begin({ path, headers });
  // The provider is asked: something goes on.
  const requests = ["", `${epoch}:1`].map((id) =>
    world.request("/topics/t?active&raw", {
      headers: id === "" ? {} : { "last-event-id": id },
    })
  );
  const answers = await Promise.all(requests);
  assertEquals(answers.map(({ status }) => status), [200, 200]);
  await second.exchange.stream(start + delta("b") + ends[0]![1]);
  await second.exchange.end();
  await (await second.answer).rest();
  for (const answer of answers) {
    const text = await answer.text();
    assertEquals(text.match(/"delta":"\w"/g), ['"delta":"b"']);
  }
});
