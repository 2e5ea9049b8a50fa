import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ByteQueue } from "../../../relay/gateway/byte_queue.ts";
import { propertyParameters } from "../../support/property.ts";

Deno.test("ByteQueue gives the bytes that it was given, in order", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 10 }),
    fc.integer({ min: 1, max: 40_000 }).map((length) =>
      new Uint8Array(length).fill(length % 251)
    ),
  );
  const step = fc.oneof(
    fc.record({ push: piece }),
    fc.record({ take: fc.integer({ min: 1, max: 70_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new ByteQueue();
      let expected = new Uint8Array();
      for (const step of steps) {
        if ("push" in step) {
          if (step.push.length === 0) continue;
          queue.push(step.push);
          const joined = new Uint8Array(expected.length + step.push.length);
          joined.set(expected);
          joined.set(step.push, expected.length);
          expected = joined;
        } else {
          const taken = queue.take(step.take);
          if (!taken) {
            assertEquals(expected.length, 0);
            continue;
          }
          assert(taken.length >= 1 && taken.length <= step.take);
          // `assertEquals` looks at each byte by itself: over ten seconds in all.
          const wrong = taken.findIndex((byte, at) => byte !== expected[at]);
          assertEquals(wrong, -1, `byte ${wrong} is ${taken[wrong]}`);
          expected = expected.subarray(taken.length);
        }
        assertEquals(queue.length, expected.length);
      }
    }),
    propertyParameters(300),
  );
});

Deno.test("A3: ByteQueue keeps a mebibyte of single bytes in little more than that", () => {
  const queue = new ByteQueue();
  for (let count = 0; count < 1024 * 1024; count++) {
    queue.push(Uint8Array.of(1));
  }
  let pieces = 0;
  while (queue.take(64 * 1024)) pieces++;
  assertEquals(pieces, 64);
});
