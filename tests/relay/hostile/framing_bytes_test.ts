// A5: bytes around a body that have no end, and carry nothing.
import { assert, assertEquals } from "@std/assert";
import { Bystanders } from "../../support/relay/bystanders.ts";
import { RawHttp, statusesIn } from "../../support/http/raw_http.ts";
import { startRelay } from "../../support/relay/relay.ts";

const POST = "POST /topics/t HTTP/1.1\r\nHost: localhost\r\n" +
  "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";

const BLOCK = 16 * 1024;

/** More than a relay may take, by far. */
const BLOCKS = 1_000;

/** The start of a connection, and the bytes that follow without an end. */
const ENDLESS: Readonly<Record<string, readonly [string, string]>> = {
  "a chunk extension": [`${POST}1;`, "a"],
  "the value of a chunk extension": [`${POST}1;a="`, "a"],
  "many chunk extensions": [`${POST}1`, ";a=b"],
  "an extension of the last chunk": [`${POST}1\r\na\r\n0;`, "a"],
  "an extension for each byte": [
    POST,
    `1;${"a".repeat(8_000)}\r\na\r\n`,
  ],
  "zeros before a chunk size": [POST, "0"],
  "trailers": [`${POST}1\r\na\r\n0\r\n`, "a: b\r\n"],
  "a trailer": [`${POST}1\r\na\r\n0\r\na: `, "b"],
  "the spaces of a trailer": [`${POST}1\r\na\r\n0\r\na:`, " "],
  "headers": ["GET / HTTP/1.1\r\nHost: localhost\r\n", "a: b\r\n"],
  "folded lines": ["GET / HTTP/1.1\r\nHost: localhost\r\na: b\r\n", " \r\n"],
  "the spaces of a header": ["GET / HTTP/1.1\r\nHost:", " "],
  "a target": ["GET /", "a"],
  "empty lines before a request": ["", "\r\n"],
  "empty lines after a request": [
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "\r\n",
  ],
};

Deno.test("A5: Relay closes a connection that brings no end of anything but a body", async (t) => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  for (const [what, [start, repeated]] of Object.entries(ENDLESS)) {
    await t.step(what, async () => {
      await using caller = await RawHttp.open(relay.url);
      const block = repeated.repeat(Math.ceil(BLOCK / repeated.length));
      await caller.send(start);
      let blocks = 0;
      let isClosed = false;
      void caller.client.closed.then(() => isClosed = true);
      while (!isClosed && blocks < BLOCKS) {
        blocks++;
        await caller.send(block).catch(() => isClosed = true);
      }
      const [status, ...more] = statusesIn(await caller.rest())
        .filter((status) => status !== 200);
      assert(isClosed, "It is open");
      assertEquals(more, []);
      assert([undefined, 400, 413, 431].includes(status), `${status}`);
      await bystanders.check(what);
    });
  }
});

Deno.test("A5: Relay takes bodies with as much around them as clients have", async () => {
  await using relay = await startRelay();
  const signature = `chunk-signature=${"a".repeat(64)}`;
  const bodies: Readonly<Record<string, string>> = {
    "chunks of one byte": "1\r\na\r\n".repeat(20_000),
    "sizes with zeros": "0000001\r\na\r\n".repeat(20_000),
    "signed chunks": `400;${signature}\r\n${"a".repeat(1024)}\r\n`.repeat(
      1_000,
    ),
    "a long extension": `1;${"a".repeat(12_000)}\r\na\r\n`,
  };
  for (const [what, body] of Object.entries(bodies)) {
    await using caller = await RawHttp.open(relay.url);
    await caller.send(`${POST}${body}0\r\nX-Checksum: 1\r\n\r\n`);
    assertEquals((await caller.answer())?.status, 200, what);
  }
});
