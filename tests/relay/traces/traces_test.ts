// The spans that a relay exports where OTEL_DENO is set, as a collector
// receives them.
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { ResponsesClient } from "../../support/gateway/responses_client.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { RawProvider } from "../../support/gateway/raw_provider.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import {
  type CollectedSpan,
  SpanCollector,
} from "../../support/observing/span_collector.ts";
import { LIMIT, until } from "../../support/within.ts";

/** OpenTelemetry's numbers. */
const CLIENT = 3;
const ERROR = 2;

/** The secret that no span may contain. */
const SECRET = "sk-hush-hush";
const CONTENT = "of what nobody may hear";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";

const DELTA = `data: ${
  JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta: { content: CONTENT } }],
  })
}\n\n`;
const LAST = `data: ${
  JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
  })
}\n\ndata: [DONE]\n\n`;

const ISSUE = { error: { message: CONTENT, code: "server_error" } };

async function ask(
  relay: RelayCommand,
  topic: string,
  path = "chat/completions",
): Promise<CallerStream> {
  return new CallerStream(
    await fetch(`${relay.url}/raw/v1/${path}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${SECRET}`,
        "rivulet-topic": topic,
        "idempotency-key": topic,
        traceparent: `00-${TRACE}-${CALLER}-01`,
      },
      body: JSON.stringify({
        model: "gpt-5",
        stream: true,
        messages: [{ role: "user", content: CONTENT }],
      }),
    }),
  );
}

function ofTopic(topic: string): (span: CollectedSpan) => boolean {
  return ({ attributes }) => attributes["rivulet.topic"] === topic;
}

