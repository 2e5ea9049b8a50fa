import { assertEquals, assertStrictEquals } from "@std/assert";
import { EventScrubber } from "../../../relay/secrets/event_scrubber.ts";

const event = (data: string) => ({ event: "error", data, id: "1" });

Deno.test("EventScrubber takes keys out wherever they are, and leaves all else as it is", () => {
  const scrubber = new EventScrubber([
    "sk-0123456789abcdef",
    "k2-0123456789abcdef",
  ]);
  assertEquals(
    scrubber.scrub([
      event("a"),
      event("sk-0123456789abcdef k2-0123456789abcdef sk-0123456789abcdef"),
    ]),
    [event("a"), event("[redacted] [redacted] [redacted]")],
  );
  const events = [event("a"), event("sk-0123456789")];
  assertStrictEquals(scrubber.scrub(events), events);
});

Deno.test("EventScrubber takes no word for a key", () => {
  const events = [event("I am ollama, and have no-key-at-all")];
  assertStrictEquals(
    new EventScrubber(["ollama", "no-key-at-all", ""]).scrub(events),
    events,
  );
});
