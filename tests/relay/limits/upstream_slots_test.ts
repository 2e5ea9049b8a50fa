import { assertEquals, assertThrows } from "@std/assert";
import { UpstreamSlots } from "../../../relay/limits/upstream_slots.ts";
import { Problem } from "../../../relay/problem.ts";

Deno.test("UpstreamSlots gives as many as there are, and each again once it is back", () => {
  const slots = new UpstreamSlots(2, 2);
  const first = slots.take("a");
  {
    using _second = slots.take("a");
    assertEquals(slots.taken, 2);
    const { status, code, headers } = assertThrows(
      () => slots.take("a"),
      Problem,
    );
    assertEquals([status, code], [503, "too_many_upstreams"]);
    assertEquals(Number(headers["Retry-After"]) > 0, true);
    assertEquals(slots.taken, 2);
  }
  assertEquals(slots.taken, 1);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assertEquals(slots.taken, 0);
  slots.take("a");
  slots.take("a");
  assertThrows(() => slots.take("a"), Problem);
});

Deno.test("UpstreamSlots gives no client more than half of them, or than was said (A7)", () => {
  for (
    const [maximum, ofClient, expected] of [
      [1, undefined, 1],
      [2, undefined, 1],
      [5, undefined, 3],
      [1_000, undefined, 500],
      [10, 2, 2],
    ] as const
  ) {
    const slots = new UpstreamSlots(maximum, ofClient);
    const taken = Array.from({ length: expected }, () => slots.take("a"));
    if (expected === maximum) continue;
    for (let i = 0; i < 2; i++) {
      const { status, code, headers } = assertThrows(
        () => slots.take("a"),
        Problem,
      );
      assertEquals([status, code], [429, "too_many_upstreams_of_client"]);
      assertEquals(headers["Retry-After"], "10");
    }
    using _other = slots.take("b");
    taken[0]![Symbol.dispose]();
    taken[0]![Symbol.dispose]();
    using _again = slots.take("a");
    assertThrows(() => slots.take("a"), Problem);
  }
});
