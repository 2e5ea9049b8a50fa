// Nobody takes a part of a run for the whole: a table of how the provider's stream
// was over, by the reader, by the version of HTTP (field.md C2, C3, C4, H5). The rows of HTTP/2
// are in whole_http2_test.ts.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  type GatewayWorld,
  LIMIT,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { ForeignServer } from "../../support/gateway/foreign/foreign_server.ts";
import { isMissing } from "../../support/tools.ts";
import type { ProviderExchange } from "../../support/gateway/raw_provider.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import {
  askFramed,
  type FramedAnswer,
  type FramedRequest,
} from "../../support/http/framed_answer.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import {
  describeRemoteTopic,
  type RemoteDescription,
  remoteEnd,
  remoteFollowers,
} from "../../support/relay/remote_topic.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";
import { until } from "../../support/within.ts";

const { path, start, delta, ends } = WIRE_FORMATS["Responses"]!;
const SAID = start + delta("a");

function wireOf(how: string): string {
  const [, wire = ""] = ends.find(([name]) => name === how) ?? [];
  return wire;
}

/** The last word of the relay about a run that was cancelled. */
const LAST_WORD = "event: response.failed";

/** The ways in which a stream ends, and whether it is whole. */
interface Ending {
  readonly end: "whole" | "cut";
  readonly status: string;
  /** Whether the relay has the last word, in the format of the caller, in place of a cut. */
  readonly isTold?: boolean;
  /** Begins the provider's answer. Default: an event stream in chunks. */
  begin?(exchange: ProviderExchange): Promise<void>;
  /** The headers of the provider's answer. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The time that passes in the end, in milliseconds. Default: none that is counted. */
  readonly silence?: number;
  over(exchange: ProviderExchange, world: GatewayWorld, name: string): unknown;
}

/** The end of the connection is the end of such a body. */
const HTTP_1_0 = "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

const CUT = { end: "cut", status: "truncated" } as const;

const ENDINGS: Readonly<Record<string, Ending>> = {
  "completes": {
    end: "whole",
    status: "complete",
    over: (exchange) => exchange.end(wireOf("complete")),
  },
  "says that it has failed": {
    end: "whole",
    status: "failed",
    over: (exchange) => exchange.end(wireOf("failed")),
  },
  "says that it was cancelled": {
    end: "whole",
    status: "cancelled",
    over: (exchange) => exchange.end(wireOf("cancelled")),
  },
  "ends without a last word (H5)": {
    ...CUT,
    over: (exchange) => exchange.end(),
  },
  "stops without its last chunk (C4)": {
    ...CUT,
    over: (exchange) => exchange.close(),
  },
  "stops within its last chunk (C4)": {
    ...CUT,
    over: async (exchange) => {
      await exchange.raw("0\r\n");
      exchange.close();
    },
  },
  "stops within a chunk (C4)": {
    ...CUT,
    over: async (exchange) => {
      await exchange.raw("fff\r\n: a comment\n\n");
      exchange.close();
    },
  },
  "stops short of its length (C4)": {
    ...CUT,
    headers: { "content-length": "9999" },
    over: (exchange) => exchange.close(),
  },
  "completes over HTTP/1.0 (C4)": {
    end: "whole",
    status: "complete",
    begin: (exchange) => exchange.raw(HTTP_1_0 + SAID),
    over: async (exchange) => {
      await exchange.raw(wireOf("complete"));
      exchange.close();
    },
  },
  "is closed over HTTP/1.0 (C4)": {
    ...CUT,
    begin: (exchange) => exchange.raw(HTTP_1_0 + SAID),
    over: (exchange) => exchange.close(),
  },
  "is reset": { ...CUT, over: (exchange) => exchange.reset() },
  "falls silent": { ...CUT, silence: 60_000, over: () => {} },
  "is cancelled": {
    end: "cut",
    status: "cancelled",
    isTold: true,
    over: (_exchange, world, name) => world.cancel(name),
  },
  "is deleted": {
    end: "cut",
    status: "cancelled",
    isTold: true,
    over: (_exchange, world, name) => world.remove(name),
  },
};

const VERSIONS = ["1.0", "1.1"] as const;

/** The ways to the relay: a version of HTTP, or nginx with its defaults, which asks by HTTP/1.0. */
const WAYS = [
  ...VERSIONS.map((version) => ({ name: `HTTP/${version}`, version })),
  { name: "nginx", version: "1.1" },
] as const;

const isNginxMissing = isMissing(
  "nginx",
  "On Debian: apt-get install nginx",
  "-v",
);

