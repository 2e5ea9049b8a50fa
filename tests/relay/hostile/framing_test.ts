// The border between requests: bytes that two readers could see differently are
// refused, and no part of them is taken for a request.
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Bystanders } from "../../support/relay/bystanders.ts";
import { propertyParameters } from "../../support/property.ts";
import { RawHttp, statusesIn } from "../../support/http/raw_http.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";

/** The smuggled request, whose effect can be seen. */
const SMUGGLED =
  "PUT /topics/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";

const LENGTH = SMUGGLED.length;

const POST =
  "POST /topics/posted HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n";

const GET = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";

const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;

const EMPTY = `0\r\n\r\n${SMUGGLED}`;

/**
 * Requests whose end everybody sees in the same place, and a smuggled one
 * behind each.
 */
const CLEAR: Readonly<Record<string, string>> = {
  "a length": `${POST}Content-Length: 1\r\n\r\nx${SMUGGLED}`,
  "a length with zeros": `${POST}Content-Length: 0001\r\n\r\nx${SMUGGLED}`,
  "a length after a tab": `${POST}Content-Length:\t1 \r\n\r\nx${SMUGGLED}`,
  "chunks": `${CHUNKED}1\r\nx\r\n${EMPTY}`,
  "chunks with zeros": `${CHUNKED}0001\r\nx\r\n000\r\n\r\n${SMUGGLED}`,
  "ChUnKeD": `${POST}Transfer-Encoding: ChUnKeD\r\n\r\n${EMPTY}`,
  "chunked after a tab": `${POST}Transfer-Encoding:\tchunked\r\n\r\n${EMPTY}`,
  "a chunk with an extension": `${CHUNKED}1;a="b;\\"c"\r\nx\r\n${EMPTY}`,
  "a trailer": `${CHUNKED}1\r\nx\r\n0\r\nA: b\r\n\r\n${SMUGGLED}`,
  "a header that is nearly one":
    `${POST}Content_Length: ${LENGTH}\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  "a GET with a length of 0": `${GET}Content-Length: 0\r\n\r\n${SMUGGLED}`,
  "empty lines in front": `\r\n\r\n${GET}\r\n${SMUGGLED}`,
};

/** Requests without such an end. */
const AMBIGUOUS: Readonly<Record<string, string>> = {
  "a length and chunks":
    `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${EMPTY}`,
  "chunks and a length":
    `${POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${EMPTY}`,
  "both of a GET":
    `${GET}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${EMPTY}`,
  "two lengths":
    `${POST}Content-Length: 0\r\nContent-Length: ${LENGTH}\r\n\r\n${SMUGGLED}`,
  "one length twice":
    `${POST}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx${SMUGGLED}`,
  "a list of lengths": `${POST}Content-Length: 0, ${LENGTH}\r\n\r\n${SMUGGLED}`,
  "a list of one length": `${POST}Content-Length: 1, 1\r\n\r\nx${SMUGGLED}`,
  "a folded line": `${POST}X: a\r\n Transfer-Encoding: chunked\r\n\r\n${EMPTY}`,
  "a folded value": `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n${EMPTY}`,
  "a folded first line":
    `POST /topics/posted HTTP/1.1\r\n Host: x\r\nHost: localhost\r\n\r\n${SMUGGLED}`,
  "a space before the colon":
    `${POST}Content-Length : ${LENGTH}\r\n\r\n${SMUGGLED}`,
  "a space before the other colon":
    `${POST}Transfer-Encoding : chunked\r\n\r\n${EMPTY}`,
  "a space in a name": `${POST}Content Length: 0\r\n\r\n${SMUGGLED}`,
  "a line without colon":
    `${POST}Nothing\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  "a name of other bytes":
    `${POST}\xFF: b\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  "LF alone": `${
    POST.replaceAll("\r\n", "\n")
  }Content-Length: 0\n\n${SMUGGLED}`,
  "LF in a value": `${POST}X: a\nContent-Length: ${LENGTH}\r\n\r\n${SMUGGLED}`,
  "CR in a value": `${POST}X: a\rContent-Length: ${LENGTH}\r\n\r\n${SMUGGLED}`,
  "CR twice": `${POST}X: a\r\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  "LF for the empty line": `${POST}Content-Length: 0\r\n\n${SMUGGLED}`,
  "NUL in a value": `${POST}X: a\0b\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  "NUL in a name": `${POST}X\0: b\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  "two hosts": `${POST}Host: other\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`,
  "no host": `POST /topics/posted HTTP/1.1\r\n\r\n${SMUGGLED}`,
  "a space in front": ` ${GET}\r\n${SMUGGLED}`,
  "HTTP/1.0 with chunks":
    `${POST.replace("1.1", "1.0")}Connection: keep-alive\r\n` +
    `Transfer-Encoding: chunked\r\n\r\n${EMPTY}`,
  "HTTP/1.0 with both":
    `${POST.replace("1.1", "1.0")}Connection: keep-alive\r\n` +
    `Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${EMPTY}`,
};

const LENGTHS = [
  ...["", "-1", `+${LENGTH}`, "0x10", "0.0", "0e1", "1 1", "1;", "1\0", "x"],
  ...["99999999999999999999999", "18446744073709551616"],
  ...["18446744073709551617", "\u00B2", "\x0B1", "1,"],
];

const CODINGS = [
  ...["", ",", "xchunked", "chunkedx", "identity", "gzip", "chunked, identity"],
  ...["chunked,", ", chunked", "chunked, chunked", "identity, chunked"],
  ...["gzip, chunked", "chunked;q=1", '"chunked"', "\x0Bchunked", "chun ked"],
  ...["chunked\0", "c\u0127unked"],
];

/** Faults in a body of chunks. */
const CHUNKS: Readonly<Record<string, string>> = {
  "a size over 64 bits": `FFFFFFFFFFFFFFFFF\r\n${SMUGGLED}`,
  "a size of 64 bits": `10000000000000000\r\n${SMUGGLED}`,
  "a size below 0": `-1\r\n${SMUGGLED}`,
  "a size with a sign": `+1\r\nx\r\n${EMPTY}`,
  "a size with 0x": `0x0\r\n\r\n${SMUGGLED}`,
  "a size and a space": `0 \r\n\r\n${SMUGGLED}`,
  "a space and a size": ` 0\r\n\r\n${SMUGGLED}`,
  "no size": `\r\n\r\n${SMUGGLED}`,
  "an open quote": `1;a="b\r\nx\r\n${EMPTY}`,
  "LF in an extension": `1;\nx\r\n${EMPTY}`,
  "LF after a size": `1\nx\r\n${EMPTY}`,
  "LF after data": `1\r\nx\n${EMPTY}`,
  "nothing after data": `1\r\nx${EMPTY}`,
  "more than was said": `1\r\nxyz\r\n${EMPTY}`,
  "LF for the empty line": `0\r\n\n${SMUGGLED}`,
  "a trailer of chunks":
    `1\r\nx\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED}`,
  "a trailer of a length":
    `1\r\nx\r\n0\r\nContent-Length: ${LENGTH}\r\n\r\n${SMUGGLED}`,
};

/** The statuses with which a server refuses a request that it cannot read. */
const REFUSALS: readonly number[] = [400, 413, 431, 501, 505];

/**
 * Returns the number of posted events; forgets them, and the smuggled topic.
 */
function takePosted({ relay: { topics } }: TestRelay): number {
  const posted = topics.get("posted");
  topics.delete("posted");
  return posted ? posted.log.next - 1 : 0;
}

/** Sees that something is refused, once and for all, and that nothing of it was done. */
async function assertRefused(
  relay: TestRelay,
  bytes: string,
  what: string,
): Promise<void> {
  await using caller = await RawHttp.open(relay.url);
  await caller.send(bytes);
  // The relay closes it: nobody else has.
  const text = await caller.rest();
  const [status, ...more] = statusesIn(text);
  assert(REFUSALS.includes(status ?? 0), `${what}: got ${text}`);
  assertEquals(more, [], `${what}: ${text}`);
  const wasCarriedOut = relay.relay.topics.delete("smuggled");
  assertEquals([wasCarriedOut, takePosted(relay)], [false, 0], what);
}

/** Sees that there are two requests in it, the second one being the smuggled one. */
async function assertTwo(
  relay: TestRelay,
  bytes: string,
  what: string,
): Promise<void> {
  relay.relay.topics.delete("smuggled"); // of a run that has failed
  await using caller = await RawHttp.open(relay.url);
  await caller.send(bytes);
  const statuses: unknown[] = [];
  for (let n = 0; n < 2; n++) statuses.push((await caller.answer())?.status);
  assertEquals(statuses, [200, 201], what);
  assert(relay.relay.topics.delete("smuggled"), what);
  takePosted(relay);
}

Deno.test("Relay sees two requests where there are two", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  for (const [what, bytes] of Object.entries(CLEAR)) {
    await assertTwo(relay, bytes, what);
    await bystanders.check(what);
  }
});

