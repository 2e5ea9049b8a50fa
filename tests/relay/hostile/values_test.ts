// Values of JSON that no honest peer sends: they cost their sender something, and nobody else.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Bystanders } from "../../support/relay/bystanders.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { RelayProcess } from "../../support/relay/relay_process.ts";
import {
  OPCODE,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";

const MIB = 1_024 * 1_024;

/** An answer may take this long on a busy machine, in milliseconds: a report of every fault took 34 s on a quiet one. */
const SOON = 20_000;

/** The most bytes that an answer about what is wrong has. */
const MAX_ANSWER = 10_000;

function nested(levels: number): string {
  return `${'{"0":'.repeat(levels)}0${"}".repeat(levels)}`;
}

/** Deltas whose JSON is too deep for `JSON.stringify`, of each format that is folded. */
const DEEP: Readonly<Record<string, string>> = {
  Responses: `{"type":"response.output_text.delta","delta":"a","x":${
    nested(5_000)
  }}`,
  "Responses, in log probabilities":
    `{"type":"response.output_text.delta","delta":"a","logprobs":[${
      nested(5_000)
    }]}`,
  Chat: `{"choices":[{"index":0,"delta":{"content":"a"}}],"x":${
    nested(5_000)
  }}`,
  "Chat, in log probabilities":
    `{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[${
      nested(5_000)
    }]}}]}`,
};

/** As `assertEquals`, without the pages that it would show of them. */
function assertSame(actual: unknown, expected: unknown, what: string): void {
  assert(JSON.stringify(actual) === JSON.stringify(expected), what);
}

function post(
  { url }: Pick<TestRelay, "url">,
  body: BodyInit,
  path = "/topics/t",
  method = "POST",
): Promise<Response> {
  return fetch(url + path, {
    method,
    headers: { "Content-Type": "application/json" },
    body,
  });
}

/** Publishes, and tells the status of the answer. */
async function statusOf(relay: TestRelay, body: string): Promise<number> {
  const response = await post(relay, body);
  await response.body?.cancel();
  return response.status;
}

Deno.test("A1: Relay folds no delta that is nested too deeply, and delivers it as it is", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  for (const [what, data] of Object.entries(DEEP)) {
    await using merging = await RawWebSocket.open(
      relay.url,
      "/topics/t?mode=merge",
    );
    await merging.message("subscribed");
    // Two, which would be merged.
    const events = [{ data }, { data }];
    assertEquals(await statusOf(relay, JSON.stringify(events)), 200);
    // One message has no room for both.
    for (const event of events) {
      const { events: live } = await merging.message("events");
      assertSame(live, [event], what);
    }
    await using late = await RawWebSocket.open(
      relay.url,
      "/topics/t?snapshot=true",
    );
    const { value } = await late.message("snapshot");
    assertSame(value, { first: 1, events }, what);
    await bystanders.check(what);
    relay.relay.topics.delete("t");
  }
});

Deno.test("A1: Relay refuses parameters that are nested too deeply", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  for (const field of ["after", "mode", "window", "snapshot"]) {
    await using peer = await RawWebSocket.open(relay.url, "/ws");
    await peer.send(
      OPCODE.text,
      `{"type":"subscribe","topic":"t","${field}":${nested(5_000)}}`,
    );
    const { code, message } = await peer.message("error");
    assertEquals(code, "invalid_message");
    assertStringIncludes(String(message), "got an object");
    await bystanders.check(field);
  }
});

Deno.test("A1: Relay closes with 1011 where it fails at a message, and serves the others", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  const { topics } = relay.relay;
  const create = topics.await.bind(topics);
  topics.await = (name, owner) => {
    if (name === "bad") throw new Error("A mistake of the relay");
    return create(name, owner);
  };
  await using peer = await RawWebSocket.open(relay.url, "/ws");
  await peer.say({ type: "subscribe", topic: "bad" });
  assertEquals(await peer.closeCode(), 1011);
  await bystanders.check("a mistake");
});

Deno.test("A2: Relay answers a body of wrong events at the first of them", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  const bodies = {
    zeros: `[${"0,".repeat(7 * MIB)}0]`,
    "empty objects": `[${"{},".repeat(4 * MIB)}{}]`,
    "one wrong field after the other": `[{"data":"","${"x".repeat(MIB)}":0,${
      '"y":0,'.repeat(MIB)
    }"z":0}]`,
    "many fields": `[{${
      Array.from({ length: MIB / 2 }, (_, index) => `"${index}":0`).join()
    }}]`,
  };
  for (const [what, body] of Object.entries(bodies)) {
    const start = performance.now();
    const response = await post(relay, body);
    const answer = await response.text();
    const took = performance.now() - start;
    assertEquals(response.status, 400, what);
    assertEquals(JSON.parse(answer).code, "invalid_body", what);
    assert(answer.length < MAX_ANSWER, `${what}: ${answer.length} bytes`);
    assert(took < SOON, `${what}: ${took} ms`);
    await bystanders.check(what);
  }
  const { detail } = await (await post(relay, `[{"data":""},0,1]`)).json();
  assertStringIncludes(detail, "[1]: ");
});

