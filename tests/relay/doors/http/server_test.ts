import { assert } from "@std/assert";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { RawCaller } from "../../../support/http/raw_caller.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { LIMIT, within } from "../../../support/within.ts";

Deno.test("Closing does not wait for connections that were never used", async () => {
  // The clock stands still: nothing is closed by force.
  await using relay = await startRelay({ clock: new FakeClock() });
  using unused = await RawCaller.open(relay.port);
  using half = await RawCaller.open(relay.port);
  half.send("GET /heal");
  using used = await RawCaller.open(relay.port);
  used.head("GET", "/healthz");
  await used.see("ok");
  await within(relay.relay.close(), LIMIT, "the relay to close");
  for (const caller of [unused, half, used]) await caller.closed();
});

Deno.test("A request whose URL or host is none is refused with 400", async () => {
  await using relay = await startRelay();
  for (
    const [target, host] of [
      ["/a\\b", "relay"],
      ["/v1/..\\..\\secret", "relay"],
      ["/healthz", "a b"],
      ["/healthz", "a/b"],
    ] as const
  ) {
    using caller = await RawCaller.open(relay.port);
    caller.head("GET", target, { host });
    const answer = await caller.see("invalid_request");
    assert(answer.startsWith("HTTP/1.1 400 "), answer);
  }
});
