import { assert, assertEquals, assertMatch } from "@std/assert";
import { z } from "zod";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
const ACCEPT_JSON = { Accept: "application/json" };
const ACCEPT_SSE = { Accept: "text/event-stream" };

const published = z.strictObject({
  epoch: z.string(),
  first: z.number(),
  next: z.number(),
});

async function post(
  { request }: TestRelay,
  topic: string,
  body: BodyInit,
  headers: Record<string, string> = JSON_TYPE,
): Promise<z.infer<typeof published>> {
  const response = await request(`/topics/${topic}`, {
    method: "POST",
    headers,
    body,
  });
  assertEquals(response.status, 200);
  return published.parse(await response.json());
}

const page = z.object({
  epoch: z.string(),
  offset: z.number(),
  next: z.number(),
  recovered: z.boolean(),
  state: z.string(),
  end: z.unknown().optional(),
  events: z.array(z.unknown()),
});

async function read(
  { request }: TestRelay,
  topic: string,
  query = "",
): Promise<z.infer<typeof page>> {
  const response = await request(`/topics/${topic}${query}`, {
    headers: ACCEPT_JSON,
  });
  assertEquals(response.status, 200);
  return page.parse(await response.json());
}

/** Requires a refusal as the protocol has it. */
async function assertProblem(
  response: Response,
  status: number,
  code: string,
): Promise<Record<string, unknown>> {
  const text = await response.text();
  assertEquals([response.status, text.length > 0], [status, true], text);
  assertEquals(
    response.headers.get("content-type"),
    "application/problem+json",
  );
  const problem = z.looseObject({
    code: z.string(),
    title: z.string().min(1),
    detail: z.string().min(1),
  }).parse(JSON.parse(text));
  assertEquals(problem.code, code, text);
  return problem;
}

Deno.test("POST appends in each of its types, and creates the topic", async () => {
  await using relay = await startRelay();
  const { epoch } = await post(
    relay,
    "t",
    `{"data":"a","event":"x","id":"7"}`,
  );
  assertEquals(
    await post(relay, "t", `[{"data":"b"},{"data":""}]`),
    { epoch, first: 2, next: 4 },
  );
  assertEquals(
    await post(relay, "t", "two\r\nlines", { "Content-Type": "text/plain" }),
    { epoch, first: 4, next: 5 },
  );
  assertEquals(
    await post(relay, "t", "event: y\nid: 9\ndata: c\n\ndata: d\n\ndata: cut", {
      "Content-Type": "text/event-stream; charset=utf-8",
    }),
    { epoch, first: 5, next: 7 },
  );
  assertEquals(await read(relay, "t"), {
    epoch,
    offset: 1,
    next: 7,
    recovered: true,
    state: "open",
    events: [
      { event: "x", data: "a", id: "7" },
      { data: "b" },
      { data: "" },
      { data: "two\nlines" },
      { event: "y", data: "c", id: "9" },
      { data: "d", id: "9" },
    ],
  });
});

Deno.test("POST of an event stream shows events as they arrive", async () => {
  await using relay = await startRelay();
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const bytes = (text: string) => new TextEncoder().encode(text);
  const answer = relay.request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": "text/event-stream" },
    body: readable,
  });
  const topic = relay.relay.topics.await("t");
  const next = () =>
    new Promise<number>((resolve) => {
      const stop = topic.observe({
        changed: () => {
          stop();
          resolve(topic.log.next);
        },
      });
    });
  for (let event = 1; event <= 3; event++) {
    const changed = next();
    await writer.write(bytes(`data: ${event}\n\n`));
    assertEquals(await changed, event + 1);
  }
  await writer.close();
  assertEquals(published.parse(await (await answer).json()).next, 4);
});

