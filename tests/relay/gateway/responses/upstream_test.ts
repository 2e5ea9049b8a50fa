// Providers that make responses over a WebSocket: the relay asks them over it, as an
// exception to the POST that all others get, and nothing else of the run changes.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
// @ts-types="../../../../relay/ws.d.ts"
import { type WebSocket, WebSocketServer } from "ws";
import {
  type GatewayWorld,
  LIMIT,
  startGateway,
} from "../../../support/gateway/gateway_world.ts";
import { ResponsesClient } from "../../../support/gateway/responses_client.ts";
import { WIRE_FORMATS } from "../../../support/gateway/wire_formats.ts";
import { until } from "../../../support/within.ts";

/** A message of the relay to a provider. */
type Message = Readonly<Record<string, unknown>>;

/** A provider with a WebSocket, and what it was asked. */
class SocketProvider implements AsyncDisposable {
  /** The upgrades that have come. */
  readonly upgrades: IncomingMessage[] = [];
  /** The messages that have come, each with its connection. */
  readonly messages: { readonly ws: WebSocket; readonly message: Message }[] =
    [];
  readonly #server = createServer((_request, response) => {
    this.posts++;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(
      WIRE_FORMATS["Responses"]!.start +
        WIRE_FORMATS["Responses"]!.ends[0]![1],
    );
  });
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #open = new Set<WebSocket>();
  /** The status with which an upgrade is refused; 101 takes it. */
  status = 101;
  /** The number of POSTs. */
  posts = 0;

  static async start(): Promise<SocketProvider> {
    const provider = new SocketProvider();
    const server = provider.#server;
    server.on("upgrade", (request, socket, head) => {
      provider.upgrades.push(request);
      if (provider.status !== 101) {
        const body = '{"error":{"message":"No","code":"c"}}';
        socket.end(
          `HTTP/1.1 ${provider.status} No\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
        );
        return;
      }
      provider.#sockets.handleUpgrade(request, socket, head, (ws) => {
        provider.#open.add(ws);
        ws.on("message", (data) => {
          provider.messages.push({ ws, message: JSON.parse(String(data)) });
        });
      });
    });
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", () => resolve())
    );
    return provider;
  }

  /** The base URL. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://127.0.0.1:${port}/v1`;
  }

  /** Waits for a message; its number is from 1. */
  asked(
    count: number,
  ): Promise<{ readonly ws: WebSocket; readonly message: Message }> {
    return until(() => this.messages[count - 1], LIMIT, `message ${count}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ws of this.#open) ws.terminate();
    this.#server.closeAllConnections?.();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function say(ws: WebSocket, type: string, data: object = {}): void {
  ws.send(JSON.stringify({ type, ...data }));
}

const ITEM = { type: "message", role: "assistant", content: [] };

/** Makes a whole response. */
function respond(ws: WebSocket, id: string): void {
  say(ws, "response.created", { response: { id } });
  say(ws, "response.output_item.done", { item: ITEM });
  say(ws, "response.completed", { response: { id, status: "completed" } });
}

interface World extends AsyncDisposable {
  readonly provider: SocketProvider;
  readonly gateway: GatewayWorld;
}

async function startWorld(key?: string): Promise<World> {
  const provider = await SocketProvider.start();
  const gateway = await startGateway({
    gateway: {
      providers: [{
        name: "socket",
        url: provider.url,
        websocket: true,
        ...(key !== undefined && { key }),
      }],
    },
  });
  return {
    provider,
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
    },
  };
}

const HEADERS = { "rivulet-topic": "t", "rivulet-if-ended": "renew" };
const USER = { type: "message", role: "user", content: "Hi" };

Deno.test("A provider with a WebSocket is asked over it, on one connection, with the new input alone", async () => {
  await using world = await startWorld("sk-of-the-relay");
  const { provider, gateway } = world;
  await using client = ResponsesClient.open(gateway.url, {
    headers: { ...HEADERS, "openai-beta": "responses_websockets=2026-02-06" },
  });
  client.create({ store: false, input: [USER] });
  const first = await provider.asked(1);
  assertEquals(first.message, {
    type: "response.create",
    model: "m",
    store: false,
    input: [USER],
  });
  const [upgrade] = provider.upgrades;
  assertEquals(upgrade?.url, "/v1/responses");
  assertEquals(upgrade?.headers.authorization, "Bearer sk-of-the-relay");
  assertEquals(
    upgrade?.headers["openai-beta"],
    "responses_websockets=2026-02-06",
  );
  assertEquals(upgrade?.headers["content-type"], undefined);
  assertEquals(upgrade?.headers["rivulet-topic"], undefined);
  respond(first.ws, "resp_1");
  await client.next("response.completed");
  assertEquals((await gateway.ended("t")).status, "complete");
  assertEquals((await gateway.events("t")).map(({ event }) => event), [
    "response.created",
    "response.output_item.done",
    "response.completed",
  ]);
  client.create({ previous_response_id: "resp_1", input: [USER] });
  const second = await provider.asked(2);
  assertEquals(second.message, {
    type: "response.create",
    previous_response_id: "resp_1",
    model: "m",
    input: [USER],
  });
  respond(second.ws, "resp_2");
  await client.next("response.completed");
  assertEquals([provider.upgrades.length, provider.posts], [1, 0]);
});

Deno.test("On a new connection to its provider, a response has all of the input", async () => {
  await using world = await startWorld();
  const { provider, gateway } = world;
  await using client = ResponsesClient.open(gateway.url, { headers: HEADERS });
  client.create({ store: false, input: [USER] });
  const first = await provider.asked(1);
  respond(first.ws, "resp_1");
  await client.next("response.completed");
  const closed = new Promise((resolve) => first.ws.on("close", resolve));
  first.ws.close();
  await closed;
  client.create({
    store: false,
    previous_response_id: "resp_1",
    input: [{ ...USER, content: "b" }],
  });
  const { ws, message } = await provider.asked(2);
  assertEquals(message["input"], [USER, ITEM, { ...USER, content: "b" }]);
  assertEquals(message["previous_response_id"], undefined);
  respond(ws, "resp_2");
  await client.next("response.completed");
  assertEquals(provider.upgrades.length, 2);
});

Deno.test("A provider's error over a WebSocket is told word for word, and its topic fails", async () => {
  await using world = await startWorld();
  const { provider, gateway } = world;
  await using client = ResponsesClient.open(gateway.url, { headers: HEADERS });
  client.create();
  const error = { type: "t", code: "c", message: "Too long", param: null };
  const { ws } = await provider.asked(1);
  say(ws, "error", { status: 400, error, headers: { "Retry-After": "3" } });
  const told = await client.next("error");
  assertEquals([told["status"], told["error"]], [400, error]);
  assertEquals(told["headers"], { "retry-after": "3" });
  const end = await gateway.ended("t");
  assertEquals(end.status, "failed");
  assertMatch(end.reason ?? "", /400.*Too long/);
  // Within a stream, it is an event.
  client.create();
  const second = await provider.asked(2);
  say(second.ws, "response.created", { response: { id: "resp_1" } });
  say(second.ws, "error", { error });
  assertEquals((await client.next("error"))["error"], error);
  assertEquals(provider.upgrades.length, 1);
});

Deno.test("A provider that closes its WebSocket within a response has truncated it", async () => {
  await using world = await startWorld();
  const { provider, gateway } = world;
  await using client = ResponsesClient.open(gateway.url, { headers: HEADERS });
  client.create();
  const { ws } = await provider.asked(1);
  say(ws, "response.created", { response: { id: "resp_1" } });
  await client.next("response.created");
  ws.terminate();
  assertEquals((await client.next("error"))["status"], 502);
  assertEquals((await gateway.ended("t")).status, "truncated");
  assertEquals(provider.upgrades.length, 1);
});

Deno.test("A cancel hangs up on a provider's WebSocket, and the next response has another", async () => {
  await using world = await startWorld();
  const { provider, gateway } = world;
  await using client = ResponsesClient.open(gateway.url, { headers: HEADERS });
  client.create();
  const { ws } = await provider.asked(1);
  const closed = new Promise((resolve) => ws.on("close", resolve));
  say(ws, "response.created", { response: { id: "resp_1" } });
  await client.next("response.created");
  await gateway.cancel("t", "enough");
  await client.next("response.failed");
  await closed;
  client.create();
  respond((await provider.asked(2)).ws, "resp_2");
  await client.next("response.completed");
  assertEquals([provider.upgrades.length, provider.posts], [2, 0]);
});

Deno.test("A provider that has no WebSocket is asked by POST from then on", async () => {
  for (const status of [400, 404, 405, 426]) {
    await using world = await startWorld();
    const { provider, gateway } = world;
    provider.status = status;
    await using client = ResponsesClient.open(gateway.url, {
      headers: HEADERS,
    });
    for (let i = 1; i <= 2; i++) {
      client.create();
      await client.next("response.completed");
      assertEquals([provider.upgrades.length, provider.posts], [1, i]);
    }
  }
});

Deno.test("A provider that refuses the upgrade for another reason is not asked by POST", async () => {
  await using world = await startWorld();
  const { provider, gateway } = world;
  provider.status = 401;
  await using client = ResponsesClient.open(gateway.url, { headers: HEADERS });
  client.create();
  const told = await client.next("error");
  assertEquals(told["status"], 401);
  assertEquals(told["error"], { message: "No", code: "c" });
  assertEquals(provider.posts, 0);
  assert((await gateway.describe("t"))?.state !== "open");
});

Deno.test("A client that leaves closes its connections to providers", async () => {
  await using world = await startWorld();
  const { provider, gateway } = world;
  const client = ResponsesClient.open(gateway.url, { headers: HEADERS });
  client.create();
  const { ws } = await provider.asked(1);
  const closed = new Promise((resolve) => ws.on("close", resolve));
  respond(ws, "resp_1");
  await client.next("response.completed");
  await client[Symbol.asyncDispose]();
  await closed;
});
