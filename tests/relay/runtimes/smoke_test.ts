// The relay on each runtime: these tests run on Deno, and bundled on Node and Bun. They
// use what the three have in common, so that a difference between them shows.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { connect } from "node:net";
import { startHostileServer } from "../../../relay/commands/hostile_server.ts";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { createRelay, type Relay } from "../../../relay/relay.ts";
import { readEvents } from "../../../src/sse/read_events.ts";
import { MessageSocket } from "../../support/runtimes/message_socket.ts";
import { RelayProgram, runToEnd } from "../../support/runtimes/program.ts";
import {
  beginStream,
  CHAT_END,
  chatEvent,
  ScriptedProvider,
} from "../../support/runtimes/scripted_provider.ts";
import { LIMIT, until, within } from "../../support/within.ts";

interface Started extends AsyncDisposable {
  readonly relay: Relay;
  readonly url: string;
}

async function start(options: RelayOptions = {}): Promise<Started> {
  const relay = createRelay({ port: 0, ...options });
  const { url } = await relay.listen();
  return {
    relay,
    url,
    async [Symbol.asyncDispose]() {
      await relay.close();
      // After an answer whose request had a body, @hono/node-server looks twice,
      // a timer each, whether it was read: they are not to outlive the test.
      for (let i = 0; i < 3; i++) {
        await new Promise((resolve) => setTimeout(resolve));
      }
    },
  };
}

function post(
  url: string,
  type: string,
  body: string,
  signal?: AbortSignal,
): Promise<Response> {
  const headers = { "Content-Type": type };
  const init = { method: "POST", headers, body };
  return within(
    fetch(url, { ...init, ...(signal && { signal }) }),
    LIMIT,
    "an answer",
  );
}

function complete(
  url: string,
  signal?: AbortSignal,
): Promise<Response> {
  const body = JSON.stringify({ model: "m", messages: [], stream: true });
  return post(`${url}/v1/chat/completions`, "application/json", body, signal);
}

