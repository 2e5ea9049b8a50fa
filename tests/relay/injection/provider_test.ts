// Text from a provider about itself, and from a caller about its topic, on its
// way into headers, topics, and files.
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { join } from "node:path";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { hostileText } from "../../support/upstreams/hostile_text.ts";
import { propertyParameters } from "../../support/property.ts";
import { RawHttp } from "../../support/http/raw_http.ts";

const CHAT = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n" +
  "Content-Type: application/json\r\n";

const BODY = '{"stream":true}';

function ask(field: string): string {
  return `${CHAT}${field}Content-Length: ${BODY.length}\r\n\r\n${BODY}`;
}

/** Status texts and headers, of bytes that there may be in them (RFC 9112, section 4). */
const ODD = [
  "",
  " ",
  "\t",
  "\xE9\xFF",
  "OK; rel=next",
  "x".repeat(2_000),
  "%0d%0aRivulet-Topic: forged",
  '"}</script>{topic}',
];

Deno.test("A provider's status text is no header", async () => {
  await using world = await startGateway();
  for (const status of [200, 299, 429, 500, 599]) {
    for (const text of ODD) {
      const what = `${status} ${JSON.stringify(text)}`;
      await using caller = await RawHttp.open(world.url);
      await caller.send(ask("Rivulet-Topic: t\r\n"));
      const exchange = await world.provider.next();
      await exchange.body();
      await exchange.raw(
        new Uint8Array(
          [...`HTTP/1.1 ${status} ${text}\r\nContent-Length: 2\r\n\r\n{}`]
            .map((character) => character.charCodeAt(0)),
        ),
      );
      exchange.close();
      const answer = await caller.answer();
      // It is told as it is, or not at all.
      assert(answer?.status === status || answer?.status === 502, what);
      assertEquals(answer.headers.get("rivulet-topic"), null, what);
      world.relay.topics.delete("t");
    }
  }
});

Deno.test("A provider's headers do not speak for the relay", async () => {
  await using world = await startGateway();
  await using caller = await RawHttp.open(world.url);
  await caller.send(ask("Rivulet-Topic: mine\r\n"));
  const exchange = await world.provider.next();
  await exchange.body();
  await exchange.raw(
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
      "Rivulet-Topic: forged\r\nRivulet-Epoch: forged\r\n" +
      'Set-Cookie: session=forged\r\nLink: </elsewhere>; rel="next"\r\n' +
      "Connection: close, X-Hop\r\nX-Hop: y\r\nTransfer-Encoding: chunked\r\n" +
      "\r\nf\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
  );
  exchange.close();
  const head = await caller.see("\r\n\r\n") ?? "";
  assert(!/forged|x-hop/i.test(head), head);
  assertEquals(head.match(/^rivulet-topic: mine\r$/gim)?.length, 1, head);
  assertEquals(head.match(/^transfer-encoding:/gim)?.length, 1, head);
});

Deno.test("A provider's message is a reason, whatever is in it", async () => {
  await using world = await startGateway();
  const { numRuns, seed } = propertyParameters(50);
  await fc.assert(
    fc.asyncProperty(hostileText, fc.boolean(), async (message, isStream) => {
      world.relay.topics.delete("t");
      const { exchange, answer } = await world.begin({
        headers: { "rivulet-topic": "t" },
      });
      if (isStream) {
        const error = JSON.stringify({ error: { message } });
        await exchange.stream(`data: ${error}\n\n`);
        await exchange.end();
      } else await exchange.json(500, { error: { message } });
      await using caller = await answer;
      await caller.rest();
      const list = await world.request("/topics");
      const { topics } = await list.json();
      assertEquals(topics.map(({ name }: { name: string }) => name), ["t"]);
      const page = await world.request("/topics/t", {
        headers: { Accept: "application/json" },
      });
      assertEquals(page.status, 200);
      await page.json();
    }),
    { numRuns, seed },
  );
});

Deno.test("A topic's name becomes a header, a path and a file, or is refused", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using world = await startGateway({
      gateway: { record: join(folder, "runs") },
    });
    const names = [
      ...["..", "../x", "..\\x", "a/b", "a\\b", ".hidden", "%2e%2e", "a b"],
      ...["a\tb", "a;b", 'a"b', "a,b", "\xE9", "x".repeat(129)],
      ...[
        "__proto__",
        "constructor",
        "~",
        "~root",
        "-rf",
        "a..b",
        "a:b",
        "CON",
      ],
      ...["NUL.txt", "a.", "x".repeat(128), ":", "--", "a~1"],
    ];
    let runs = 0;
    for (const name of names) {
      const isName = /^[A-Za-z0-9_~:-][A-Za-z0-9._~:-]{0,127}$/.test(name);
      await using caller = await RawHttp.open(world.url);
      await caller.send(ask(`Rivulet-Topic: ${name}\r\n`));
      if (!isName) {
        const answer = await caller.answer();
        assertEquals(answer?.status, 400, name);
        continue;
      }
      runs++;
      const exchange = await world.provider.next();
      await exchange.body();
      await exchange.stream("data: [DONE]\n\n");
      await exchange.end();
      const head = await caller.see("\r\n\r\n") ?? "";
      const lines = head.split("\r\n");
      assert(
        lines.some((line) =>
          line.toLowerCase() ===
            `rivulet-topic: ${name.toLowerCase()}`
        ),
        head,
      );
      const { status } = await world.ended(name);
      const page = await world.request(`/topics/${name}`, { method: "HEAD" });
      assertEquals(page.headers.get("rivulet-end"), status);
    }
    const list = await world.request("/topics");
    const { topics } = await list.json();
    assertEquals(topics.length, runs);
    await world[Symbol.asyncDispose]();
    // Nothing is anywhere else.
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), [
      "runs",
    ]);
    const files = [...Deno.readDirSync(join(folder, "runs"))];
    assertEquals(files.length, 2 * runs);
    for (const { name, isFile } of files) {
      assert(isFile && /^[\w.~-]+\.(sse|json)$/.test(name), name);
      assert(!name.startsWith("-") && !name.startsWith("."), name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