Deno.test("Relay answers no request that is hidden in another", async (t) => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  const tables = {
    "whose end is uncertain": AMBIGUOUS,
    "whose length is none": Object.fromEntries(LENGTHS.flatMap((length) => [
      [length, `${POST}Content-Length: ${length}\r\n\r\n${SMUGGLED}`],
      [`${length} x`, `${POST}Content-Length: ${length}\r\n\r\nx${SMUGGLED}`],
    ])),
    "whose coding is none that there is": Object.fromEntries(
      CODINGS.flatMap((coding) => {
        const field = `Transfer-Encoding: ${coding}\r\n\r\n`;
        return [
          [coding, POST + field + EMPTY],
          [`${coding} at once`, POST + field + SMUGGLED],
          [`GET ${coding}`, GET + field + SMUGGLED],
        ];
      }),
    ),
    "whose chunks are none": Object.fromEntries(
      Object.entries(CHUNKS).map(([what, body]) => [what, CHUNKED + body]),
    ),
  };
  for (const [name, table] of Object.entries(tables)) {
    await t.step(name, async () => {
      for (const [what, bytes] of Object.entries(table)) {
        await assertRefused(relay, bytes, JSON.stringify(what));
        await bystanders.check(what);
      }
    });
  }
});

/** Fields that say where a body ends. */
const field = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("Content-Length: 3") },
  { weight: 3, arbitrary: fc.constantFrom("Transfer-Encoding: chunked") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(...LENGTHS).map((text) =>
      `content-length:${text}`
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(...CODINGS).map((text) =>
      `TRANSFER-ENCODING: ${text}`
    ),
  },
  { weight: 3, arbitrary: fc.constantFrom("X: y", "Trailer: z") },
);

