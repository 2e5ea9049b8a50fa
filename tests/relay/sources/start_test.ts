// Sources that are away, wrong or silent (field.md E1, E2 and F5), over real sockets.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { createServer } from "node:http";
import { RelayStartError } from "../../../relay/mod.ts";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { LogCapture } from "../../support/observing/log_capture.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import {
  type Answer,
  numbered,
  ReconnectingUpstream,
} from "../../support/upstreams/reconnecting_upstream.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const FAST = { minTimeout: 2, maxTimeout: 5 };

function startWith(
  url: string,
  options: RelayOptions = {},
  reconnect: NonNullable<RelayOptions["sources"]>[number]["reconnect"] = FAST,
): Promise<TestRelay> {
  return startRelay({
    sources: [{ name: "t", url, reconnect }],
    ...options,
  });
}

async function ready(relay: TestRelay, query = ""): Promise<string> {
  const response = await relay.request(`/readyz${query}`);
  const { code, status } = await response.json();
  return `${response.status} ${code ?? status}`;
}

function reaches(relay: TestRelay, next: number): Promise<unknown> {
  return until(
    () => relay.relay.topics.get("t")?.log.next === next || undefined,
    LIMIT,
    () => `${next}: got ${relay.relay.topics.get("t")?.log.next}`,
  );
}

Deno.test("E1: a source that is away when the relay starts is retried, and /readyz?sources says so", async (t) => {
  const answers = {
    "503": (c) => c.refuse(503),
    "429": (c) => c.refuse(429),
    "no answer": (c) => c.drop(),
  } satisfies Record<string, Answer>;
  for (const [name, away] of Object.entries(answers)) {
    for (const reconnect of [FAST, false]) {
      await t.step(`${name}, reconnect ${reconnect !== false}`, async () => {
        await using capture = await LogCapture.start();
        const back = Promise.withResolvers<void>();
        await using upstream = await ReconnectingUpstream.start(
          away,
          ...(reconnect ? [away] : []),
          async (connection) => {
            await back.promise;
            await connection.write(numbered(1, 2));
          },
        );
        await using relay = await startWith(upstream.url, {}, reconnect);
        assertEquals(await ready(relay), "200 ok");
        assertEquals(await ready(relay, "?sources"), "503 source_unavailable");
        back.resolve();
        await reaches(relay, 3);
        assertEquals(await ready(relay, "?sources"), "200 ok");
        assertMatch(capture.text, /Cannot reach the upstream of/);
      });
    }
  }
});

Deno.test("E1: a source that is not there when the relay starts is not asked for ever, and the log says what to do", async (t) => {
  const table: [string, Answer, RegExp][] = [
    ["404", (c) => c.refuse(404), /404[^]*Check its URL, and restart/],
    ["401", (c) => c.refuse(401), /401[^]*Check the credentials in its URL/],
    ["a page", (c) => c.page(), /text\/html: "no"[^]*Check its URL/],
  ];
  for (const [name, answer, message] of table) {
    await t.step(name, async () => {
      await using capture = await LogCapture.start();
      await using upstream = await ReconnectingUpstream.start(answer);
      await using relay = await startWith(upstream.url);
      const end = await within(
        relay.relay.topics.get("t")!.ended, // it was just made
        LIMIT,
        "the end",
      );
      assertEquals([end.status, upstream.given.length], ["failed", 1]);
      await until(
        () =>
          capture.lines.some((line) => line.includes("Gave up the source")) ||
          undefined,
        LIMIT,
        "a line of the log",
      );
      assertMatch(capture.text, message);
      assert(!end.reason?.includes("body"), end.reason);
      assertEquals(await ready(relay, "?sources"), "503 source_unavailable");
      // Only who asks is told: the other topics are served.
      assertEquals(await ready(relay), "200 ok");
    });
  }
});

Deno.test("E1: with --fail-fast a source that is away is told at once, and by /readyz later", async (t) => {
  const answers = {
    "refused for now": (c) => c.refuse(503),
    "no answer": (c) => c.drop(),
    "not there": (c) => c.refuse(404),
  } satisfies Record<string, Answer>;
  for (const [name, answer] of Object.entries(answers)) {
    await t.step(name, async () => {
      await using upstream = await ReconnectingUpstream.start(answer);
      const error = await assertRejects(
        () => startWith(upstream.url, { failFast: true }),
        RelayStartError,
      );
      assertEquals(error.code, "source_failed");
      assertEquals(upstream.given.length, 1);
    });
  }
  await t.step("later", async () => {
    const drop = Promise.withResolvers<void>();
    const back = Promise.withResolvers<void>();
    await using upstream = await ReconnectingUpstream.start(
      async (connection) => {
        await connection.write(numbered(1, 1));
        await drop.promise;
        connection.drop();
      },
      async (connection) => {
        await back.promise;
        await connection.write(numbered(2, 2));
      },
    );
    await using relay = await startWith(upstream.url, { failFast: true });
    assertEquals(await ready(relay), "200 ok");
    await reaches(relay, 2);
    drop.resolve();
    await until(
      async () =>
        (await ready(relay)) === "503 source_unavailable" || undefined,
      LIMIT,
      "unready",
    );
    back.resolve();
    await reaches(relay, 3);
    assertEquals(await ready(relay), "200 ok");
  });
});

Deno.test("E2: a source that says nothing any more is connected to again", async (t) => {
  const silences: [string, Answer][] = [
    ["after its comments", (c) => c.write(": beat\n\n: beat\n\n")],
    ["after an event", (c) => c.write(numbered(1, 1))],
    ["from the start", (c) => c.write("")],
  ];
  for (const [name, silence] of silences) {
    await t.step(name, async () => {
      await using _capture = await LogCapture.start();
      await using upstream = await ReconnectingUpstream.start(
        silence,
        (connection) => connection.write(numbered(2, 3)),
      );
      await using relay = await startWith(upstream.url, { sourceTimeout: 50 });
      await until(
        () => upstream.given.length > 1 || undefined,
        LIMIT,
        "a second connection",
      );
      await until(
        () => (relay.relay.topics.get("t")?.log.next ?? 0) > 2 || undefined,
        LIMIT,
        "its events",
      );
    });
  }
});

Deno.test("F5: what a source has answered instead of events is shown to the operator: its start, without secrets", async () => {
  const body = `{"error":"no such\n\nfeed","key":"sk-${"a".repeat(40)}",` +
    `"more":"${"x".repeat(5_000)}"}`;
  const server = createServer((_request, response) =>
    response.writeHead(404, { "Content-Type": "application/json" }).end(body)
  );
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve())
  );
  const address = server.address();
  assert(address !== null && typeof address === "object");
  const error = await assertRejects(
    () =>
      startWith(`http://127.0.0.1:${address.port}/?token=sesame-open`, {
        failFast: true,
      }),
    RelayStartError,
  );
  server.close();
  assertMatch(
    error.message,
    /^The source of topic 't' cannot be read: .*\?token=\[redacted\] as the status must be 200: got 404 Not Found: ".*no such.*…"$/,
  );
  assert(!/sk-aaa|sesame|'body'/.test(error.message), error.message);
  assert(error.message.length < 450, `${error.message.length}`);
});
