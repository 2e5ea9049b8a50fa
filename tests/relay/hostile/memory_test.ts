// Whatever was sent, nothing of it stays in the relay.
import { assert } from "@std/assert";
import { Bystanders } from "../../support/relay/bystanders.ts";
import { RawHttp } from "../../support/http/raw_http.ts";
import { RelayProcess } from "../../support/relay/relay_process.ts";
import { LIMIT, until } from "../../support/within.ts";

const KIB = 1_024;
const MIB = KIB * KIB;

/** The number of connections at a time: fewer than a listener's queue holds. */
const AT_ONCE = 100;

/** As 500 bytes for each of 9,000 connections would be. */
const KEPT = 4.5 * MIB;

const HEAD = "GET /topics HTTP/1.1\r\nHost: localhost\r\n";
const POST = "POST /topics/t HTTP/1.1\r\nHost: localhost\r\n" +
  "Content-Type: text/plain\r\n";

const HALVES = [
  "",
  "G",
  HEAD.slice(0, 30),
  HEAD,
  `${HEAD}X: ${"x".repeat(10 * KIB)}`,
  `${HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\n`,
  `${POST}Content-Length: 100\r\n\r\nabc`,
  `${POST}Transfer-Encoding: chunked\r\n\r\n64\r\nabc`,
];

const WHOLES = [
  `${HEAD}Content-Length: x\r\n\r\n`,
  `${HEAD}X: ${"x".repeat(64 * KIB)}\r\n\r\n`,
  `${HEAD}${"X: y\r\n".repeat(1_000)}\r\n`,
  `${HEAD}\r\n`.repeat(100),
  `${HEAD}Accept: text/event-stream\r\n\r\n`.replace("ics ", "ics/s ")
    .repeat(100),
  `${POST}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n`,
  `${POST}Content-Length: 1\r\n\r\nx\0\0`,
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/** Opens connections, some at a time, and drops each as `use` leaves it. */
async function open(
  url: string,
  count: number,
  use: (caller: RawHttp, index: number) => Promise<void>,
): Promise<void> {
  let index = 0;
  const one = async (): Promise<void> => {
    while (index < count) {
      const own = index++;
      await using caller = await RawHttp.open(url);
      await use(caller, own);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

type Use = (caller: RawHttp, index: number) => Promise<void>;

const USES: readonly (readonly [what: string, count: number, use: Use])[] = [
  [
    "connections that are dropped within a head",
    10_000,
    async (caller, index) => {
      await caller.send(HALVES[index % HALVES.length]!);
      if (index % 2 === 0) caller.client.reset();
    },
  ],
  ["connections that are refused", 2_000, async (caller, index) => {
    await caller.send(WHOLES[index % WHOLES.length]!);
    // Some wait for what is said, and some do not.
    if (index % 3 > 0) caller.client.end();
    if (index % 3 === 1) await caller.answer();
  }],
];

for (const [what, count, use] of USES) {
  Deno.test(`Relay keeps nothing of ${count} ${what}`, async () => {
    await using relay = await RelayProcess.start({
      delivery: { heartbeat: 600_000 },
      limits: {
        idleTimeout: 100,
        maxConnections: 100_000,
        maxConnectionsPerAddress: 100_000,
      },
      retention: { awaitedTtl: 100 },
    });
    await using bystanders = await Bystanders.open(relay.url);
    // The first ones leave behind what the code itself needs.
    await open(relay.url, count / 10, use);
    await bystanders.check("the first ones");
    const live = async (): Promise<number> => {
      const { heapUsed, external } = await relay.memory();
      return heapUsed + external;
    };
    const before = await live();
    for (let round = 1; round < 10; round++) {
      await open(relay.url, count / 10, use);
      await bystanders.check(`${what}, round ${round}`);
    }
    let grown = Infinity;
    // The last ones may not all have been seen to go.
    await until(
      async () => {
        grown = await live() - before;
        return grown < KEPT || undefined;
      },
      LIMIT,
      () => `the relay to keep less: it keeps ${(grown / MIB).toFixed(1)} MiB`,
    );
    console.log(`${what}: the relay keeps ${(grown / MIB).toFixed(1)} MiB`);
    assert(grown < KEPT);
  });
}