/** An event stream that a test reads one event at a time. */
class Reader implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #events: AsyncIterator<
    { event: string; data: string; id?: string }
  >;

  private constructor(response: Response, controller: AbortController) {
    assert(response.body);
    this.#controller = controller;
    this.#events = readEvents(response.body)[Symbol.asyncIterator]();
  }

  static async open(
    url: string,
    headers: Record<string, string> = {},
  ): Promise<Reader> {
    const controller = new AbortController();
    const { signal } = controller;
    const response = await within(
      fetch(url, {
        headers: { Accept: "text/event-stream", ...headers },
        signal,
      }),
      LIMIT,
      "an event stream",
    );
    assertEquals(response.status, 200);
    return new Reader(response, controller);
  }

  async next(): Promise<{ event: string; data: string; id?: string }> {
    const { done, value } = await within(
      this.#events.next(),
      LIMIT,
      "an event",
    );
    assert(!done, "The event stream has ended");
    return value;
  }

  /** The data of the next events of the topic itself. */
  async data(count: number): Promise<string[]> {
    const data: string[] = [];
    while (data.length < count) {
      const event = await this.next();
      if (!event.event.startsWith("rivulet.")) data.push(event.data);
    }
    return data;
  }

  /** Reads to the end. */
  async ended(): Promise<void> {
    for (;;) {
      const { done } = await within(this.#events.next(), LIMIT, "the end");
      if (done) return;
    }
  }

  /** Waits for what the relay says of the topic. */
  async notice(name: string): Promise<Record<string, unknown>> {
    for (;;) {
      const { event, data } = await this.next();
      if (event === `rivulet.${name}`) return JSON.parse(data);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort();
    await this.#events.return?.().catch(() => {});
  }
}

Deno.test("A relay publishes over HTTP in each type, and SSE resumes after a position", async () => {
  await using world = await start();
  const topic = `${world.url}/topics/t`;
  for (
    const [type, body] of [
      ["text/plain", "one"],
      ["application/json", '[{"data":"two"},{"data":"three"}]'],
      ["text/event-stream", "data: four\n\ndata: five\n\n"],
    ] as const
  ) {
    const response = await post(topic, type, body);
    assertEquals([type, response.status], [type, 200]);
    await response.body?.cancel();
  }
  let position: string | undefined;
  {
    await using reader = await Reader.open(topic);
    const first = await reader.next();
    assertEquals(first.data, "one");
    assertEquals((await reader.next()).data, "two");
    position = first.id;
  }
  assert(position);
  await using reader = await Reader.open(topic, { "Last-Event-ID": position });
  assertEquals(await reader.data(4), ["two", "three", "four", "five"]);
  const more = await post(topic, "text/plain", "six");
  await more.body?.cancel();
  assertEquals(await reader.data(1), ["six"]);
});

Deno.test("A relay takes a compressed body in each of its codings", async () => {
  await using world = await start();
  const { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } =
    await import("node:zlib");
  const codings = {
    br: brotliCompressSync,
    deflate: deflateSync,
    gzip: gzipSync,
    zstd: zstdCompressSync,
  };
  for (const [name, compress] of Object.entries(codings)) {
    const whole = new Uint8Array(compress("data: hi\n\n"));
    for (const body of [whole, whole.subarray(0, -2)]) {
      const isWhole = body === whole;
      const response = await fetch(`${world.url}/topics/${name}`, {
        method: "POST",
        headers: {
          "Content-Type": "text/event-stream",
          "Content-Encoding": name,
        },
        body,
      });
      const text = await response.text();
      assertEquals([name, isWhole, response.status], [
        name,
        isWhole,
        isWhole ? 200 : 400,
      ], text);
    }
  }
});

Deno.test("A WebSocket subscribes, publishes, and resumes after a position", async () => {
  await using world = await start();
  const first = await post(`${world.url}/topics/t`, "text/plain", "one");
  const { epoch } = await first.json();
  await using socket = new MessageSocket(`${world.url}/ws`);
  await socket.next("welcome");
  socket.send({ type: "subscribe", topic: "t" });
  const { events } = await socket.next("events");
  assertEquals(events, [{ data: "one" }]);
  socket.send({ type: "publish", topic: "t", events: [{ data: "two" }] });
  assertEquals((await socket.next("published")).next, 3);
  await using late = new MessageSocket(
    `${world.url}/topics/t?after=${epoch}:1`,
  );
  assertEquals((await late.next("subscribed")).recovered, true);
  assertEquals((await late.next("events")).events, [{ data: "two" }]);
  await world.relay.topics.get("t")?.end("complete");
  assertEquals((await late.next("end")).status, "complete");
  assertEquals((await late.closed())[0], 1000);
});

Deno.test("A WebSocket is closed with the protocol's code for what it must not send", async () => {
  await using world = await start({ limits: { maxMessage: 1_024 } });
  for (
    const [message, code] of [
      ["x".repeat(2_000), 1009],
      ["no JSON", 4500],
    ] as const
  ) {
    await using socket = new MessageSocket(`${world.url}/ws`);
    await socket.next("welcome");
    socket.send(message);
    assertEquals((await socket.closed())[0], code);
  }
});

Deno.test("A run goes to its caller and its follower, and a short request is answered", async () => {
  await using provider = await ScriptedProvider.start();
  await using world = await start({
    gateway: { providers: [{ name: "p", url: `${provider.url}/v1` }] },
  });
  const answering = complete(world.url);
  const asked = await within(provider.next(), LIMIT, "a request");
  assertEquals(asked.target, "/v1/chat/completions");
  assertStringIncludes(asked.body, '"stream":true');
  beginStream(asked);
  asked.answer.write(chatEvent("a"));
  const response = await answering;
  const name = response.headers.get("Rivulet-Topic");
  assert(response.body && name);
  await using follower = await Reader.open(`${world.url}/topics/${name}`);
  assertStringIncludes((await follower.next()).data, '"content":"a"');
  asked.answer.end(chatEvent("b") + CHAT_END);
  assertEquals(
    await within(response.text(), LIMIT, "the answer"),
    chatEvent("a") + chatEvent("b") + CHAT_END,
  );
  assertEquals((await follower.notice("end")).status, "complete");

  const short = post(`${world.url}/v1/embeddings`, "application/json", "{}");
  const embeddings = await within(provider.next(), LIMIT, "a request");
  embeddings.answer.writeHead(200, { "Content-Type": "application/json" });
  embeddings.answer.end('{"data":[]}');
  assertEquals(await (await short).json(), { data: [] });
});

Deno.test("A run that is cancelled hangs up on the provider", async () => {
  await using provider = await ScriptedProvider.start();
  await using world = await start({
    gateway: { providers: [{ name: "p", url: `${provider.url}/v1` }] },
  });
  const answering = complete(world.url);
  const asked = await within(provider.next(), LIMIT, "a request");
  beginStream(asked);
  asked.answer.write(chatEvent("a"));
  const response = await answering;
  const topic = `${world.url}/topics/${response.headers.get("Rivulet-Topic")}`;
  const cancelled = await post(`${topic}/cancel`, "application/json", "{}");
  assertEquals((await cancelled.json()).end.status, "cancelled");
  await within(asked.closed, LIMIT, "the end of the provider's connection");
  await response.body?.cancel().catch(() => {});
});

Deno.test("A caller that leaves stops its run, if it says so", async () => {
  await using provider = await ScriptedProvider.start();
  await using world = await start({
    gateway: { providers: [{ name: "p", url: `${provider.url}/v1` }] },
  });
  const controller = new AbortController();
  const answering = fetch(`${world.url}/v1/chat/completions`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Rivulet-On-Disconnect": "cancel",
    },
    body: JSON.stringify({ model: "m", messages: [], stream: true }),
    signal: controller.signal,
  });
  const asked = await within(provider.next(), LIMIT, "a request");
  beginStream(asked);
  asked.answer.write(chatEvent("a"));
  await within(answering, LIMIT, "the head of the answer");
  controller.abort();
  await within(asked.closed, LIMIT, "the end of the provider's connection");
});

