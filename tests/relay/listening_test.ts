// The first and the last line of the log (field.md E8).
import { assert, assertEquals, assertMatch } from "@std/assert";
import { LogCapture } from "../support/observing/log_capture.ts";
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