Deno.test("POST refuses what it cannot append, and says so", async (t) => {
  await using relay = await startRelay({
    limits: { maxBody: 1_000, maxEvent: 900 },
  });
  // deno-fmt-ignore
  const table: [string, string | undefined, string, number, string][] = [
    ["no type", undefined, "x", 415, "unsupported_media_type"],
    ["another type", "text/html", "x", 415, "unsupported_media_type"],
    ["no JSON", "application/json", "{", 400, "invalid_body"],
    ["no data", "application/json", "{}", 400, "invalid_body"],
    ["data of another type", "application/json", `{"data":1}`, 400, "invalid_body"],
    ["an unknown field", "application/json", `{"data":"","x":1}`, 400, "invalid_body"],
    ["an empty array", "application/json", "[]", 400, "invalid_body"],
    ["one bad among good", "application/json", `[{"data":""},{}]`, 400, "invalid_body"],
    ["a line end in the event", "application/json", `{"data":"","event":"a\\nb"}`, 400, "invalid_body"],
    ["a line end in the id", "application/json", `{"data":"","id":"a\\rb"}`, 400, "invalid_body"],
    ["NUL in the id", "application/json", `{"data":"","id":"\\u0000"}`, 400, "invalid_body"],
    ["too much text", "text/plain", "x".repeat(1_001), 413, "body_too_large"],
    ["too much JSON", "application/json", `{"data":"${"x".repeat(1_000)}"}`, 413, "body_too_large"],
    ["too large an event", "text/event-stream", `data: ${"x".repeat(1_001)}\n\n`, 413, "event_too_large"],
    ["too large an event of JSON", "application/json", `[{"data":"a"},{"data":"${"x".repeat(901)}"}]`, 413, "event_too_large"],
    ["too large an event of text", "text/plain", "x".repeat(901), 413, "event_too_large"],
  ];
  for (const [name, type, body, status, code] of table) {
    await t.step(name, async () => {
      const response = await relay.request("/topics/t", {
        method: "POST",
        headers: type === undefined ? {} : { "Content-Type": type },
        body: new TextEncoder().encode(body),
      });
      await assertProblem(response, status, code);
      const topic = relay.relay.topics.await("t");
      assertEquals(topic.log.next, 1, "nothing was appended");
      assert(relay.relay.topics.isAwaited(topic), "it will be forgotten");
    });
  }
});

Deno.test("POST tells what was appended before a stream broke a limit", async () => {
  await using relay = await startRelay({ limits: { maxEvent: 1_000 } });
  const response = await relay.request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": "text/event-stream" },
    body: new ReadableStream({
      start(controller) {
        const bytes = (text: string) => new TextEncoder().encode(text);
        controller.enqueue(bytes("data: a\n\ndata: b\n\n"));
        controller.enqueue(bytes(`data: ${"x".repeat(2_000)}\n\n`));
        controller.close();
      },
    }),
  });
  const { added } = await assertProblem(response, 413, "event_too_large");
  const { epoch } = relay.relay.topics.get("t")!.log;
  assertEquals(added, { epoch, first: 1, next: 3 });
});

Deno.test("POST with an Idempotency-Key appends once", async () => {
  await using relay = await startRelay();
  const keyed = { ...JSON_TYPE, "Idempotency-Key": "k1" };
  const once = await post(relay, "t", `{"data":"a"}`, keyed);
  assertEquals(await post(relay, "t", `{"data":"a"}`, keyed), once);
  const other = { ...JSON_TYPE, "Idempotency-Key": "k2" };
  assertEquals((await post(relay, "t", `{"data":"a"}`, other)).first, 2);
  assertEquals((await post(relay, "u", `{"data":"a"}`, keyed)).first, 1);
});

Deno.test("POST with an Idempotency-Key goes on with a stream that broke off", async () => {
  await using relay = await startRelay({ limits: { maxEvent: 100 } });
  const headers = {
    "Content-Type": "text/event-stream",
    "Idempotency-Key": "k",
  };
  const broken = await relay.request("/topics/t", {
    method: "POST",
    headers,
    body: `data: a\n\ndata: b\n\ndata: ${"x".repeat(200)}`,
  });
  await assertProblem(broken, 413, "event_too_large");
  await post(relay, "t", "data: a\n\ndata: b\n\ndata: c\n\n", headers);
  assertEquals((await read(relay, "t")).events, [
    { data: "a" },
    { data: "b" },
    { data: "c" },
  ]);
});

