import fc from "fast-check";
import { assertEquals } from "@std/assert";
import { RecentFrames } from "../../../relay/delivery/recent_frames.ts";
import { propertyParameters } from "../../support/property.ts";

Deno.test("RecentFrames holds the last messages that fit, and none that is large", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 200 }),
      (lengths) => {
        const recent = new RecentFrames(1_000);
        const held: number[] = [];
        for (const length of lengths) {
          recent.hold(new Uint8Array(length));
          if (length <= 250) held.push(length);
          const sum = () => held.reduce((all, one) => all + one, 0);
          while (sum() > 1_000) held.shift();
          assertEquals(recent.bytes, sum());
        }
      },
    ),
    propertyParameters(200),
  );
});

Deno.test("RecentFrames keeps a message until others take its place", async () => {
  const recent = new RecentFrames(1_000);
  const first = new WeakRef(new Uint8Array(250));
  recent.hold(first.deref()!);
  await new Promise((resolve) => setTimeout(resolve));
  for (let other = 0; other < 3; other++) recent.hold(new Uint8Array(250));
  assertEquals([recent.bytes, first.deref()?.byteLength], [1_000, 250]);
  recent.hold(new Uint8Array(250));
  assertEquals(recent.bytes, 1_000);
});