Deno.test("Traces have a span for each run, under its caller's, with how it ended and no secret", async () => {
  await using collector = new SpanCollector();
  await using provider = await RawProvider.start();
  await using relay = await RelayCommand.start({
    args: ["--provider", `raw=${provider.url},idempotent`],
    env: collector.env,
  });

  {
    const asked = ask(relay, "whole");
    const exchange = await provider.next();
    await exchange.body();
    // The provider is told of the run's span, once, and not of its caller's.
    assertMatch(
      exchange.header("traceparent") ?? "",
      new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`),
    );
    assert(!exchange.header("traceparent")?.includes(CALLER));
    await exchange.stream(DELTA + DELTA);
    await exchange.end(LAST);
    await using caller = await asked;
    await caller.rest();
  }
  const whole = await collector.span("a run that completes", ofTopic("whole"));
  assertEquals(whole.name, "chat gpt-5");
  assertEquals([whole.kind, whole.status.code], [CLIENT, 0]);
  assertEquals([whole.traceId, whole.parentSpanId], [TRACE, CALLER]);
  assertEquals(whole.attributes, {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "raw",
    "gen_ai.request.model": "gpt-5",
    "http.request.method": "POST",
    "http.response.status_code": 200,
    "rivulet.end.status": "complete",
    "rivulet.events": 4,
    "rivulet.topic": "whole",
    "server.address": "127.0.0.1",
    "server.port": Number(new URL(provider.url).port),
  });
  assertEquals(whole.events.map(({ name }) => name), ["rivulet.streaming"]);
  // Deno's own span of the request is a child of it.
  const request = await collector.span(
    "Deno's request",
    ({ parentSpanId }) => parentSpanId === whole.spanId,
    "deno",
  );
  assertEquals(request.kind, CLIENT);

  {
    const asked = ask(relay, "asked-again");
    (await provider.next()).reset();
    const exchange = await provider.next();
    await exchange.body();
    await exchange.stream(DELTA);
    await exchange.end(`data: ${JSON.stringify(ISSUE)}\n\n`);
    await using caller = await asked;
    await caller.rest();
  }
  const failed = await collector.span("one that fails", ofTopic("asked-again"));
  assertEquals(failed.status.code, ERROR);
  assertEquals(failed.attributes["error.type"], "failed");
  assertEquals(failed.attributes["rivulet.end.status"], "failed");
  assertEquals(
    failed.events.map(({ name, attributes }) => [
      name,
      attributes["rivulet.attempt"],
    ]),
    [["rivulet.retrying", 2], ["rivulet.streaming", undefined]],
  );

  {
    const asked = ask(relay, "unwanted");
    const exchange = await provider.next();
    await exchange.body();
    await exchange.stream(DELTA);
    const cancelled = await fetch(`${relay.url}/topics/unwanted/cancel`, {
      method: "POST",
    });
    await cancelled.body?.cancel();
    await using caller = await asked;
    await caller.rest();
  }
  const cancelled = await collector.span(
    "a cancelled one",
    ofTopic("unwanted"),
  );
  assertEquals(cancelled.status.code, 0);
  assertEquals(cancelled.attributes["error.type"], undefined);
  assertEquals(cancelled.attributes["rivulet.end.status"], "cancelled");

  {
    const asked = ask(relay, "cut");
    const exchange = await provider.next();
    await exchange.body();
    await exchange.stream(DELTA);
    exchange.reset();
    await using caller = await asked;
    await caller.rest();
  }
  const cut = await collector.span("one that breaks off", ofTopic("cut"));
  assertEquals(cut.status.code, ERROR);
  assertEquals(cut.attributes["error.type"], "truncated");

  {
    const asked = ask(relay, "refused", "files/../embeddings");
    const exchange = await provider.next();
    await exchange.body();
    await exchange.json(429, ISSUE);
    await using caller = await asked;
    await caller.rest();
  }
  const refused = await collector.span(
    "one that is refused",
    ({ attributes }) => attributes["http.response.status_code"] === 429,
  );
  assertEquals(refused.name, "embeddings gpt-5");
  assertEquals(refused.attributes["error.type"], "429");
  assertEquals(refused.status.code, ERROR);

  {
    const asked = fetch(`${relay.url}/v1/models/${SECRET}?key=of-a-caller`);
    await (await provider.next()).json(200, { data: [] });
    await (await asked).body?.cancel();
  }
  const other = await collector.span(
    "a request that is no run",
    ({ attributes }) => attributes["http.request.method"] === "GET",
  );
  assertEquals(other.name, "GET /v1/*");
  assertEquals(other.attributes["gen_ai.operation.name"], undefined);

  const ours = JSON.stringify(
    collector.spans.filter(({ scope }) => scope === "rivulet"),
  );
  for (const hidden of [SECRET, CONTENT, "of-a-caller"]) {
    assert(!ours.includes(hidden), hidden);
  }
});

Deno.test("Traces have a span for each upstream, and one for each of its connections", async () => {
  await using collector = new SpanCollector();
  await using upstream = await RawProvider.start();
  const url = new URL(upstream.url);
  url.searchParams.set("token", SECRET);
  const started = RelayCommand.start({
    args: ["--source", `news=${url}`],
    env: collector.env,
  });
  const first = await upstream.next();
  await first.stream("retry: 1\nid: 1\ndata: a\n\nid: 2\ndata: b\n\n");
  {
    await using _relay = await started;
    first.reset();
    const second = await upstream.next();
    await second.answer(503, { "retry-after": "0" });
    const third = await upstream.next();
    await third.stream("id: 3\ndata: c\n\n");
    await third.end();
    const fourth = await upstream.next();
    await fourth.answer(204);

    const whole = await collector.span("the upstream", ofTopic("news"));
    assertEquals(whole.name, "upstream");
    assertEquals([whole.parentSpanId, whole.status.code], ["", 0]);
    assertEquals(whole.attributes, {
      "rivulet.connections": 4,
      "rivulet.end.status": "complete",
      "rivulet.events": 3,
      "rivulet.topic": "news",
      "server.address": "127.0.0.1",
      "server.port": Number(url.port),
    });
    const connections = collector.spans
      .filter(({ parentSpanId }) => parentSpanId === whole.spanId)
      .sort((a, b) =>
        Number(a.attributes["rivulet.connection"]) -
        Number(b.attributes["rivulet.connection"])
      );
    assertEquals(
      connections.map(({ name, kind, status, attributes, events }) => [
        ...[name, kind, status.code],
        attributes["rivulet.events"],
        attributes["http.response.status_code"],
        attributes["error.type"],
        events.length,
      ]),
      [
        ["upstream connection", CLIENT, ERROR, 2, undefined, "connection", 1],
        ["upstream connection", CLIENT, ERROR, 0, 503, "503", 0],
        ["upstream connection", CLIENT, 0, 1, undefined, undefined, 1],
        ["upstream connection", CLIENT, 0, 0, undefined, undefined, 0],
      ],
    );
  }
  const ours = JSON.stringify(
    collector.spans.filter(({ scope }) => scope === "rivulet"),
  );
  assert(!ours.includes(SECRET));
});

Deno.test("Traces say of an upstream that it broke off", async () => {
  await using collector = new SpanCollector();
  await using upstream = await RawProvider.start();
  const started = RelayCommand.start({
    args: ["--source", `news=${upstream.url},once`],
    env: collector.env,
  });
  const exchange = await upstream.next();
  await exchange.stream("data: a\n\n");
  await using _relay = await started;
  exchange.reset();
  const whole = await collector.span("the upstream", ofTopic("news"));
  assertEquals(whole.status.code, ERROR);
  assertEquals(whole.attributes["error.type"], "truncated");
  const [connection] = collector.spans.filter(({ parentSpanId }) =>
    parentSpanId === whole.spanId
  );
  assertEquals(connection?.attributes["error.type"], "connection");
});

Deno.test("Traces are whole when the relay is stopped", async () => {
  await using collector = new SpanCollector();
  await using upstream = await RawProvider.start();
  const started = RelayCommand.start({
    args: ["--source", `news=${upstream.url}`],
    // It needs no permission for that, and exports nothing by the clock.
    env: { ...collector.env, OTEL_BSP_SCHEDULE_DELAY: "600000" },
    permissions: [
      `--allow-net=127.0.0.1:0,${new URL(upstream.url).host}`,
      "--allow-env=RIVULET_*,WS_NO_BUFFER_UTIL",
    ],
  });
  const exchange = await upstream.next();
  await exchange.stream("data: a\n\n");
  {
    await using relay = await started;
    await until(
      async () => {
        const { headers } = await fetch(`${relay.url}/topics/news`, {
          method: "HEAD",
        });
        return headers.get("rivulet-next") === "2" || undefined;
      },
      LIMIT,
      "the event",
    );
    assertEquals(collector.spans, []);
  }
  const whole = await collector.span("the upstream", ofTopic("news"));
  assertEquals(whole.attributes["rivulet.end.status"], undefined);
  assertEquals(whole.status.code, 0);
  const [connection] = collector.spans.filter(({ parentSpanId }) =>
    parentSpanId === whole.spanId
  );
  assertEquals(connection?.attributes, {
    "rivulet.connection": 1,
    "rivulet.events": 1,
    "server.address": "127.0.0.1",
    "server.port": Number(new URL(upstream.url).port),
  });
});

// The page "Run it in production" says what to do with them, for this reason.
Deno.test("Traces have spans of Deno's own, whose URLs are whole", async () => {
  await using collector = new SpanCollector();
  {
    await using relay = await RelayCommand.start({ env: collector.env });
    const answer = await fetch(`${relay.url}/healthz?access_token=${SECRET}`);
    await answer.body?.cancel();
  }
  assertStringIncludes(collector.texts.join("\n"), SECRET);
  const page = await Deno.readTextFile(
    new URL("../../../docs/production.md", import.meta.url),
  );
  assertStringIncludes(page, "url.full");
  assertStringIncludes(page, "url.query");
});

Deno.test("Traces have a span for each turn of a chat, and each response over a WebSocket", async () => {
  await using collector = new SpanCollector();
  await using provider = await RawProvider.start();
  await using relay = await RelayCommand.start({
    args: [
      ...["--provider", `raw=${provider.url}`],
      ...["--chat", `app=${provider.url}/chat`],
    ],
    env: collector.env,
  });
  const traceparent = `00-${TRACE}-${CALLER}-01`;
  {
    const asked = fetch(`${relay.url}/chat/app`, {
      method: "POST",
      headers: { "content-type": "application/json", traceparent },
      body: JSON.stringify({ id: "7", messages: [{ id: "m", role: CONTENT }] }),
    });
    const exchange = await provider.next();
    await exchange.body();
    assertMatch(exchange.header("traceparent") ?? "", new RegExp(TRACE));
    await exchange.stream('data: {"type":"start"}\n\n', {
      "x-vercel-ai-ui-message-stream": "v1",
    });
    await exchange.end('data: {"type":"finish"}\n\ndata: [DONE]\n\n');
    await (await asked).body?.cancel();
  }
  const turn = await collector.span("a turn", ofTopic("app:7"));
  assertEquals([turn.traceId, turn.parentSpanId], [TRACE, CALLER]);
  assertEquals(turn.attributes["rivulet.end.status"], "complete");
  {
    await using client = ResponsesClient.open(relay.url, {
      apiKey: SECRET,
      headers: { traceparent, "rivulet-topic": "agent-*" },
    });
    client.create({ model: "gpt-5", input: CONTENT });
    const exchange = await provider.next();
    await exchange.body();
    const { start, ends } = WIRE_FORMATS["Responses"]!;
    await exchange.stream(start);
    await exchange.end(ends[0]![1]);
    await client.next("response.completed");
  }
  const response = await collector.span(
    "a response",
    ({ attributes }) => `${attributes["rivulet.topic"]}`.startsWith("agent-"),
  );
  assertEquals([response.traceId, response.parentSpanId], [TRACE, CALLER]);
  assertEquals(response.attributes["rivulet.end.status"], "complete");
  assertEquals(response.attributes["gen_ai.request.model"], "gpt-5");
  const told = JSON.stringify(collector.spans);
  assert(!told.includes(SECRET) && !told.includes(CONTENT), told);
});