Deno.test("POST with an Idempotency-Key that is in use is refused", async () => {
  await using relay = await startRelay();
  const headers = {
    "Content-Type": "text/event-stream",
    "Idempotency-Key": "k",
  };
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const first = relay.request("/topics/t", {
    method: "POST",
    headers,
    body: readable,
  });
  const topic = relay.relay.topics.await("t");
  const opened = new Promise<void>((resolve) => {
    const stop = topic.observe({
      changed: () => {
        stop();
        resolve();
      },
    });
  });
  await writer.write(new TextEncoder().encode("data: a\n\n"));
  await opened;
  const second = await relay.request("/topics/t", {
    method: "POST",
    headers,
    body: "data: a\n\n",
  });
  await assertProblem(second, 409, "key_in_use");
  await writer.close();
  assertEquals((await (await first).json()).next, 2);
});

Deno.test("GET gives pages, up to the end", async () => {
  await using relay = await startRelay({ retention: { maxEvents: 6 } });
  const events = Array.from({ length: 10 }, (_, i) => ({ data: `${i + 1}` }));
  const { epoch } = await post(relay, "t", JSON.stringify(events));
  const first = await read(relay, "t", "?limit=4");
  assertEquals([first.offset, first.next, first.events.length], [5, 9, 4]);
  const second = await read(relay, "t", `?limit=4&after=${epoch}:8`);
  assertEquals(second.events, [{ data: "9" }, { data: "10" }]);
  assertEquals([second.offset, second.next, second.end], [9, 11, undefined]);
  assertEquals((await read(relay, "t", "?after=now")).events, []);
  for (const lost of [`${epoch}:2`, `${epoch}:11`, "another_log:7"]) {
    const { recovered, offset } = await read(relay, "t", `?after=${lost}`);
    assertEquals([recovered, offset], [false, 5], lost);
  }
  relay.relay.topics.get("t")?.end("failed", "why");
  assertEquals((await read(relay, "t", "?limit=2")).end, undefined);
  assertEquals((await read(relay, "t")).end, {
    offset: 11,
    status: "failed",
    reason: "why",
  });
  const atEnd = await read(relay, "t", `?after=${epoch}:11`);
  assertEquals([atEnd.recovered, atEnd.events], [true, []]);
});

Deno.test("GET refuses a query that it cannot follow", async () => {
  await using relay = await startRelay();
  await post(relay, "t", `{"data":"a"}`);
  const pages = [
    ["?after=x", "invalid_position"],
    ["?limit=0", "invalid_query"],
    ["?limit=x", "invalid_query"],
    ["?limit=1e2", "invalid_query"],
    ["?limit=1001", "invalid_query"],
  ] as const;
  for (const [query, code] of pages) {
    const response = await relay.request(`/topics/t${query}`, {
      headers: ACCEPT_JSON,
    });
    await assertProblem(response, 400, code);
  }
  const queries = [
    ["?after=x", "invalid_position"],
    ["?mode=merge", "unsupported"],
    ["?window=1000", "unsupported"],
    ["?snapshot", "unsupported"],
  ] as const;
  for (const [query, code] of queries) {
    const stream = await relay.request(`/topics/t${query}`, {
      headers: ACCEPT_SSE,
    });
    await assertProblem(stream, 400, code);
  }
  const picture = await relay.request("/topics/t", {
    headers: { Accept: "image/png" },
  });
  await assertProblem(picture, 406, "not_acceptable");
});

Deno.test("HEAD tells where a topic is", async () => {
  await using relay = await startRelay();
  const { epoch } = await post(relay, "t", `{"data":"a"}`);
  const head = async () => {
    const { headers, status } = await relay.request("/topics/t", {
      method: "HEAD",
    });
    assertEquals(status, 200);
    return ["epoch", "next", "state"]
      .map((name) => headers.get(`rivulet-${name}`));
  };
  assertEquals(await head(), [epoch, "2", "open"]);
  relay.relay.topics.get("t")?.end("complete");
  assertEquals(await head(), [epoch, "2", "ended"]);
});

Deno.test("PUT makes a topic once", async () => {
  await using relay = await startRelay();
  const put = () => relay.request("/topics/t", { method: "PUT" });
  const created = await put();
  assertEquals(created.status, 201);
  assertEquals(created.headers.get("location"), "/topics/t");
  const { name, state, next, subscribers, source } = await created.json();
  assertEquals(
    { name, state, next, subscribers, source },
    { name: "t", state: "pending", next: 1, subscribers: 0, source: null },
  );
  const same = await put();
  assertEquals([same.status, (await same.json()).name], [200, "t"]);
});

