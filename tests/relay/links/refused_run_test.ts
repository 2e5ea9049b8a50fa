// A run that is refused at one edge is made anew by a caller that waits for it at another.
import { assertEquals } from "@std/assert";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { RawProvider } from "../../support/gateway/raw_provider.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { LIMIT, until } from "../../support/within.ts";

const { start, delta, ends } = WIRE_FORMATS["Chat"]!;
const WHOLE = start + delta("a") + ends[0]![1];

Deno.test("A caller that waits at another edge for a run that is refused makes it anew", async () => {
  await using provider = await RawProvider.start();
  await using root = await startRelay({ links: true }, "process");
  const options = {
    store: root.url,
    gateway: { providers: [{ name: "raw", url: `${provider.url}/v1` }] },
  };
  await using one = await startRelay(options, "process");
  await using other = await startRelay(options, "process");
  const ask = async ({ request }: TestRelay): Promise<CallerStream> =>
    new CallerStream(
      await request("/v1/chat/completions", {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": "k" },
        body: JSON.stringify({ stream: true }),
      }),
    );
  const refused = ask(one);
  const first = await provider.next();
  await first.body();
  const waiting = ask(other);
  // It waits for the topic of the first run.
  await until(
    () => [...other.relay.topics][0],
    LIMIT,
    "the second caller to wait",
  );
  await first.json(429, {});
  assertEquals((await refused).status, 429);
  await (await refused).rest();
  const again = await Promise.race([
    provider.next(),
    waiting.then(async (caller) => {
      throw new Error(`${caller.status} ${(await caller.rest()).text}`);
    }),
  ]);
  await again.stream(WHOLE);
  await again.end();
  assertEquals(await (await waiting).rest(), { text: WHOLE, end: "whole" });
});
