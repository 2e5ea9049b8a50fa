import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Repeats, type RepeatsPolicy } from "../../../relay/sources/repeats.ts";
import { RecentEvents } from "../../../relay/sources/recent_events.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { propertyParameters } from "../../support/property.ts";

/** `1a` has the id 1 and the data a; `-b` has no id of its own. `!` ends a connection. */
function play(policy: RepeatsPolicy, feed: string): string {
  const repeats = new Repeats(policy);
  const connections = feed.split("!").map((text) =>
    text.trim().split(/\s+/).filter((word) => word !== "")
  );
  let id = "";
  let fresh = "";
  for (const [index, words] of connections.entries()) {
    if (index > 0) repeats.reconnected(id);
    const events = words.map((word): ServerSentEvent => {
      const [, own = "", data = ""] = /^([0-9]+|-|0)(.*)$/.exec(word) ?? [];
      if (own !== "-") id = own === "0" ? "" : own;
      return { event: "message", data, id };
    });
    // Batches do not matter: one by one here, all at once there.
    const passed = index % 2 === 0
      ? repeats.fresh(events)
      : events.flatMap((event) => repeats.fresh([event]));
    fresh += (index > 0 ? "!" : "") + passed.map(({ data }) => data).join("");
  }
  return fresh;
}

Deno.test("Repeats drops what is sent again on a resumption, and tells a start over", async (t) => {
  // deno-fmt-ignore
  const table: [name: string, feed: string, keep: string, drop: string][] = [
    ["a server that goes on", "1a 2b ! 3c", "ab!c", "ab!c"],
    ["a server that sends the given event again", "1a 2b ! 2b 3c", "ab!c", "ab!c"],
    ["several before it", "1a 2b 3c 4d ! 2b 3c 4d 5e 6f", "abcd!ef", "abcd!ef"],
    ["several, not all the way to the last", "1a 2b 3c 4d ! 2b 3c 5e", "abcd!e", "abcd!e"],
    ["a start over", "1a 2b 3c ! 1a 2b 3c 4d", "abc!abcd", "abc!d"],
    ["a start over twice", "1a 2b 3c ! 1a 2b 3c 4d ! 1a 2b 3c 4d 5e", "abc!abcd!abcde", "abc!d!e"],
    ["a start over, and an older id is given", "1a 2b 3c ! 1a 2b ! 3c 4d", "abc!ab!d", "abc!!d"],
    ["a replay that breaks off, and an older id is given", "1a 2b 3c 4d ! 2b ! 3c 4d 5e", "abcd!!e", "abcd!!e"],
    ["a start over after the first event", "1a ! 1a 2b", "a!b", "a!b"],
    ["other events under the same ids", "1a 2b 3c ! 2x 3y 4z", "abc!xyz", "abc!z"],
    ["events without ids", "-a -a ! -a -a", "aa!aa", "aa!aa"],
    ["an id that was taken back", "1a 0b ! -b 1a", "ab!ba", "ab!b"],
    ["one id for several events", "1a -b 2c", "abc", "abc"],
    ["the same id and data twice in a row", "1a 1a -a", "aaa", "aaa"],
    ["the same id later in one connection", "1a 2b 1c 3d", "abcd", "abd"],
    ["what follows an id is sent again", "1a -b -c ! -b -c -d 2e", "abc!de", "abc!de"],
    ["an id and what follows are sent again", "1a -b -c ! 1a -b -c -d 2e", "abc!de", "abc!de"],
    ["what follows an id goes on", "1a -b ! -c -d 2e", "ab!cde", "ab!cde"],
    ["what follows an id was never seen", "1a ! -b -c", "a!bc", "a!bc"],
    ["what follows is not the middle of what was", "1a -b -c -d ! -c -d", "abcd!cd", "abcd!cd"],
    ["equal events after an id, live", "1a -p -p ! -p -p -p -p", "app!pp", "app!pp"],
    ["a replay with what has no id of its own", "1a 2b -c 3d ! 2b -c 3d -e", "abcd!e", "abcd!e"],
    ["a start over within a run", "1a 2b -c ! 1a 2b -c -d 3e", "abc!abcde", "abc!de"],
    ["a start over, what follows is dropped with its id", "1a -b 2c ! 1x -y 2c 3d", "abc!xycd", "abc!d"],
    ["another event without id at the beginning", "1a 2b ! -x 2b 3c", "ab!xbc", "ab!xbc"],
    ["a known event after a new one", "1a 2b 3c ! 2b 9z 3c 10y", "abc!zcy", "abc!zy"],
    ["known events in another order", "1a 2b 3c 4d ! 3c 2b 3c 4d", "abcd!bc", "abcd!"],
    ["equal events after what was sent again", "1a 2b 3c 4d ! 4d -e -e", "abcd!ee", "abcd!ee"],
    ["the rest of a run after its replay", "1a 2b 3c -d ! 2b 3c -d -d 4e", "abcd!de", "abcd!de"],
    ["several connections that bring nothing", "1a 2b ! ! ! 2b 3c", "ab!!!c", "ab!!!c"],
  ];
  for (const [name, feed, keep, drop] of table) {
    await t.step(`${name}: ${feed}`, () => {
      assertEquals([play("keep", feed), play("drop", feed)], [keep, drop]);
    });
  }
});