Deno.test("PUT makes a topic with a source that the operator has allowed", async () => {
  await using upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      new Response(`data: ${request.headers.get("x-key")}\n\n`, {
        headers: { "Content-Type": "text/event-stream" },
      }),
  );
  const origin = `http://127.0.0.1:${upstream.addr.port}`;
  await using relay = await startRelay({
    rights: {
      allowSources: [`${origin}/allowed/*`],
      allowAddresses: ["127.0.0.0/8"],
    },
  });
  const put = (source: Record<string, unknown>, topic = "t") =>
    relay.request(`/topics/${topic}`, {
      method: "PUT",
      body: JSON.stringify({ source }),
    });
  const allowed = {
    url: `${origin}/allowed/x?token=secret`,
    headers: { "X-Key": "k" },
    reconnect: false,
  };
  const created = await put(allowed);
  assertEquals(created.status, 201);
  assert(!(await created.text()).includes("secret"));
  await relay.relay.topics.get("t")?.ended;
  assertEquals((await read(relay, "t")).events, [{ data: "k" }]);

  const same = await put(allowed);
  assertEquals([same.status, (await same.json()).name], [200, "t"]);
  for (
    const other of [
      { ...allowed, url: `${origin}/allowed/y` },
      { ...allowed, reconnect: true },
      { ...allowed, repeats: "drop" },
    ]
  ) await assertProblem(await put(other), 409, "topic_exists");
  for (
    const url of [
      `${origin}/`,
      `${origin}/allowed/../other`,
      `${origin.replace("//", "//user@")}/allowed/`,
      "http://127.0.0.1:1/allowed/",
    ]
  ) {
    await assertProblem(await put({ url }, "u"), 403, "source_not_allowed");
  }
  for (
    const [source, code] of [
      [{ url: "file:///etc/passwd" }, "invalid_body"],
      [{ url: "nothing" }, "invalid_body"],
      [{ ...allowed, headers: { Host: "x" } }, "invalid_body"],
      [{ ...allowed, reconnect: "yes" }, "invalid_body"],
      [{ ...allowed, reconnect: { minTimeout: 99 } }, "invalid_body"],
      [{ ...allowed, reconnect: { maxTimeout: 10 } }, "invalid_body"],
      [{ ...allowed, reconnect: { maxAttempts: 0 } }, "invalid_body"],
      [{ ...allowed, reconnect: { decide: 1 } }, "invalid_body"],
      [{ ...allowed, repeats: "no" }, "invalid_body"],
    ] as const
  ) {
    await assertProblem(await put(source, "u"), 400, code);
  }
  assertEquals(relay.relay.topics.get("u"), undefined);
});

Deno.test("POST to /end ends a topic, and a later verdict does not stand", async () => {
  await using relay = await startRelay();
  await post(relay, "t", `{"data":"a"}`);
  const end = (body: string | null) =>
    relay.request("/topics/t/end", { method: "POST", body });
  const ended = await end(`{"status":"failed","reason":"why"}`);
  assertEquals((await ended.json()).end, { status: "failed", reason: "why" });
  const again = await end(`{"status":"failed"}`);
  assertEquals([again.status, (await again.json()).end.reason], [200, "why"]);
  await assertProblem(await end(null), 409, "topic_ended");
  await assertProblem(await end(`{"status":"no"}`), 400, "invalid_body");
  const late = await relay.request("/topics/t", {
    method: "POST",
    headers: JSON_TYPE,
    body: `{"data":"b"}`,
  });
  await assertProblem(late, 409, "topic_ended");
});