Deno.test("A provider that is cut off cuts off the caller, and the follower hears of it", async () => {
  await using provider = await ScriptedProvider.start();
  await using world = await start({
    gateway: { providers: [{ name: "p", url: `${provider.url}/v1` }] },
  });
  const answering = complete(world.url);
  const asked = await within(provider.next(), LIMIT, "a request");
  beginStream(asked);
  asked.answer.write(chatEvent("a"));
  const response = await answering;
  const name = response.headers.get("Rivulet-Topic");
  await using follower = await Reader.open(`${world.url}/topics/${name}`);
  await follower.next();
  asked.answer.socket?.destroy();
  assertEquals((await follower.notice("end")).status, "truncated");
  await assertRejects(() => within(response.text(), LIMIT, "the cut"));
});

Deno.test("A source fills its topic, and a connection that is cut is made anew", async () => {
  await using upstream = await ScriptedProvider.start();
  await using world = await start({
    sources: [{
      name: "news",
      url: `${upstream.url}/events`,
      reconnect: { minTimeout: 1, maxTimeout: 1 },
    }],
  });
  const first = await within(upstream.next(), LIMIT, "a request");
  beginStream(first);
  first.answer.write("id: 1\ndata: one\n\n");
  await using reader = await Reader.open(`${world.url}/topics/news`);
  assertEquals(await reader.data(1), ["one"]);
  first.answer.socket?.destroy();
  const second = await within(upstream.next(), LIMIT, "a second request");
  beginStream(second);
  second.answer.write("id: 2\ndata: two\n\n");
  assertEquals(await reader.data(1), ["two"]);
});

Deno.test("A relay has its page wherever it runs, and compresses it", async () => {
  await using world = await start();
  for (const path of ["/", "/page/script.js", "/page/style.css"]) {
    const plain = await fetch(world.url + path, {
      headers: { "Accept-Encoding": "identity" },
    });
    const text = await plain.text();
    assertEquals(plain.status, 200, path);
    // `fetch` decodes it.
    const gzipped = await fetch(world.url + path, {
      headers: { "Accept-Encoding": "gzip" },
    });
    assertEquals(await gzipped.text(), text, path);
  }
});

Deno.test("A relay says that it is healthy, and what it counts", async () => {
  await using world = await start();
  const health = await fetch(`${world.url}/healthz`);
  assertEquals(await health.json(), { status: "ok" });
  const text = await (await fetch(`${world.url}/metrics`)).text();
  assertMatch(text, /^rivulet_build_info\{version="[^"]+"\} 1$/m);
  assertMatch(text, /^rivulet_memory_limit_bytes [1-9]\d+$/m);
});

/** Sends bytes; returns the status of the answer. */
function statusOf(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return within(
    new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      let text = "";
      socket.on("data", (part) => {
        text += String(part);
        const [, status] = /^HTTP\/1\.1 (\d{3}) [^]*\r\n\r\n/.exec(text) ?? [];
        if (status === undefined) return;
        resolve(status);
        socket.destroy();
      });
      socket.on("error", reject);
      socket.on("close", () => resolve("closed"));
      socket.write(bytes);
    }),
    LIMIT,
    "an answer",
  );
}

