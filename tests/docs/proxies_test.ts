// The proxies' configurations in docs/, tried with the proxies themselves.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
// @ts-types="../../relay/ws.d.ts"
import { WebSocket } from "ws";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import { Curl } from "../support/http/curl.ts";
import {
  PROXIES,
  Proxy,
  PROXY_HOST,
  type ProxyKind,
} from "../support/http/proxy.ts";
import { startGateway } from "../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../support/gateway/wire_formats.ts";
import { startRelay } from "../support/relay/relay.ts";
import { isMissing } from "../support/tools.ts";
import { LIMIT, until, within } from "../support/within.ts";

/** Nothing is taken any more after so long without, in milliseconds. */
const STALLED = 500;

const SECRET = "hush-hush";

/** The hosts that the relay answers for: it asks these tests for no token. */
const origins = [`https://${PROXY_HOST}`];

/** The arguments of `curl` with which it finds a proxy. */
function to(proxy: Proxy, path: string, ...more: string[]): string[] {
  return [
    ...["--http2", "--cacert", proxy.certificate],
    ...["--resolve", `${PROXY_HOST}:${proxy.port}:127.0.0.1`],
    ...more,
    proxy.url + path,
  ];
}

/** Whether a proxy cannot be tried here. */
function lacks({ name, version }: ProxyKind): boolean {
  return [
    isMissing(name, `apt-get install ${name}`, version),
    isMissing("openssl", "apt-get install openssl", "version"),
    isMissing("curl", "apt-get install curl"),
  ].includes(true);
}

