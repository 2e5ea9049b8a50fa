// Pages that are refused (field.md E4): the operator is told, and the client.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { subscribe } from "../../../../../relay/client/subscribe.ts";
import type { StateChange } from "../../../../../relay/client/options.ts";
import { FakeClock } from "../../../../../src/testing/fake_clock.ts";
import { LogCapture } from "../../../../support/observing/log_capture.ts";
import { startRelay } from "../../../../support/relay/relay.ts";
import { LIMIT, until } from "../../../../support/within.ts";

const LINE =
  "Refused a page of {origin}, which cannot read why. To let it in, start the relay with --origin {flag}";

Deno.test("E4: the log names each origin that is refused, and the flag to add, once a minute", async () => {
  await using capture = await LogCapture.start();
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  const ask = async (origin: string, headers: HeadersInit = {}) => {
    const response = await relay.request("/topics/t", {
      headers: { Origin: origin, Accept: "application/json", ...headers },
    });
    await response.body?.cancel();
    assertEquals(response.status, 403);
  };
  const told = () => capture.lines.filter((line) => line === LINE).length;
  await ask("https://app.example.com");
  await ask("https://app.example.com");
  await ask("null");
  assertEquals(told(), 2);
  assertMatch(capture.text, /https:\/\/app\.example\.com[^]*--origin/);
  for (let n = 0; n < 50; n++) await ask(`https://a${n}.example.com`);
  assertEquals(told(), 10);
  await clock.advance(60_000);
  await ask("https://app.example.com");
  assertEquals(told(), 11);
  await ask("https://app.example.com/?key=sesame");
  assert(!capture.text.includes("sesame"), capture.text);
});

Deno.test("E4: the log names a host that is refused, and the flag to add", async () => {
  await using capture = await LogCapture.start();
  await using relay = await startRelay();
  // `fetch` sets the host itself.
  const connection = await Deno.connect({
    hostname: "127.0.0.1",
    port: relay.port,
  });
  await connection.write(new TextEncoder().encode(
    "GET /topics HTTP/1.1\r\nHost: relay.example.com\r\nConnection: close\r\n\r\n",
  ));
  const answer = await new Response(connection.readable).text();
  assertMatch(answer, /^HTTP\/1\.1 421 /);
  assertMatch(capture.text, /--origin +https:\/\/relay\.example\.com/);
});

Deno.test("E4: subscribe tells that nothing opens, and why that may be", async () => {
  await using _capture = await LogCapture.start();
  await using relay = await startRelay();
  const changes: StateChange[] = [];
  class PageSocket extends WebSocket {
    constructor(url: string, protocols: string[]) {
      // As a browser has it, which adds the origin of its page.
      super(url, { protocols, headers: { Origin: "https://a.example" } });
    }
  }
  const subscription = subscribe(`${relay.url}/topics/t`, {
    WebSocket: PageSocket,
    reconnect: { minTimeout: 1 },
    onStateChange: (change) => changes.push(change),
  });
  const next = subscription.next();
  await until(
    () =>
      changes.filter(({ state }) => state === "waiting").length > 1 ||
      undefined,
    LIMIT,
    "attempts",
  );
  const waiting = changes.find(({ state }) => state === "waiting");
  assertEquals(changes[0]?.state, "connecting");
  assertMatch(waiting?.reason ?? "", /refuses this page \(--origin\)/);
  assert(waiting?.failures === 1 && (waiting.retryIn ?? -1) >= 0);
  await subscription.close();
  await next;
  assertEquals(changes.at(-1)?.state, "closed");
});

Deno.test("onStateChange is told each state of a subscription that goes well", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  topic.append([{ event: "message", data: "a", id: "" }]);
  topic.end("complete");
  const states: string[] = [];
  for await (
    const _ of subscribe(`${relay.url}/topics/t`, {
      onStateChange: ({ state }) => states.push(state),
    })
  );
  assertEquals(states, ["connecting", "open", "closed"]);
});
