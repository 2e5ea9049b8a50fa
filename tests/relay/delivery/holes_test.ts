// Holes in a log are reported to every reader, in every mode (field.md C5).
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FrameCache } from "../../../relay/delivery/frames.ts";
import { Subscription } from "../../../relay/delivery/subscription.ts";
import { sseFormat } from "../../../relay/doors/sse/format.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { propertyParameters } from "../../support/property.ts";
import { readReference } from "../../support/recordings/reference_events.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";

const steps = fc.array(
  fc.record({
    does: fc.constantFrom("append", "append", "skip", "read"),
    count: fc.integer({ min: 1, max: 600 }),
  }),
  { maxLength: 20 },
);

/** Says of each offset whether its event came or is said to be missing. */
function account(text: string, from: number): [number, "event" | "gap"][] {
  const told: [number, "event" | "gap"][] = [];
  let next = from;
  for (const { event, data, id } of readReference(text)) {
    if (event === "rivulet.gap") {
      const gap = JSON.parse(data);
      assertEquals(gap.from, next);
      assert(gap.to >= gap.from);
      for (; next <= gap.to; next++) told.push([next, "gap"]);
    } else if (event === "message") {
      assert(id.endsWith(`:${next}`), `${id} is not ${next}`);
      assertEquals(data, `${next}`);
      told.push([next++, "event"]);
    }
  }
  return told;
}

for (const latest of [false, true]) {
  Deno.test(`Subscription tells what is missing where it is missing: latest ${latest} (C5)`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(4), async (steps, late) => {
        const clock = new FakeClock();
        const topic = new Topic(
          "t",
          new MemoryLog(DEFAULT_RETENTION, clock),
          clock,
        );
        const frames = new FrameCache(sseFormat);
        let reader: Subscription | undefined;
        let from = 1;
        let text = "";
        const read = async (): Promise<void> => {
          if (!reader) {
            from = topic.log.first;
            reader = new Subscription(topic, "start", sseFormat, frames, {
              latest,
            });
          }
          for (;;) {
            const bytes = await reader.next();
            if (!bytes) return;
            assert(bytes instanceof Uint8Array);
            text += new TextDecoder().decode(bytes);
          }
        };
        const holes = new Set<number>();
        for (const [index, { does, count }] of steps.entries()) {
          const { next } = topic.log;
          if (does === "append") {
            topic.append(
              Array.from({ length: count }, (_, at) => ({
                event: "message",
                data: `${next + at}`,
                id: "",
              })),
            );
          } else if (does === "skip") {
            topic.skip(count, "evicted");
            for (let at = 0; at < count; at++) holes.add(next + at);
          } else if (index >= late) await read();
        }
        topic.end("complete");
        await read();
        const told = account(text, from);
        assertEquals(told.length, topic.log.next - from);
        for (const [offset, how] of told) {
          if (holes.has(offset)) assertEquals(how, "gap");
          else if (!latest) assertEquals(how, "event");
        }
      }),
      propertyParameters(100),
    );
  });
}