/**
 * The end of the body by RFC 9112 (section 6.3), for a server that guesses
 * nothing.
 */
function framingOf(
  fields: readonly string[],
): "none" | "length" | "chunks" | "?" {
  const framing = fields.filter((text) => /^(content-l|transfer)/i.test(text));
  switch (framing.join()) {
    case "":
      return "none";
    case "Content-Length: 3":
      return "length";
    case "Transfer-Encoding: chunked":
      return "chunks";
    default:
      return "?";
  }
}

Deno.test("Relay finds the end of a body where the standard has it, or refuses", async () => {
  await using relay = await startRelay();
  const { numRuns, seed } = propertyParameters(300);
  await fc.assert(
    fc.asyncProperty(
      fc.array(field, { maxLength: 3 }),
      fc.constantFrom("", "0\r\n\r\n", "abc", "3\r\nabc\r\n0\r\n\r\n"),
      fc.constantFrom(POST, GET),
      async (fields, noise, start) => {
        const framing = framingOf(fields);
        const head = `${start}${
          fields.map((text) => `${text}\r\n`).join("")
        }\r\n`;
        const what = JSON.stringify(head);
        if (framing === "?") {
          return await assertRefused(relay, head + noise + SMUGGLED, what);
        }
        const body = {
          none: "",
          length: "abc",
          chunks: "3\r\nabc\r\n0\r\n\r\n",
        }[framing];
        await assertTwo(relay, head + body + SMUGGLED, what);
      },
    ),
    { numRuns, seed },
  );
});

/** Bytes behind a readable request that cannot be read as a request. */
const GARBAGE: Readonly<Record<string, string>> = {
  "NUL": "\0\0\0\r\n\r\n",
  "a refused request": `${POST}Content-Length: x\r\n\r\n`,
  "another protocol": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "a method that there is not": "DANCE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
};

Deno.test("Relay gives nobody the answer of another request", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  const firsts: [what: string, request: string][] = [
    ["a page", GET],
    ["a publication", `${POST}Content-Length: 1\r\n`],
    ["the last request", `${POST}Connection: close\r\nContent-Length: 1\r\n`],
    [
      "a publication of HTTP/1.0",
      `${POST}Content-Length: 1\r\n`
        .replace("1.1", "1.0"),
    ],
  ];
  for (const [first, head] of firsts) {
    for (const [behind, garbage] of Object.entries(GARBAGE)) {
      const what = `${behind} behind ${first}`;
      await using caller = await RawHttp.open(relay.url);
      await caller.send(`${head}\r\n${head === GET ? "" : "x"}${garbage}`);
      const statuses = statusesIn(await caller.rest());
      // The first one was in order: to be told otherwise, its caller would send it
      // again.
      const [status = 200, ...more] = statuses;
      assertEquals(status, 200, what);
      assert(more.length <= 1 && more.every((n) => n >= 400), what);
      takePosted(relay);
      await bystanders.check(what);
    }
  }
});

const UPGRADE =
  "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

Deno.test("Relay writes nothing into an answer that is not a part of it", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  const behind = {
    ...GARBAGE,
    "an upgrade": `GET /ws HTTP/1.1\r\n${UPGRADE}`,
    "a refused upgrade": `GET /nowhere HTTP/1.1\r\n${UPGRADE}`,
  };
  for (const [what, bytes] of Object.entries(behind)) {
    await using stream = await RawHttp.open(relay.url);
    await stream.send(
      `GET /topics/stream HTTP/1.1\r\nHost: localhost\r\n` +
        `Accept: text/event-stream\r\n\r\n${bytes}`,
    );
    const begun = await stream.see("\r\n\r\n");
    relay.relay.topics.create("stream").end("complete");
    // It is cut, or it is whole: and then it may have an answer behind it.
    const rest = begun === undefined ? "" : await stream.rest();
    const [body = ""] = rest.split("0\r\n\r\n");
    assert(!/HTTP\/1|"welcome"/.test(body), `${what}: ${body}`);
    relay.relay.topics.delete("stream");

    await using post = await RawHttp.open(relay.url);
    await post.send(`${POST}Content-Length: 1\r\n\r\nx${bytes}`);
    post.client.end();
    const text = await post.rest();
    const [head = "", answer = ""] = text.split("\r\n\r\n");
    assert(text === "" || head.startsWith("HTTP/1.1 200 "), `${what}: ${text}`);
    assert(text === "" || /^\{"epoch"[^}]*\}/.test(answer), `${what}: ${text}`);
    takePosted(relay);
    await bystanders.check(what);
  }
});
