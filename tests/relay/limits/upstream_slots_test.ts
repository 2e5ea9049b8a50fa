import { assertEquals, assertThrows } from "@std/assert";
import { UpstreamSlots } from "../../../relay/limits/upstream_slots.ts";
import { Problem } from "../../../relay/problem.ts";

Deno.test("UpstreamSlots gives as many as there are, and each again once it is back", () => {
  const slots = new UpstreamSlots(2);
  const first = slots.take();
  {
    using _second = slots.take();
    assertEquals(slots.taken, 2);
    const { status, code, headers } = assertThrows(() => slots.take(), Problem);
    assertEquals([status, code], [503, "too_many_upstreams"]);
    assertEquals(Number(headers["Retry-After"]) > 0, true);
    assertEquals(slots.taken, 2);
  }
  assertEquals(slots.taken, 1);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assertEquals(slots.taken, 0);
  slots.take();
  slots.take();
  assertThrows(() => slots.take(), Problem);
});
