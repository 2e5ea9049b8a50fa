// A client that waits for 100 is told at once if its body is not wanted (D7).
import { assert, assertEquals } from "@std/assert";
import { RawCaller } from "../../../support/http/raw_caller.ts";
import { startGateway } from "../../../support/gateway/gateway_world.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";

const JSON_TYPE = { "content-type": "application/json" };
const EXPECT = { expect: "100-continue" };

Deno.test("A body that is too long by its head is refused instead of asked for (D7)", async () => {
  await using world = await startGateway({
    gateway: { maxUpload: 1_000 },
    limits: { maxBody: 500 },
  });
  const requests: readonly [string, string, Record<string, string>][] = [
    ["POST", "/v1/files", { "content-length": "1001" }],
    ["POST", "/v1/responses", { ...JSON_TYPE, "content-length": "501" }],
    ["POST", "/topics/t", { ...JSON_TYPE, "content-length": "501" }],
    ["POST", "/topics/t", {
      "content-type": "text/plain",
      "content-length": "501",
    }],
    ["PUT", "/topics/t", { ...JSON_TYPE, "content-length": "501" }],
  ];
  for (const [method, path, headers] of requests) {
    for (const expect of [EXPECT, {}]) {
      using caller = await RawCaller.open(world.port);
      caller.head(method, path, { ...headers, ...expect });
      const text = await caller.see("body_too_large");
      assert(text.startsWith("HTTP/1.1 413 "), text);
      await caller.closed();
    }
  }
  assertEquals(world.provider.count, 0);
  assertEquals([...world.relay.topics], []);
});

Deno.test("A request without the right for it is refused instead of continued (D7)", async () => {
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const read = await mintToken({ rivulet: { read: ["*"] } });
  const requests: readonly [string, Record<string, string>, number][] = [
    ["/topics/t", {}, 401],
    ["/topics/t", { authorization: `Bearer ${read}` }, 403],
    ["/nothing", {}, 404],
  ];
  for (const [path, headers, status] of requests) {
    using caller = await RawCaller.open(relay.port);
    caller.head("POST", path, {
      "content-type": "text/plain",
      "content-length": "5",
      ...EXPECT,
      ...headers,
    });
    const text = await caller.closed();
    assert(text.startsWith(`HTTP/1.1 ${status} `), text);
    // Nobody knows whether the body comes.
    assert(/\r\nconnection: close\r\n/i.test(text), text);
  }
});

Deno.test("A body that is wanted is asked for once, and the connection goes on (D7)", async () => {
  await using world = await startGateway();
  using caller = await RawCaller.open(world.port);
  caller.head("POST", "/topics/t", {
    "content-type": "text/plain",
    "content-length": "5",
    ...EXPECT,
  });
  assertEquals(await caller.see("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  caller.send("hello");
  await caller.see('"next":2}');
  for (const type of ["application/json", "x/y"]) {
    caller.head("POST", "/v1/files", {
      "content-type": type,
      "content-length": "2",
      ...EXPECT,
    });
    const exchange = type === "x/y" ? await world.provider.next() : undefined;
    // The provider is not asked to say it: the relay has.
    assertEquals(exchange?.header("expect"), undefined);
    const count = type === "x/y" ? 3 : 2;
    while (caller.text.split("100 Continue").length <= count) {
      await caller.reach(caller.text.length + 1);
    }
    caller.send("{}");
    const asked = exchange ?? await world.provider.next();
    await asked.body();
    await asked.answer(200, {}, `done ${type}`);
    await caller.see(`done ${type}`);
  }
  assertEquals(caller.text.split("100 Continue").length - 1, 3);
  assertEquals(caller.text.split("HTTP/1.1 200 ").length - 1, 3);
});