/** Starts nginx in front of a relay. */
async function startNginx(
  port: number,
): Promise<{ port: number } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(
    await Deno.makeTempDir(),
    (folder) => Deno.remove(folder, { recursive: true }),
  );
  const { port: own } = stack.use(
    await ForeignServer.nginx(
      folder,
      `location / { proxy_pass http://127.0.0.1:${port}; }`,
    ),
  );
  const held = stack.move();
  return { port: own, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** Waits until a topic has two events, and describes it. */
function takenIn(url: string, name: string): Promise<RemoteDescription> {
  return until(
    async () => {
      const described = await describeRemoteTopic(url, name);
      return described?.next === 3 ? described : undefined;
    },
    LIMIT,
    `the events of ${name} to be taken in`,
  );
}

/** Returns the data of each event in a body. */
function dataOf(body: string): string[] {
  return body.match(/^data: .*$/gm) ?? [];
}

for (
  const [
    how,
    { end, status, isTold, begin, headers, silence, over },
  ] of Object.entries(ENDINGS)
) {
  for (const { name, version } of WAYS) {
    const isNginx = name === "nginx";
    const ignore = isNginx && isNginxMissing;
    const test =
      `All who read a stream that ${how} over ${name} see that it is ${end}${
        isTold ? ", and its caller why" : ""
      } (C2, C3)`;
    Deno.test({
      name: test,
      ignore,
      fn: async () => {
        const clock = silence === undefined ? undefined : new FakeClock();
        await using world = await startGateway({
          ...clock && { clock },
          gateway: { timeout: 60_000 },
        });
        await using nginx = isNginx ? await startNginx(world.port) : undefined;
        const { port } = nginx ?? world;
        const get = (
          more: Partial<FramedRequest> = {},
        ): Promise<FramedAnswer> =>
          askFramed({ port, version, target: "/topics/t?raw", ...more });
        const post = (): Promise<FramedAnswer> =>
          askFramed({
            port,
            version,
            method: "POST",
            target: `/v1/${path}`,
            headers: {
              "content-type": "application/json",
              "rivulet-topic": "t",
              "idempotency-key": "k",
            },
            body: '{"stream":true}',
          });
        const first = post();
        const exchange = await world.provider.next();
        await exchange.body();
        await (begin ? begin(exchange) : exchange.stream(SAID, headers));
        const { epoch } = await takenIn(world.url, "t");
        const position = (offset: number): Record<string, string> => ({
          "last-event-id": `${epoch}:${offset}`,
        });
        const readers = {
          first,
          joined: post(),
          raw: get(),
          resumed: get({ headers: position(1) }),
        };
        await world.followed("t", 3);
        await over(exchange, world, "t");
        await clock?.advance(silence ?? 0);
        const seen: Record<string, unknown> = {};
        for (const [reader, answer] of Object.entries(readers)) {
          const { status, body, end } = await answer;
          seen[reader] = [status, dataOf(body).length >= 1, end];
        }
        const is = [200, true, end];
        const ofFirst = isTold ? [200, true, "whole"] : is;
        assertEquals(seen, {
          first: ofFirst,
          joined: is,
          raw: is,
          resumed: is,
        });
        if (isTold) assertStringIncludes((await first).body, LAST_WORD);
        if (how === "is deleted") return;
        assertEquals((await world.ended("t")).status, status);
        const { next = 0 } = await world.describe("t") ?? {};
        assertEquals(
          [(await post()).end, (await get()).end],
          [end, end],
          "those who come later",
        );
        const nothing = await get({ headers: position(next - 1) });
        // An EventSource stops at this status; others can look at the header.
        assertEquals(nothing.status, 204);
        assertEquals(
          /\r\nrivulet-end: (\w+)/.exec(nothing.head)?.[1],
          status,
        );
      },
    });
  }
}

/** Returns the end of the topic as a WebSocket is told it. */
function endOf(url: string): Promise<{ type: string; status?: string }> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    let end = { type: "none" };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "end") end = message;
    };
    socket.onclose = () => resolve(end);
  });
}

