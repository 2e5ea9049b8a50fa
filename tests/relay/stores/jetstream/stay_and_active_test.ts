// Subscribers see of `active` and `stay` what they would see of one relay alone, whichever
// relay fills the topic.
import { assertEquals } from "@std/assert";
import {
  type GatewayWorld,
  startGateway,
} from "../../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../../support/gateway/wire_formats.ts";
import { CuttableLine } from "../../../support/http/cuttable_line.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import { RawWebSocket } from "../../../support/subscribers/raw_websocket.ts";
import { ReconnectingUpstream } from "../../../support/upstreams/reconnecting_upstream.ts";
import { LIMIT, until } from "../../../support/within.ts";

const ignore = lacksNats();

const { path, start, delta, ends } = WIRE_FORMATS["Responses"]!;

/** The relay that fills topics, and the one that subscribers ask. */
interface Pair extends AsyncDisposable {
  readonly filler: GatewayWorld;
  readonly asked: TestRelay;
  /** An address that the relays may read. */
  readonly upstream: ReconnectingUpstream;
}

/** The pairs of relays that have to be alike for subscribers. */
const PAIRS = ["one relay", "the relay that fills it", "another relay"];

async function startPair(kind: string): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await ReconnectingUpstream.start(() => {}));
  const server = kind === "one relay"
    ? undefined
    : stack.use(await NatsServer.start());
  const options = {
    rights: { allowAddresses: ["127.0.0.1"], allowSources: [upstream.url] },
    ...server && { store: `nats://${server.host}` },
  };
  const filler = stack.use(await startGateway(options));
  const asked = kind === "another relay"
    ? stack.use(await startRelay(options))
    : filler;
  const kept = stack.move();
  return {
    filler,
    asked,
    upstream,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function send(
  { request }: TestRelay,
  method: string,
  target: string,
  body?: string,
  headers: Record<string, string> = { "content-type": "text/plain" },
): Promise<number> {
  const response = await request(target, {
    method,
    headers,
    ...body !== undefined && { body },
  });
  await response.body?.cancel();
  return response.status;
}

const JSON_TYPE = { "content-type": "application/json" };
const RENEWED = { "content-type": "text/plain", "rivulet-if-ended": "renew" };

/** Asks for what goes on: the status, and the end that is told. */
async function active({ request }: TestRelay, query = ""): Promise<string> {
  const response = await request(`/topics/t?active${query}`);
  await response.body?.cancel();
  return `${response.status} ${response.headers.get("rivulet-end") ?? ""}`
    .trim();
}

/** Waits for an answer that the filler gives to the one that is asked, too. */
function becomes(relay: TestRelay, answer: string): Promise<true> {
  let last = "";
  return until(
    async () => {
      last = await active(relay);
      return last === answer || undefined;
    },
    LIMIT,
    () => `${answer} of ?active: it is ${last}`,
  );
}

for (const kind of PAIRS) {
  Deno.test({
    name: `?active at ${kind}: a topic that is made, filled, ended and renewed`,
    ignore,
    async fn() {
      await using pair = await startPair(kind);
      const { filler, asked } = pair;
      assertEquals(await active(asked), "204");
      // It has made none: the first PUT does.
      assertEquals(
        await send(filler, "PUT", "/topics/t", "{}", JSON_TYPE),
        201,
      );
      assertEquals(await active(asked), "204", "nothing fills it");
      assertEquals(await send(filler, "POST", "/topics/t", "a"), 200);
      assertEquals(await active(asked), "200");
      assertEquals(await active(asked, "&raw"), "200");
      const end = '{"status":"failed"}';
      await send(filler, "POST", "/topics/t/end", end, JSON_TYPE);
      assertEquals(await active(asked), "204 failed");
      assertEquals(await active(asked, "&stay"), "204 failed");
      await send(filler, "POST", "/topics/t", "b", RENEWED);
      assertEquals(await active(asked), "200");
      await send(filler, "POST", "/topics/t/cancel", "{}", JSON_TYPE);
      assertEquals(await active(asked), "204 cancelled");
      await send(filler, "DELETE", "/topics/t");
      assertEquals(await active(asked), "204");
    },
  });

  Deno.test({
    name: `?active at ${kind}: a topic that is only waited for`,
    ignore,
    async fn() {
      await using pair = await startPair(kind);
      await using socket = await RawWebSocket.open(
        pair.filler.url,
        "/topics/t",
      );
      await socket.message("subscribed");
      assertEquals(await active(pair.asked), "204");
    },
  });

  Deno.test({
    name: `?active at ${kind}: a source that has not answered yet`,
    ignore,
    async fn() {
      await using pair = await startPair(kind);
      const { filler, asked, upstream } = pair;
      const body = JSON.stringify({ source: { url: upstream.url } });
      assertEquals(
        await send(filler, "PUT", "/topics/t", body, JSON_TYPE),
        201,
      );
      await becomes(asked, "200");
    },
  });

  Deno.test({
    name: `?active at ${kind}: a run whose provider has not answered yet`,
    ignore,
    async fn() {
      await using pair = await startPair(kind);
      const { filler, asked } = pair;
      const headers = { "rivulet-topic": "t", "rivulet-if-ended": "renew" };
      for (const word of ["a", "b"]) {
        const { exchange, answer } = await filler.begin({ path, headers });
        await becomes(asked, "200");
        const reading = await asked.request("/topics/t?active&raw");
        await exchange.stream(start + delta(word) + ends[0]![1]);
        await exchange.end();
        await (await answer).rest();
        const text = await reading.text();
        assertEquals(text.match(/"delta":"\w"/g), [`"delta":"${word}"`]);
        await becomes(asked, "204 complete");
      }
    },
  });
}

/** Reads messages up to the next of a type: where the reader is, without epochs. */
async function take(socket: RawWebSocket, last: string): Promise<string[]> {
  const lines: string[] = [];
  for (;;) {
    const message = await socket.next();
    if (!message) return [...lines, "closed"];
    const { type } = message;
    if (type === "subscribed") {
      lines.push(`${message["state"]} ${message["recovered"]}`);
    } else if (type === "events") {
      for (const { data } of message["events"] as { data: string }[]) {
        lines.push(data);
      }
    } else if (type === "end") {
      lines.push(`end ${message["status"]} ${message["offset"]}`);
    } else if (type === "gap") {
      lines.push(`gap ${message["reason"]}`);
    }
    if (type === last) return lines;
  }
}

/** Publishes a whole turn, in an epoch of its own. */
async function turn(relay: TestRelay, data: string): Promise<void> {
  assertEquals(await send(relay, "POST", "/topics/t", data, RENEWED), 200);
  await send(relay, "POST", "/topics/t/end", "{}", JSON_TYPE);
}

for (const kind of PAIRS) {
  Deno.test({
    name: `A subscription that stays at ${kind}`,
    ignore,
    async fn() {
      await using pair = await startPair(kind);
      const { filler, asked } = pair;
      await turn(filler, "a");
      await using socket = await RawWebSocket.open(
        asked.url,
        "/topics/t?stay",
      );
      assertEquals(await take(socket, "end"), [
        "ended true",
        "a",
        "end complete 2",
      ]);
      // Whichever relay renews it.
      for (const [relay, data] of [[filler, "b"], [asked, "c"]] as const) {
        assertEquals(
          await send(relay, "POST", "/topics/t", data, RENEWED),
          200,
        );
        const [first, ...rest] = await take(socket, "live");
        // It may be told of the epoch before its first event.
        assertEquals(/^(pending|open) true$/.test(`${first}`), true, first);
        assertEquals(rest, [data]);
        await send(relay, "POST", "/topics/t/end", "{}", JSON_TYPE);
        assertEquals(await take(socket, "end"), ["end complete 2"]);
      }
      await send(filler, "DELETE", "/topics/t");
      await turn(filler, "d");
      const lines = await take(socket, "end");
      assertEquals(lines.slice(1), ["d", "end complete 2"]);
      assertEquals(lines[0]?.endsWith(" true"), true, lines[0]);
    },
  });

  Deno.test({
    name: `A subscription that comes back for several turns at ${kind}`,
    ignore,
    async fn() {
      await using pair = await startPair(kind);
      const { filler, asked } = pair;
      for (const data of ["a", "b", "c"]) await turn(filler, data);
      const page = async (): Promise<string> => {
        const answer = await filler.request("/topics/t", {
          headers: { accept: "application/json" },
        });
        return (await answer.json()).epoch;
      };
      const third = await page();
      for (const data of ["d", "e", "f"]) await turn(filler, data);
      for (const offset of [1, 2]) {
        await using socket = await RawWebSocket.open(
          asked.url,
          `/topics/t?stay&after=${third}:${offset}`,
        );
        assertEquals(await take(socket, "end"), [
          "ended true",
          "end complete 2",
        ]);
        for (const data of ["d", "e", "f"]) {
          assertEquals(await take(socket, "end"), [
            "ended true",
            data,
            "end complete 2",
          ]);
        }
      }
    },
  });
}

for (const kind of PAIRS) {
  Deno.test({
    name: `A subscription at ${kind} outlives a publication that is refused`,
    ignore,
    async fn() {
      await using pair = await startPair(kind);
      const { filler, asked } = pair;
      await using socket = await RawWebSocket.open(asked.url, "/topics/t?stay");
      assertEquals(await take(socket, "subscribed"), ["pending true"]);
      // At first there is no topic, and then one that has ended.
      for (const data of ["a", "b"]) {
        const headers = { ...JSON_TYPE, "rivulet-if-ended": "renew" };
        const wrong = await send(filler, "POST", "/topics/t", "[", headers);
        assertEquals(wrong, 400);
        await turn(filler, data);
        const lines = await take(socket, "end");
        assertEquals(lines.slice(-2), [data, "end complete 2"]);
        assertEquals(lines.join().includes("cancelled"), false, lines.join());
      }
    },
  });
}

Deno.test({
  name:
    "A subscription that stays misses no turn that came while its relay was cut off from NATS",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    await using line = await CuttableLine.start(server.port);
    await using filler = await startRelay({ store: `nats://${server.host}` });
    const { host } = new URL(line.url);
    await using asked = await startRelay({ store: `nats://${host}` });
    await turn(filler, "a");
    await using socket = await RawWebSocket.open(asked.url, "/topics/t?stay");
    await take(socket, "end");
    line.cut();
    for (const data of ["b", "c", "d"]) await turn(filler, data);
    line.mend();
    // The relay looks the topic up when it is asked, if it has not done so before.
    await until(
      async () => (await active(asked)) === "204 complete" || undefined,
      LIMIT,
      "the relay to come back to NATS",
    );
    for (const data of ["b", "c", "d"]) {
      assertEquals(await take(socket, "end"), [
        "ended true",
        data,
        "end complete 2",
      ]);
    }
  },
});
