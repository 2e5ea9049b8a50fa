// The relay is closed while runs are going on: nothing is left of them, and nobody takes a part for the whole.
import { assert, assertEquals } from "@std/assert";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { LIMIT, startGateway } from "../../support/gateway/gateway_world.ts";
import { RawCaller } from "../../support/http/raw_caller.ts";
import { within } from "../../support/within.ts";
import { needsOneProcess } from "../../support/relay/shape.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";

const { start, ends } = WIRE_FORMATS["Chat"]!;

Deno.test("Closing cuts every run, whatever it is doing", async () => {
  await using world = await startGateway();
  const named = (name: string): { headers: Record<string, string> } => ({
    headers: { "rivulet-topic": name, "idempotency-key": name },
  });
  const waiting = await world.begin(named("waiting"));
  const joining = world.ask(named("waiting"));
  joining.catch(() => {});
  const empty = await world.begin(named("empty"));
  await empty.exchange.stream();
  await (await empty.answer);
  const streaming = await world.begin(named("streaming"));
  await streaming.exchange.stream(start);
  await (await streaming.answer).see(start);
  const done = await world.begin(named("done"));
  await done.exchange.stream(start + ends[0]![1]);
  await (await done.answer).see(ends[0]![1]);
  assertEquals((await world.ended("done")).status, "complete");
  const left = await world.begin(named("left"));
  await left.exchange.stream(start);
  await (await left.answer).see(start);
  await (await left.answer).leave();
  const plain = world.request("/v1/models");
  const plainExchange = await world.provider.next();
  await plainExchange.head(200);
  await plainExchange.write("[");
  const plainCaller = new CallerStream(await plain);
  await plainCaller.see("[");
  const refused = await world.begin(named("refused"));
  await refused.exchange.json(429, {});
  await (await refused.answer).rest();

  const topics = new Map(
    [...world.relay.topics].map((topic) => [topic.name, topic]),
  );
  const closed = world.relay.close();
  const exchanges = [
    ...[waiting, empty, streaming, done, left].map(({ exchange }) => exchange),
    plainExchange,
  ];
  for (const exchange of exchanges) {
    await within(exchange.closed, LIMIT, "the provider's connection to close");
  }
  const unanswered = await waiting.answer;
  assertEquals(unanswered.status, 502);
  assertEquals(
    (await unanswered.problem())["detail"],
    "Expected an answer of the provider, and there is none: The relay was closed",
  );
  assertEquals((await (await joining).rest()).text.includes("draining"), true);
  assertEquals(await (await empty.answer).rest(), { text: "", end: "cut" });
  assertEquals(await (await streaming.answer).rest(), {
    text: start,
    end: "cut",
  });
  assertEquals((await plainCaller.rest()).end, "cut");
  // All was said, and only the provider's close was waited for.
  assertEquals(await (await done.answer).rest(), {
    text: start + ends[0]![1],
    end: "whole",
  });
  await within(closed, LIMIT, "the relay to close");
  const verdicts: Record<string, unknown> = {};
  for (const [name, topic] of topics) {
    verdicts[name] = topic.state.kind === "ended"
      ? topic.state.end.status
      : topic.state.kind;
  }
  assertEquals(verdicts, {
    waiting: "failed",
    empty: "truncated",
    streaming: "truncated",
    done: "complete",
    left: "truncated",
    // It was waited for by nobody but the relay.
    refused: "pending",
  });
});

Deno.test("A relay that was drained to its end has no run left", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin();
  await exchange.stream(start);
  await (await answer).see(start);
  await within(world.relay.drain(0), LIMIT, "the drain");
  assertEquals(await (await answer).rest(), { text: start, end: "cut" });
  await within(exchange.closed, LIMIT, "the provider's connection to close");
});

Deno.test("A body that comes when the relay is closed begins no run", async () => {
  for (const body of ['{"stream":true}', '{"stream":false}']) {
    await using world = await startGateway();
    using caller = await RawCaller.open(world.port);
    caller.head("POST", "/v1/responses", {
      "content-type": "application/json",
      "content-length": String(body.length),
    });
    caller.send(body.slice(0, 5));
    // The relay has the head by now: it answers what came after it.
    await (await world.request("/healthz")).body?.cancel();
    const closed = world.relay.close();
    caller.send(body.slice(5));
    const answer = await caller.see("draining");
    assert(answer.startsWith("HTTP/1.1 503 "), answer);
    await within(closed, LIMIT, "the relay to close");
    assertEquals(world.provider.count, 0);
    assertEquals([...world.relay.topics], []);
  }
});

Deno.test("Closing leaves no timer of a run behind", async () => {
  needsOneProcess("the timers of the relay alone");
  const clock = new FakeClock();
  await using world = await startGateway({
    clock,
    gateway: { idleCancel: 60_000 },
  });
  const streaming = await world.begin({ headers: { "rivulet-topic": "a" } });
  await streaming.exchange.stream(start);
  await (await streaming.answer).see(start);
  await (await streaming.answer).leave();
  const refused = await world.begin({ headers: { "rivulet-topic": "b" } });
  await refused.exchange.json(429, {});
  await (await refused.answer).rest();
  const dying = await world.begin({ headers: { "rivulet-topic": "c" } });
  dying.exchange.reset();
  await within(world.relay.close(), LIMIT, "the relay to close");
  await (await dying.answer).rest();
  assertEquals(clock.pending, 0);
});