Deno.test("A relay refuses requests that are not HTTP, or ambiguous, or too large", async () => {
  await using world = await start({ limits: { maxHead: 4_096 } });
  const head = "Host: localhost\r\n";
  const found = [];
  for (
    const bytes of [
      `GET /healthz HTTP/1.1\r\n${head}\r\n`,
      "no HTTP\r\n\r\n",
      "GET /healthz HTTP/1.1\r\n\r\n",
      `GET /healthz HTTP/1.1\r\n${head}Host: b\r\n\r\n`,
      `GET /healthz HTTP/1.1\r\n${head}X: ${"a".repeat(8_000)}\r\n\r\n`,
      `POST /topics/t HTTP/1.1\r\n${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    ]
  ) found.push(await statusOf(world.url, bytes));
  assertEquals(found, ["200", "400", "400", "400", "431", "400"]);
});

Deno.test("A relay closes connections beyond its limit", async () => {
  await using world = await start({ limits: { maxConnections: 1 } });
  const { hostname, port } = new URL(world.url);
  const first = connect(Number(port), hostname);
  await new Promise<void>((resolve) => first.on("connect", resolve));
  first.write("GET /healthz HTTP/1.1\r\n");
  const status = await until(
    async () => {
      const status = await statusOf(
        world.url,
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
      );
      return status === "200" ? undefined : status;
    },
    LIMIT,
    "a refusal",
  );
  assertEquals(status, "503");
  const closed = new Promise<void>((resolve) => first.on("close", resolve));
  first.destroy();
  await closed;
});

Deno.test("A relay closes connections whose head does not come", async () => {
  await using world = await start({ limits: { headTimeout: 100 } });
  const { hostname, port } = new URL(world.url);
  const first = connect(Number(port), hostname);
  await new Promise<void>((resolve) => first.on("connect", resolve));
  first.write("GET /healthz HTTP/1.1\r\n");
  const closed = new Promise<void>((resolve) => first.on("close", resolve));
  first.on("error", () => {});
  first.resume();
  await within(closed, LIMIT, "the end of a connection without a head");
});

Deno.test("A subscriber that does not read is closed, and holds up nobody", async () => {
  await using world = await start({ delivery: { slowTimeout: 200 } });
  const topic = world.relay.topics.create("t");
  const { hostname, port } = new URL(world.url);
  const slow = connect(Number(port), hostname);
  const closed = new Promise<void>((resolve) => slow.on("close", resolve));
  slow.on("error", () => {});
  slow.write("GET /topics/t HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await new Promise<void>((resolve) => slow.once("readable", resolve));
  await using reader = await Reader.open(`${world.url}/topics/t`);
  const data = "x".repeat(64 * 1024);
  for (let i = 0; i < 256; i++) {
    await topic.append([{ data: `${i} ${data}` }]);
    assertEquals(await reader.data(1), [`${i} ${data}`]);
  }
  await until(
    async () => {
      const text = await (await fetch(`${world.url}/metrics`)).text();
      return /^rivulet_slow_closes_total.* 1$/m.test(text) || undefined;
    },
    LIMIT,
    "the slow subscriber to be closed",
  );
  slow.resume();
  await within(closed, LIMIT, "the end of its connection");
});

Deno.test("A relay at the edge of its memory collects garbage, and refuses new work", async () => {
  await using world = await start({ limits: { maxMemory: 16 * 2 ** 20 } });
  const answer = await until(
    async () => {
      const response = await post(`${world.url}/topics/t`, "text/plain", "a");
      const text = await response.text();
      return response.status === 200 ? undefined : text;
    },
    LIMIT,
    "a refusal",
  );
  assertEquals(JSON.parse(answer).code, "out_of_memory");
  const health = await fetch(`${world.url}/healthz`);
  assertEquals(await health.json(), { status: "ok" });
});

Deno.test("A hostile provider answers a POST", async () => {
  await using hostile = await startHostileServer();
  const response = await fetch(`${hostile.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({
      model: "hostile-1",
      stream: true,
      messages: [{ role: "user", content: "hello" }],
    }),
  });
  const text = await within(response.text(), LIMIT, "the answer");
  assertEquals(response.status, 200);
  assertStringIncludes(text, "hello");
});

Deno.test("The command line says its version, and drains on SIGTERM", async () => {
  assertMatch(await runToEnd(["--version"]), /^rivulet \d/);
  await using program = await RelayProgram.start(["--drain", "5s"]);
  await using socket = new MessageSocket(`${program.url}/ws`);
  await socket.next("welcome");
  await using reader = await Reader.open(
    `${program.url}/topics/t`,
  );
  const made = await post(`${program.url}/topics/t`, "text/plain", "one");
  await made.body?.cancel();
  assertEquals(await reader.data(1), ["one"]);
  program.signal("SIGTERM");
  await socket.next("goodbye");
  assertEquals((await socket.closed())[0], 1012);
  await reader.ended();
  assertEquals(
    await within(program.ended, LIMIT, "the end of the relay"),
    [0, null],
    program.stderr,
  );
  assertStringIncludes(program.stderr, "drained");
});