for (
  const [
    how,
    { end, status, isTold, begin, headers, silence, over },
  ] of Object.entries(ENDINGS)
) {
  Deno.test(`Subscribers, and callers and readers of a gateway behind the gateway, see what becomes of a stream that ${how} (C4, C5)`, async () => {
    const clock = silence === undefined ? undefined : new FakeClock();
    await using world = await startGateway({
      ...clock && { clock },
      gateway: { timeout: 60_000 },
      // A client of this process answers no ping while the clock is moved on.
      delivery: { heartbeat: 120_000 },
    });
    const url = `http://127.0.0.1:${world.port}`;
    await using behind = await startRelay({
      gateway: { providers: [{ name: "a", url: `${url}/v1` }] },
    });
    const caller = askFramed({
      port: behind.port,
      version: "1.1",
      method: "POST",
      target: `/v1/${path}`,
      headers: {
        "content-type": "application/json",
        "rivulet-topic": "outer",
      },
      body: '{"stream":true}',
    });
    const exchange = await world.provider.next();
    await exchange.body();
    await (begin ? begin(exchange) : exchange.stream(SAID, headers));
    await takenIn(behind.url, "outer");
    const [name = ""] = await world.names();
    await takenIn(world.url, name);
    const stream = (port: number, target: string): Promise<FramedAnswer> =>
      askFramed({
        port,
        version: "1.1",
        target,
        headers: { accept: "text/event-stream" },
      });
    const sse = stream(world.port, `/topics/${name}`);
    const socket = endOf(`${url.replace("http", "ws")}/topics/${name}`);
    const raw = stream(behind.port, "/topics/outer?raw");
    const source = { name: "t", reconnect: { minTimeout: 2, maxTimeout: 5 } };
    const parent = `${url}/topics/${name}`;
    // These only read.
    await using child = await startRelay({
      sources: [{ ...source, url: parent }],
    }, "process");
    await using rawChild = await startRelay({
      sources: [{ ...source, url: `${parent}?raw` }],
    }, "process");
    const ofChild = stream(child.port, "/topics/t?raw");
    const ofRawChild = stream(rawChild.port, "/topics/t?raw");
    const followers = ({ relay }: TestRelay): number =>
      relay.topics.get("t")?.followers ?? 0;
    await world.followed(name, 4);
    await until(
      async () =>
        await remoteFollowers(behind.url, "outer") === 1 &&
          followers(child) === 1 && followers(rawChild) === 1 || undefined,
      LIMIT,
      "the followers behind",
    );
    await over(exchange, world, name);
    await clock?.advance(silence ?? 0);
    const { type, status: told } = await socket;
    assertEquals([type, told], ["end", status]);
    const [, notice = "{}"] = /^data: (.*"status".*)$/m.exec(
      (await sse).body.split("event: rivulet.end").at(-1) ?? "",
    ) ?? [];
    assertEquals(JSON.parse(notice).status, status);
    // The relay behind passes the last word on, which says that the response has failed.
    const behindIt = isTold ? "whole" : end;
    assertEquals([(await caller).end, (await raw).end], [behindIt, behindIt]);
    if (isTold) assertStringIncludes((await caller).body, LAST_WORD);
    if (how !== "is deleted") {
      // A parent's end does not say whether its provider has said so itself.
      assertEquals(
        (await ofChild).end,
        status === "complete" ? "whole" : "cut",
      );
      assertEquals((await ofRawChild).end, end);
    }
    // If the provider said how it ended, that comes through; otherwise only a
    // cut is known.
    const known = end === "whole" ? status : "truncated";
    assertEquals(
      (await remoteEnd(behind.url, "outer")).status,
      isTold ? "failed" : known,
    );
  });
}

for (const version of VERSIONS) {
  for (const how of ["expires", "is drained", "is closed"] as const) {
    Deno.test(`A raw reader over HTTP/${version} whose ${how === "expires" ? "token" : "relay"} ${how} sees that there is more (C3)`, async () => {
      const clock = new FakeClock();
      await using world = await startRelay({
        clock,
        rights: { jwtKey: JWT_KEY },
      });
      const { relay, port } = world;
      const topic = relay.topics.create("t");
      await topic.append([{ event: "message", data: "a", id: "" }]);
      const token = await mintToken({
        read: ["*"],
        exp: Math.floor(clock.now() / 1_000) + 60,
      });
      const answer = askFramed({
        port,
        version,
        target: "/topics/t?raw",
        headers: { authorization: `Bearer ${token}` },
      });
      await until(
        () => topic.followers === 1 || undefined,
        LIMIT,
        "the follower",
      );
      if (how === "expires") await clock.advance(120_000);
      else if (how === "is closed") void relay.close();
      else {
        void relay.drain(1_000);
        await clock.advance(1_000);
      }
      const { body, end } = await answer;
      assertEquals([dataOf(body), end], [["data: a"], "cut"]);
    });
  }
}
