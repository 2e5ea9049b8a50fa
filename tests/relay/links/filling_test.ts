// Relays of a tree know what fills a topic at an edge, and what becomes of it without the edge.
import { assertEquals } from "@std/assert";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { GatewayTree } from "../../support/links/gateway_tree.ts";
import { describeRemoteTopic } from "../../support/relay/remote_topic.ts";
import { LIMIT, until } from "../../support/within.ts";

const { path, start, delta, ends } = WIRE_FORMATS["Chat"]!;

for (const levels of [1, 2]) {
  Deno.test(`All relays know what fills a topic, ${levels} levels below the root`, async () => {
    await using tree = await GatewayTree.start(levels);
    const edge = tree.relays.at(-1)!;
    const asked = tree.ask(edge, path, "t");
    const exchange = await tree.provider.next();
    await exchange.stream(start);
    const caller = await asked;
    for (const { url, relay } of tree.relays) {
      await until(
        async () =>
          (await describeRemoteTopic(url, "t"))?.state === "open" || undefined,
        LIMIT,
        `the topic at ${url}`,
      );
      const { source, filling } = relay.topics.get("t")!;
      assertEquals([source, filling], [
        "raw chat/completions",
        '{"kind":"lost"}',
      ]);
    }
    await exchange.end(delta("a") + ends[0]![1]);
    await caller.rest();
  });
}
