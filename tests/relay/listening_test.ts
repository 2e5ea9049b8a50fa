// Listening: the first and the last line of the log (field.md E8), and a port that relays share.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { LogCapture } from "../support/observing/log_capture.ts";
import { createRelay } from "../../relay/relay.ts";
import { startRelay } from "../support/relay/relay.ts";

const LISTENING = "Listening on {url}: version {version}, access: {access}";
const STOPPED =
  "Stopped after {seconds} s: {reason}, {subscribers} subscribers were sent away";

Deno.test("E8: the log tells where a relay listens, and that it has stopped", async (t) => {
  for (const way of ["closed", "drained"] as const) {
    await t.step(way, async () => {
      await using capture = await LogCapture.start();
      {
        await using relay = await startRelay({
          rights: { jwtKey: `sesame${"x".repeat(40)}` },
          sources: [{ name: "news", url: "http://127.0.0.1:1/?key=sesame" }],
          gateway: {
            providers: [{
              name: "p",
              url: "http://127.0.0.1:1",
              key: "sesame",
            }],
          },
        });
        assertMatch(capture.text, new RegExp(`Listening on +${relay.url}`));
        if (way === "drained") await relay.relay.drain(0);
      }
      assertEquals(
        capture.lines.filter((line) => line === LISTENING).length,
        1,
      );
      assertEquals(capture.lines.at(-1), STOPPED);
      assertMatch(capture.text, new RegExp(`${way} *, +0 +subscribers`));
      assertMatch(capture.text, /access: +tokens/);
      assert(!capture.text.includes("sesame"), capture.text);
    });
  }
});

Deno.test("E8: the log tells how many subscribers a relay has sent away", async () => {
  await using capture = await LogCapture.start();
  await using relay = await startRelay();
  const reader = await fetch(`${relay.url}/topics/t`);
  const body = reader.text();
  await relay.relay.drain(10);
  await body;
  assertMatch(capture.text, /drained *, +1 +subscribers/);
});

Deno.test({
  name: "relays share a port that they are told to share, and no other",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using one = await startRelay({ reusePort: true });
    const { port } = one;
    await assertRejects(
      () => createRelay({ port }).listen(),
      Error,
      "Cannot listen on",
    );
    await using two = await startRelay({ port, reusePort: true });
    one.relay.topics.create("of-one");
    const statuses = new Set<number>();
    // With 60 connections, the kernel gives all to one of two once in 2^59 times.
    for (let count = 0; count < 60; count++) {
      const response = await fetch(`${two.url}/topics/of-one`, {
        method: "HEAD",
        headers: { Connection: "close" },
      });
      await response.body?.cancel();
      statuses.add(response.status);
    }
    assertEquals(statuses, new Set([200, 404]));
  },
});
