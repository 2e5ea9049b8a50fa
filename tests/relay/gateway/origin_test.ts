// A page that somebody happens to look at must not spend what is behind the relay's key.
import { assertEquals } from "@std/assert";
import { LIMIT, startGateway } from "../../support/gateway_world.ts";
import { within } from "../../support/within.ts";

Deno.test("A request of another origin's page is refused before the provider is asked", async () => {
  await using world = await startGateway();
  for (const origin of ["https://elsewhere.example", "null", "http://a:1:2"]) {
    for (const method of ["GET", "POST"]) {
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