for (const kind of PROXIES) {
  const ignore = Deno.build.os === "windows" || lacks(kind);

  Deno.test({
    name:
      `docs/${kind.file} passes on an event stream as it comes, over HTTP/2`,
    ignore,
    async fn() {
      await using relay = await startRelay({ origins });
      const topic = relay.relay.topics.create("t");
      await using proxy = await Proxy.start(kind, relay.port);
      await using curl = new Curl(
        to(proxy, "/topics/t", "--write-out", "\nHTTP/%{http_version}\n"),
      );
      for (const data of ["a", "b", "c"]) {
        topic.append([{ event: "message", data, id: "" }]);
        assertEquals(topic.state.kind, "open");
        await curl.see(`data: ${data}\n\n`);
      }
      topic.end("complete");
      assertStringIncludes(await curl.rest(), "\nHTTP/2\n");
    },
  });

  Deno.test({
    name: `docs/${kind.file} passes on a published event stream as it comes`,
    ignore,
    async fn() {
      await using relay = await startRelay({ origins });
      await using proxy = await Proxy.start(kind, relay.port);
      const topic = relay.relay.topics.create("t");
      const follower = await relay.request("/topics/t");
      const reader = follower.body!.pipeThrough(new TextDecoderStream()) // a stream's
        .getReader();
      let seen = "";
      await using curl = new Curl(
        to(
          proxy,
          "/topics/t",
          ...["--request", "POST", "--upload-file", "-"],
          ...["--header", "Content-Type: text/event-stream"],
        ),
        "input",
      );
      for (const data of ["a", "b"]) {
        await curl.write(`data: ${data}\n\n`);
        while (!seen.includes(`data: ${data}\n\n`)) {
          const { value = "" } = await within(
            reader.read(),
            LIMIT,
            () => `${data} after ${seen}`,
          );
          seen += value;
        }
      }
      await curl.end();
      assertEquals(JSON.parse(await curl.rest()), {
        epoch: topic.log.epoch,
        first: 1,
        next: 3,
      });
      await reader.cancel();
    },
  });

  Deno.test({
    name: `docs/${kind.file} passes on a WebSocket, which lives`,
    ignore,
    async fn() {
      const clock = new FakeClock();
      await using relay = await startRelay({ clock, origins });
      const topic = relay.relay.topics.create("t");
      topic.open();
      await using proxy = await Proxy.start(kind, relay.port);
      const types: string[] = [];
      const seen = Promise.withResolvers<void>();
      const closed = Promise.withResolvers<number>();
      const socket = new WebSocket(
        `wss://127.0.0.1:${proxy.port}/topics/t`,
        ["rivulet.v1", `bearer.${SECRET}`],
        {
          ca: await Deno.readTextFile(proxy.certificate),
          servername: PROXY_HOST,
          headers: { host: `${PROXY_HOST}:${proxy.port}` },
          perMessageDeflate: false,
        },
      );
      socket.on("error", seen.reject);
      socket.on("close", (code) => closed.resolve(code));
      socket.on("message", (data) => {
        const { type } = JSON.parse(String(data));
        types.push(type);
        if (type === "live") {
          topic.append([{ event: "message", data: "a", id: "" }]);
        }
        if (type === "end") seen.resolve();
      });
      const has = (type: string, count: number) =>
        until(
          () =>
            types.filter((one) => one === type).length >= count || undefined,
          LIMIT,
          type,
        );
      await Promise.race([has("events", 1), seen.promise]);
      // Signs of life go here and there: of a client without any, the relay would have
      // given up by then.
      for (const count of [2, 4, 6]) {
        await clock.advance(20_000);
        await has("heartbeat", count - 1);
        // The answer comes behind the pong, which the relay has read by then.
        socket.send(JSON.stringify({ type: "heartbeat" }));
        await has("heartbeat", count);
      }
      topic.end("complete");
      await within(seen.promise, LIMIT, "the end of the topic");
      assertEquals(types.filter((type) => type !== "heartbeat"), [
        ...["welcome", "subscribed", "live", "events", "end"],
      ]);
      assertEquals(await within(closed.promise, LIMIT, "the close"), 1000);
    },
  });

  Deno.test({
    name: `docs/${kind.file} passes on responses over a WebSocket, with TLS`,
    ignore,
    async fn() {
      await using world = await startGateway({ origins });
      await using proxy = await Proxy.start(kind, world.port);
      const socket = new WebSocket(
        `wss://127.0.0.1:${proxy.port}/v1/responses`,
        {
          ca: Deno.readTextFileSync(proxy.certificate),
          servername: PROXY_HOST,
          headers: { host: new URL(proxy.url).host },
        },
      );
      const told: string[] = [];
      socket.on("message", (data: unknown) => told.push(`${data}`));
      const failed = new Promise<never>((_, reject) =>
        socket.on("error", reject)
      );
      const opened = until(
        () => socket.readyState === 1 || undefined,
        LIMIT,
        "the socket",
      );
      await Promise.race([opened, failed]);
      const { start, ends } = WIRE_FORMATS["Responses"]!;
      for (const input of ["one", "two"]) {
        socket.send(
          JSON.stringify({ type: "response.create", model: "m", input }),
        );
        const exchange = await world.provider.next();
        await exchange.stream(start);
        await until(
          () =>
            told.some((text) => text.includes("response.created")) || undefined,
          LIMIT,
          "the first event",
        );
        await exchange.end(ends[0]![1]);
        await until(
          () =>
            told.some((text) => text.includes("response.completed")) ||
            undefined,
          LIMIT,
          "the last event",
        );
        told.length = 0;
      }
      socket.close();
      await within(
        new Promise((resolve) => socket.on("close", resolve)),
        LIMIT,
        "the close",
      );
    },
  });

  Deno.test({
    name:
      `docs/${kind.file} says who asks, and buffers and logs no more than it should`,
    ignore,
    async fn() {
      // The relay's request to its upstream, which does not ask for anything to
      // be unbuffered.
      const answers: ServerResponse[] = [];
      const told: [string | undefined, string | undefined][] = [];
      const server = createServer((request, response) => {
        const { host, "x-forwarded-for": forwarded } = request.headers;
        told.push([host, forwarded?.toString()]);
        answers.push(response);
        response.writeHead(200, { "Content-Type": "application/json" });
        response.write("[1,");
      });
      await new Promise<void>((resolve) =>
        server.listen(0, "127.0.0.1", resolve)
      );
      const { port } = server.address() as AddressInfo; // it listens on TCP
      try {
        await using proxy = await Proxy.start(kind, port);
        const headers = [
          "X-Forwarded-For: 6.6.6.6",
          `Authorization: Bearer ${SECRET}`,
          `Rivulet-Token: ${SECRET}`,
          `Sec-WebSocket-Protocol: bearer.${SECRET}`,
          `X-Api-Key: ${SECRET}`,
          `Api-Key: ${SECRET}`,
        ].flatMap((header) => ["--header", header]);
        await using curl = new Curl(
          to(proxy, `/topics/t?access_token=${SECRET}`, ...headers),
        );
        for (const part of ["2,", "3,"]) {
          await curl.see("[1,");
          answers[0]!.write(part);
          await curl.see(part);
        }
        answers[0]!.end("4]");
        assertEquals(await curl.rest(), "[1,2,3,4]");
        assertEquals(told, [[`${PROXY_HOST}:${proxy.port}`, "127.0.0.1"]]);
        await using metrics = new Curl(
          to(proxy, "/metrics", "--write-out", "%{http_code}"),
        );
        assert((await metrics.rest()).endsWith("404"));
        assertEquals(told.length, 1);
        const log = await proxy.stop();
        assertStringIncludes(log, "/topics/t");
        assert(!log.includes(SECRET), log);
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  });

  Deno.test({
    name: `docs/${kind.file} tells the relay at once that a client has left`,
    ignore,
    async fn() {
      const left = Promise.withResolvers<void>();
      const server = createServer((_request, response) => {
        response.on("close", () => left.resolve());
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.write(": nothing follows\n\n");
      });
      await new Promise<void>((resolve) =>
        server.listen(0, "127.0.0.1", resolve)
      );
      const { port } = server.address() as AddressInfo; // it listens on TCP
      try {
        await using proxy = await Proxy.start(kind, port);
        {
          await using curl = new Curl(to(proxy, "/topics/t"));
          await curl.see("follows");
        }
        await within(left.promise, LIMIT, "the end of the request");
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  });

  Deno.test({
    name:
      `docs/${kind.file} does not take for a client what that does not read`,
    ignore,
    async fn() {
      const part = new Uint8Array(64 * 1_024);
      const parts = 2_048;
      let written = 0;
      let lastTime = Date.now();
      const server = createServer((_request, response) => {
        response.writeHead(200, { "Content-Type": "application/json" });
        const more = (): void => {
          while (written < parts) {
            written++;
            lastTime = Date.now();
            if (!response.write(part)) return void response.once("drain", more);
          }
        };
        more();
      });
      await new Promise<void>((resolve) =>
        server.listen(0, "127.0.0.1", resolve)
      );
      const { port } = server.address() as AddressInfo; // it listens on TCP
      try {
        await using proxy = await Proxy.start(kind, port);
        await using _curl = new Curl(to(proxy, "/topics/t"));
        // A machine that is only slow passes too.
        await until(
          () => written > 0 && Date.now() - lastTime > STALLED || undefined,
          LIMIT,
          "a stall",
        );
        assert(written < parts);
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  });

  Deno.test({
    name: `docs/${kind.file} has the relay count connections by their client`,
    ignore,
    async fn() {
      await using relay = await startRelay({
        origins,
        trustedProxies: ["127.0.0.1"],
        limits: { maxConnectionsPerAddress: 1 },
      });
      relay.relay.topics.create("t").open();
      await using proxy = await Proxy.start(kind, relay.port);
      const from = (address: string) =>
        new Curl(to(
          proxy,
          "/topics/t",
          ...["--interface", address, "--write-out", "%{http_code}"],
        ));
      await using first = from("127.0.0.2");
      await first.see("rivulet.live");
      await using second = from("127.0.0.2");
      assertStringIncludes(
        await second.rest(),
        "too_many_connections_of_address",
      );
      assert(second.text.endsWith("429"));
      await using other = from("127.0.0.3");
      await other.see("rivulet.live");
    },
  });
}
