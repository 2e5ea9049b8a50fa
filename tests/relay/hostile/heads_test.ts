// Heads that are too long, or never end.
import { assert, assertEquals } from "@std/assert";
import { Bystanders } from "../../support/relay/bystanders.ts";
import { RawHttp, statusesIn } from "../../support/http/raw_http.ts";
import { startRelay } from "../../support/relay/relay.ts";

const KIB = 1_024;
const MIB = KIB * KIB;

const START = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";

const UPGRADE =
  `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n` +
  "Upgrade: websocket\r\n";

/** Heads, and what may be said of them: that of 431 is too large, 400 is no head. */
const HEADS: Readonly<Record<string, readonly [string, ...number[]]>> = {
  "a header of 1 MiB": [`${START}X: ${"x".repeat(MIB)}\r\n\r\n`, 431],
  "a name of 1 MiB": [`${START}${"x".repeat(MIB)}: y\r\n\r\n`, 431],
  "100,000 headers": [`${START}${"X: y\r\n".repeat(100_000)}\r\n`, 431],
  "100,000 empty headers": [`${START}${"X:\r\n".repeat(100_000)}\r\n`, 431],
  "2,000 short headers": [`${START}${"X:\r\n".repeat(2_000)}\r\n`, 431],
  "a method of 1 MiB": ["G".repeat(MIB), 400, 431],
  "a target of 1 MiB": [`GET /${"x".repeat(MIB)} HTTP/1.1\r\n`, 431],
  "a query of 1 MiB": [`GET /?${"%41".repeat(MIB / 3)} HTTP/1.1\r\n`, 431],
  "1 MiB of slashes": [`GET ${"/".repeat(MIB)} HTTP/1.1\r\n`, 431],
  "a cookie of 1 MiB": [`${START}Cookie: ${"a=b;".repeat(MIB / 4)}\r\n`, 431],
  "an upgrade of 1 MiB": [`${UPGRADE}X: ${"x".repeat(MIB)}\r\n\r\n`, 431],
  "1 MiB of protocols": [
    `${UPGRADE}Sec-WebSocket-Protocol: ${"a,".repeat(MIB / 2)}\r\n\r\n`,
    431,
  ],
  "a million empty lines": ["\r\n".repeat(MIB), 400, 431],
  "1 MiB of spaces": [
    `GET /healthz${" ".repeat(MIB)}HTTP/1.1\r\n\r\n`,
    400,
    431,
  ],
  "1 MiB without a line": ["\xFF".repeat(MIB), 400, 431],
};

Deno.test("Relay refuses heads that are too large", async () => {
  await using relay = await startRelay({ limits: { idleTimeout: 100 } });
  await using bystanders = await Bystanders.open(relay.url);
  for (const [what, [head, ...statuses]] of Object.entries(HEADS)) {
    await using caller = await RawHttp.open(relay.url);
    await caller.send(head);
    // Empty lines may stand in front of a request without end.
    if (what === "a million empty lines") caller.client.end();
    const text = await caller.rest();
    const came = statusesIn(text);
    // Whoever is still writing may find the connection closed before the answer.
    assert(
      came.length <= 1 && came.every((status) => statuses.includes(status)),
      `${what}: ${text}`,
    );
    await bystanders.check(what);
  }
});

Deno.test("Relay tells who sends a large head in time what is wrong with it", async () => {
  await using relay = await startRelay();
  for (const [name, value] of [["X", "x".repeat(20 * KIB)], ["Cookie", "a"]]) {
    await using caller = await RawHttp.open(relay.url);
    const fields = `${name}: ${value}\r\n`.repeat(value!.length > 1 ? 1 : 300);
    await caller.send(`${START}${fields}\r\n`);
    const answer = await caller.answer();
    assertEquals(answer?.status, 431, name);
  }
});

Deno.test("Relay gives no head more time for coming byte by byte", async () => {
  await using relay = await startRelay({ limits: { headTimeout: 1_000 } });
  await using bystanders = await Bystanders.open(relay.url);
  const starts = {
    "a request line": "G",
    "a target": "GET /",
    "a name": `${START}X`,
    "a value": `${START}X: `,
    "headers": START,
    "an upgrade": UPGRADE,
    "empty lines": "",
  };
  await Promise.all(
    Object.entries(starts).map(async ([what, start]) => {
      await using caller = await RawHttp.open(relay.url);
      await caller.send(start);
      const drop = what === "headers" || what === "an upgrade"
        ? "X: y\r\n"
        : what === "empty lines"
        ? "\r\n"
        : "x";
      const drip = setInterval(() => void caller.send(drop), 50);
      try {
        // A method of more letters than there are is none before its time is up.
        const text = await caller.rest();
        const expected = what === "a request line" ? [400] : [408];
        assertEquals(statusesIn(text), expected, `${what}: ${text}`);
      } finally {
        clearInterval(drip);
      }
    }),
  );
  await bystanders.check("heads that come byte by byte");
});