Deno.test("POST to /cancel ends a topic as cancelled, unless it has ended otherwise", async () => {
  await using relay = await startRelay();
  const cancel = (topic: string, body: string | null = null) =>
    relay.request(`/topics/${topic}/cancel`, { method: "POST", body });
  const { epoch } = await post(relay, "t", `{"data":"a"}`);
  const cancelled = await cancel("t", `{"reason":"enough"}`);
  const told = await cancelled.json();
  const { createdAt, firstEventAt, lastEventAt, endedAt } = told;
  assert(createdAt <= firstEventAt && lastEventAt <= endedAt);
  assertEquals([cancelled.status, told], [200, {
    ...{ name: "t", state: "ended", epoch, first: 1, next: 2, bytes: 8 },
    ...{ createdAt, firstEventAt, lastEventAt, endedAt },
    subscribers: 0,
    source: null,
    end: { status: "cancelled", reason: "enough" },
  }]);
  const again = await cancel("t", "{}");
  assertEquals([again.status, (await again.json()).end.reason], [
    200,
    "enough",
  ]);
  await post(relay, "done", `{"data":"a"}`);
  relay.relay.topics.get("done")?.end("failed", "why");
  const { end } = await assertProblem(await cancel("done"), 409, "topic_ended");
  assertEquals(end, { status: "failed", reason: "why" });
  await post(relay, "open", `{"data":"a"}`);
  const tooLong = JSON.stringify({ reason: "x".repeat(1_001) });
  for (const body of ["{", "[]", `{"status":"complete"}`, tooLong]) {
    await assertProblem(await cancel("open", body), 400, "invalid_body");
  }
  const { topics } = await (await relay.request("/topics")).json();
  assertEquals(
    topics.map(({ state, end }: { state: string; end?: unknown }) => [
      state,
      end,
    ]),
    // In the order of their names: done, open, t.
    [
      ["ended", { status: "failed", reason: "why" }],
      ["open", undefined],
      ["ended", { status: "cancelled", reason: "enough" }],
    ],
  );
});

Deno.test("DELETE forgets a topic; its name begins a new log", async () => {
  await using relay = await startRelay();
  const { epoch } = await post(relay, "t", `{"data":"a"}`);
  const remove = () => relay.request("/topics/t", { method: "DELETE" });
  assertEquals((await remove()).status, 204);
  await assertProblem(await remove(), 404, "unknown_topic");
  assert((await post(relay, "t", `{"data":"b"}`)).epoch !== epoch);
});

Deno.test("GET /topics lists the topics, GET /healthz answers", async () => {
  await using relay = await startRelay();
  const { epoch } = await post(relay, "a", `{"data":"a"}`);
  await (await relay.request("/topics/b", { method: "PUT" })).body?.cancel();
  const { topics } = await (await relay.request("/topics")).json();
  const { createdAt, firstEventAt, lastEventAt, ...told } = topics[0];
  assert(createdAt <= firstEventAt && firstEventAt === lastEventAt);
  assertEquals(told, {
    ...{ name: "a", state: "open", epoch, first: 1, next: 2, bytes: 8 },
    ...{ subscribers: 0, source: null },
  });
  assertEquals(topics.length, 2);
  assertEquals(await (await relay.request("/healthz")).json(), {
    status: "ok",
  });
});

Deno.test("The relay answers what it does not have with a problem", async (t) => {
  await using relay = await startRelay({ delivery: { awaitTopics: false } });
  const table: [string, string, number, string][] = [
    ["GET", "/page", 404, "not_found"],
    ["GET", "/topics/", 404, "not_found"],
    ["GET", "/topics/t", 404, "unknown_topic"],
    ["DELETE", "/topics/t", 404, "unknown_topic"],
    ["POST", "/topics/t/end", 404, "unknown_topic"],
    ["POST", "/topics/t/cancel", 404, "unknown_topic"],
    ["DELETE", "/topics/t/cancel", 405, "method_not_allowed"],
    ["PATCH", "/topics/t", 405, "method_not_allowed"],
    ["GET", "/topics/t/end", 405, "method_not_allowed"],
    ["PUT", "/topics/.t", 400, "invalid_topic"],
    ["PUT", "/topics/a%2Fb", 400, "invalid_topic"],
    ["PUT", "/topics/%FF", 400, "invalid_topic"],
    ["PUT", `/topics/${"x".repeat(129)}`, 400, "invalid_topic"],
  ];
  for (const [method, path, status, code] of table) {
    await t.step(`${method} ${path.slice(0, 20)}`, async () => {
      const response = await relay.request(path, { method });
      const allow = response.headers.get("allow");
      await assertProblem(response, status, code);
      if (status === 405) assertMatch(allow ?? "", /^[A-Z]+(, [A-Z]+)*$/);
    });
  }
  const head = await relay.request("/topics/t", { method: "HEAD" });
  assertEquals(head.status, 404);
});
