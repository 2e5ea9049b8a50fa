// A token is one client, however it travels: row A8 of what users' reports break.
import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";

Deno.test("A token without a subject has one rate, by whichever way it comes (A8)", async () => {
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  await using relay = await startRelay({
    clock,
    rights: { jwtKey: JWT_KEY, allowQueryToken: true },
    limits: { maxPublishRate: 5 },
  });
  const exp = clock.now() / 1_000 + 3_600;
  const token = await mintToken({ write: ["t"], exp });
  const ways: readonly { headers?: Record<string, string>; query?: string }[] =
    [
      { headers: { authorization: `Bearer ${token}` } },
      { headers: { authorization: `bEARER   ${token}` } },
      { headers: { "rivulet-token": ` ${token} ` } },
      { query: `?access_token=${token}` },
    ];
  const post = async (
    { headers = {}, query = "" }: typeof ways[number],
  ): Promise<number> => {
    const answer = await relay.request(`/topics/t${query}`, {
      method: "POST",
      headers: { "content-type": "text/plain", ...headers },
      body: "x",
    });
    await answer.body?.cancel();
    return answer.status;
  };
  for (const way of ways) assertEquals(await post(way), 200);
  const encoded = Buffer.from(token).toString("base64url");
  await using socket = await RawWebSocket.open(relay.url, "/ws", {
    "Sec-WebSocket-Protocol": `rivulet.v1, bearer.${encoded}`,
  });
  const message = { type: "publish", topic: "t", events: [{ data: "x" }] };
  await socket.say(message);
  await socket.message("published");
  // That was all of it, for all of them.
  await socket.say(message);
  assertEquals((await socket.message("error"))["code"], "publish_rate");
  for (const way of ways) assertEquals(await post(way), 429);
  // Another token is another client.
  const other = await mintToken({ write: ["t"], exp: exp + 1 });
  assertEquals(
    await post({ headers: { authorization: `Bearer ${other}` } }),
    200,
  );
});