Deno.test("Repeats passes every event on once, whichever older one a server resumes from", () => {
  const scenario = fc.array(
    fc.record({
      taken: fc.integer({ min: 1, max: 12 }),
      back: fc.integer({ min: 0, max: 30 }),
    }),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(
      scenario,
      fc.constantFrom<RepeatsPolicy>("keep", "drop"),
      (connections, policy) => {
        const repeats = new Repeats(policy);
        const event = (id: number): ServerSentEvent => ({
          event: "message",
          data: `${id % 3}`,
          id: String(id),
        });
        const seen: number[] = [];
        let last = 0;
        for (const [index, { taken, back }] of connections.entries()) {
          if (index > 0) repeats.reconnected(String(last));
          // Never from the very first: that is a start over.
          const from = index === 0 ? 1 : Math.max(2, last + 1 - back);
          for (let id = from; id < from + taken; id++) {
            seen.push(
              ...repeats.fresh([event(id)]).map(({ id }) => Number(id)),
            );
            last = id;
          }
        }
        assertEquals(seen, seen.map((_, index) => index + 1));
      },
    ),
    propertyParameters(1_000),
  );
});

Deno.test("Repeats with 'drop' forgets all but the last 10,000 ids", () => {
  const repeats = new Repeats("drop");
  const make = (id: number): ServerSentEvent => ({
    event: "message",
    data: "",
    id: String(id),
  });
  repeats.fresh(Array.from({ length: 10_001 }, (_, id) => make(id)));
  repeats.reconnected("10000");
  const [first, second, last] = [0, 2, 10_000].map((id) =>
    repeats.fresh([make(id)]).length
  );
  assertEquals([first, second, last], [1, 0, 0]);
});

Deno.test("RecentEvents is bounded in events and in text, and keeps places", () => {
  const recent = new RecentEvents();
  const event = (id: number, size: number): ServerSentEvent => ({
    event: "",
    data: "x".repeat(size),
    id: String(id),
  });
  for (let id = 0; id < 25_000; id++) recent.push(event(id, 0));
  assertEquals(recent.next, 25_000);
  assertEquals(recent.get(14_999), undefined);
  assertEquals(recent.get(15_000)?.id, "15000");
  assertEquals(recent.last?.id, "24999");
  assertEquals(recent.placesById().size, 10_000);
  for (let id = 0; id < 3; id++) recent.push(event(id, 2 ** 21 - 10));
  assertEquals(recent.placesById().get("2"), [25_002]);
  assertEquals(recent.placesById().size < 10_000, true);
  recent.push(event(7, 2 ** 23));
  assertEquals([...recent.placesById()], [["7", [25_003]]]);
});
