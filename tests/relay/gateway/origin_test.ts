// A page that somebody happens to look at must not spend what is behind the relay's key.
import { assertEquals } from "@std/assert";
import { LIMIT, startGateway } from "../../support/gateway/gateway_world.ts";
import { RawCaller } from "../../support/http/raw_caller.ts";
import { within } from "../../support/within.ts";

const APP = "https://app.example.com";

Deno.test("A request of another origin's page is refused before the provider is asked", async () => {
  await using world = await startGateway();
  for (const origin of ["https://elsewhere.example", "null", "http://a:1:2"]) {
    for (const method of ["GET", "POST", "OPTIONS"]) {
      const answer = fetch(`${world.url}/v1/responses`, {
        method,
        headers: { origin, "content-type": "text/plain" },
        ...(method === "POST" && { body: `{"stream":true}` }),
      });
      const response = await within(answer, LIMIT, "the answer");
      const { code } = await response.json();
      assertEquals([response.status, code], [403, "origin_not_allowed"]);
    }
  }
  assertEquals(world.provider.count, 0);
});

Deno.test("What another page puts into itself is refused before the provider is asked", async () => {
  await using world = await startGateway();
  using caller = await RawCaller.open(world.port);
  caller.head("GET", "/v1/models", {
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "no-cors",
    "sec-fetch-dest": "image",
  });
  await caller.see('"code":"origin_not_allowed"');
  assertEquals(world.provider.count, 0);
});

Deno.test("A request of the relay's own page is passed on, behind TLS too", async () => {
  await using world = await startGateway();
  const { host } = new URL(world.url);
  for (const origin of [`http://${host}`, `https://${host}`]) {
    const { exchange, answer } = await world.begin({ headers: { origin } });
    await exchange.answer(200, { "content-type": "application/json" }, "{}");
    const caller = await within(answer, LIMIT, "the answer");
    assertEquals(caller.status, 200);
    await caller.rest();
  }
});

Deno.test("A preflight is answered by the relay, and any other OPTIONS by the provider", async () => {
  await using world = await startGateway({ origins: [APP] });
  const preflight = await world.request("/v1/responses", {
    method: "OPTIONS",
    headers: { origin: APP, "access-control-request-method": "POST" },
  });
  assertEquals([preflight.status, await preflight.text()], [204, ""]);
  assertEquals(world.provider.count, 0);
  const asked = world.request("/v1/responses", {
    method: "OPTIONS",
    headers: { origin: APP },
  });
  await (await world.provider.next()).answer(200, {}, "yes");
  assertEquals(await (await asked).text(), "yes");
});

Deno.test("The provider is not told of the page, and does not say who may read", async () => {
  await using world = await startGateway({ origins: [APP] });
  using caller = await RawCaller.open(world.port);
  const about = {
    "origin": APP,
    "referer": `${APP}/a?secret`,
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "cors",
    "sec-fetch-dest": "empty",
    "sec-ch-ua": "a browser",
    "access-control-request-method": "POST",
  };
  caller.head("GET", "/v1/models", { ...about, "user-agent": "a" });
  const exchange = await world.provider.next();
  for (const name of Object.keys(about)) {
    assertEquals(exchange.header(name), undefined, name);
  }
  assertEquals(exchange.header("user-agent"), "a");
  await exchange.answer(200, {
    "access-control-allow-origin": "*",
    "access-control-allow-credentials": "false",
    "access-control-expose-headers": "x-request-id",
    "access-control-max-age": "86400",
    "vary": "Accept",
    "x-request-id": "r",
  }, "yes");
  const head = await caller.see("yes");
  const told = head.split("\r\n").map((line) => line.toLowerCase())
    .filter((line) => /^(access-control-|vary|x-request-id)/.test(line)).sort();
  assertEquals(
    told.filter((line) => !line.startsWith("access-control-expose")),
    [
      "access-control-allow-credentials: true",
      `access-control-allow-origin: ${APP}`,
      "vary: accept, origin",
      "x-request-id: r",
    ],
  );
  assertEquals(told.length, 5);
});
