// A relay whose keys cannot be had (field.md E3).
import { assertEquals, assertMatch } from "@std/assert";
import { generateKeyPairSync } from "node:crypto";
import { RemoteKeys } from "../../../../relay/rights/keys/remote_keys.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { LogCapture } from "../../../support/observing/log_capture.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { LIMIT, until } from "../../../support/within.ts";

const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey
  .export({ format: "jwk" });

Deno.test("E3: a relay without the keys of --jwks is not ready until it has them, and says so", async () => {
  await using capture = await LogCapture.start();
  const clock = new FakeClock();
  let isThere = false;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      isThere
        ? Response.json({ keys: [jwk] })
        : new Response("no", { status: 502 }),
  );
  await using relay = await startRelay({
    rights: { jwks: `http://127.0.0.1:${server.addr.port}/jwks?key=sesame` },
    clock,
  });
  const ready = async () => {
    const response = await relay.request("/readyz");
    const { code, status } = await response.json();
    return [response.status, code ?? status];
  };
  assertEquals(await ready(), [503, "keys_unavailable"]);
  await until(
    () => capture.text.includes("502") || undefined,
    LIMIT,
    "a line of the log",
  );
  assertMatch(capture.text, /--jwks[^]*the relay is not ready/);
  assertEquals(capture.text.includes("sesame"), false);
  assertEquals(await ready(), [503, "keys_unavailable"]);
  isThere = true;
  await until(
    async () => {
      await clock.advance(1_000);
      return (await ready())[0] === 200 || undefined;
    },
    LIMIT,
    "keys, without any request that needs them",
  );
  assertMatch(capture.text, /Fetched the keys of /);
  isThere = false;
  await clock.advance(600_000);
  assertEquals(await ready(), [200, "ok"]);
});

Deno.test("E3: keys that cannot be had are asked for with backoff", async () => {
  await using _capture = await LogCapture.start();
  const clock = new FakeClock();
  const closing = new AbortController();
  const at: number[] = [];
  const start = clock.now();
  const keys = new RemoteKeys({
    url: "http://127.0.0.1/",
    clock,
    signal: closing.signal,
    fetch: () => {
      at.push((clock.now() - start) / 1_000);
      return Promise.reject(new TypeError("nobody there"));
    },
  });
  keys.prepare();
  for (let second = 0; second < 200; second++) await clock.advance(1_000);
  assertEquals(at, [0, 5, 15, 35, 75, 135, 195]);
  closing.abort();
  await clock.advance(60_000);
  assertEquals(clock.pending, 0);
});