/** Bodies, and the data of the events published from each, or nothing. */
const BODIES: readonly (readonly [string, readonly string[] | undefined])[] = [
  [` {"data":"a"}\r\n\t `, ["a"]],
  [`[ {"data":"a"} , {"data" : "b" } ]`, ["a", "b"]],
  [`[{"data":"}]{["},{"data":"\\""},{"data":"\\\\"}]`, ["}]{[", '"', "\\"]],
  [`{"data":"a","data":"b"}`, ["b"]],
  [`{"data":"\\ud800"}`, ["\ud800"]],
  ...[
    "",
    " ",
    "[",
    "[]",
    "[,]",
    "{}",
    "[{}]",
    "null",
    `"data"`,
    `{"data":"a"`,
    `{"data":"a}`,
    `{"data":"a\\"}`,
    `{"data":"a"}]`,
    `{"data":"a"},{"data":"b"}`,
    `[{"data":"a"}`,
    `[{"data":"a"},]`,
    `[{"data":"a"} {"data":"b"}]`,
    `[{"data":"a"}]]`,
    `[[{"data":"a"}]]`,
    `{"data":{"data":"a"}}`,
    `{"data":["a"]}`,
    `{"data":1}`,
    `{"data":"a","__proto__":"b"}`,
    `{"data":"a","more":"b"}`,
    `{"data":"a",}`,
    `{data:"a"}`,
    `{"data":"\n"}`,
    `\u00a0{"data":"a"}`,
  ].map((body) => [body, undefined] as const),
];

Deno.test("Relay publishes what JSON says, and refuses what is none", async () => {
  await using relay = await startRelay();
  for (const [body, expected] of BODIES) {
    const response = await post(relay, body);
    const { code } = await response.json();
    assertEquals(code, expected ? undefined : "invalid_body", body);
    const topic = relay.relay.topics.get("t");
    const next = topic?.log.next ?? 1;
    const range = next > 1
      ? await topic?.log.read(1, { events: 10, bytes: 1_000 })
      : undefined;
    const data = range?.entries.map(({ event }) => event.data);
    assertEquals(data, expected, body);
    relay.relay.topics.delete("t");
  }
});

Deno.test("A2: Relay serves others while it reads a body of many events", async () => {
  // In a process of its own: @hono/node-server has a timer while it lets go of a
  // body that was not read.
  await using relay = await RelayProcess.start({});
  await using bystanders = await Bystanders.open(relay.url);
  const event = `{"data":""}`;
  const most = `[${`${event},`.repeat(65_535)}${event}]`;
  const [response] = await Promise.all([
    post(relay, most),
    bystanders.check("many events"),
  ]);
  assertEquals((await response.json()).next, 65_537);
  const more = await post(relay, `[${event},${most.slice(1)}`);
  assertEquals([more.status, (await more.json()).code], [
    429,
    "publish_rate",
  ]);
});

Deno.test("A2: Relay answers a frame of wrong events at the first of them", async () => {
  await using relay = await startRelay({ limits: { maxMessage: MIB } });
  await using bystanders = await Bystanders.open(relay.url);
  const bodies = {
    zeros: `${"0,".repeat(MIB / 4)}0`,
    "a long field": `{"${"x".repeat(MIB / 2)}":0}`,
  };
  for (const [what, events] of Object.entries(bodies)) {
    await using peer = await RawWebSocket.open(relay.url, "/ws");
    await peer.send(
      OPCODE.text,
      `{"type":"publish","topic":"t","events":[${events}]}`,
    );
    const start = performance.now();
    const { code, message } = await peer.message("error");
    assertEquals(code, "invalid_message", what);
    assert(String(message).length < MAX_ANSWER, what);
    assert(performance.now() - start < SOON, what);
    await bystanders.check(what);
  }
});

Deno.test("A2: Relay reads no more of a description than a description has", async () => {
  // In a process of its own: @hono/node-server has a timer while it lets go of a
  // body that was not read.
  await using relay = await RelayProcess.start({});
  const names = Array.from({ length: MIB / 8 }, (_, index) => `"${index} ":0`);
  const put = await post(
    relay,
    `{"source":{"url":"http://localhost/","headers":{${names}}}}`,
    "/topics/t",
    "PUT",
  );
  assertEquals([put.status, (await put.json()).code], [413, "body_too_large"]);
  const few = await post(
    relay,
    `{"source":{"url":"http://localhost/","headers":{${
      names.slice(0, 5_000)
    }}}}`,
    "/topics/t",
    "PUT",
  );
  const answer = await few.text();
  assertEquals(few.status, 400);
  assert(answer.length < MAX_ANSWER, `${answer.length} bytes`);
});

Deno.test("A2: Relay looks at no events of a client that may publish none now", async () => {
  await using relay = await startRelay({ limits: { maxPublishRate: 1 } });
  const many = JSON.stringify([{ data: "a" }, { data: "b" }]);
  assertEquals(await statusOf(relay, many), 200);
  // Wrong as it is, it is the rate that is told.
  for (const body of ["[0]", "{", "0"]) {
    assertEquals(await statusOf(relay, body), 429, body);
  }
});
