import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { gather } from "../../../../relay/commands/remote/gather.ts";
import { propertyParameters } from "../../../support/property.ts";

/** Lets everything go on that waits for nothing. */
async function settle(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await Promise.resolve();
}

Deno.test("gather gives every item once, in order, within its limits, and then the failure", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ size: fc.nat(20), wait: fc.nat(5) })),
      fc.array(fc.nat(10)),
      fc.record({ items: fc.integer({ min: 1, max: 5 }), size: fc.nat(40) }),
      fc.boolean(),
      async (given, waits, limit, fails) => {
        const failure = new Error("over");
        async function* items() {
          for (const item of given) {
            await settle(item.wait);
            yield item;
          }
          if (fails) throw failure;
        }
        const seen: unknown[] = [];
        const reading = (async () => {
          let count = 0;
          for await (
            const piece of gather(items(), ({ size }) => size, limit)
          ) {
            assert(piece.length > 0 && piece.length <= limit.items);
            const size = piece.reduce((sum, item) => sum + item.size, 0);
            assert(piece.length === 1 || size <= limit.size);
            seen.push(...piece);
            await settle(waits[count++ % waits.length] ?? 0);
          }
        })();
        if (fails) {
          assertEquals(await assertRejects(() => reading), failure);
        } else await reading;
        assertEquals(seen, given);
      },
    ),
    propertyParameters(300),
  );
});

Deno.test("gather reads no further ahead than its limits, and stops when it is left", async () => {
  let read = 0;
  let isOver = false;
  async function* items() {
    try {
      for (;;) {
        await Promise.resolve();
        yield read++;
      }
    } finally {
      isOver = true;
    }
  }
  for await (const _ of gather(items(), () => 1, { items: 3, size: 100 })) {
    await settle(1_000);
    assert(read <= 8, `${read}`);
    break;
  }
  await settle(1_000);
  assert(isOver);
});
