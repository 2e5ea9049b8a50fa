import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { propertyParameters } from "../../support/property.ts";

function message(data: string): ServerSentEvent {
  return { event: "message", data, id: "" };
}

const ALL = { events: Infinity, bytes: Infinity };

Deno.test("MemoryLog counts offsets from 1, without gaps", () => {
  using log = new MemoryLog(DEFAULT_RETENTION, new FakeClock());
  assertEquals([log.first, log.next], [1, 1]);
  assertEquals(
    log.append([message("a"), message("bc")]),
    { first: 1, count: 2, bytes: 2 * "message".length + 3 },
  );
  assertEquals(log.append([message("c")]).first, 3);
  assertEquals([log.first, log.next], [1, 4]);
  const { offset, entries } = log.read(2, ALL);
  assertEquals(offset, 2);
  assertEquals(entries.map(({ event }) => event.data), ["bc", "c"]);
});

Deno.test("MemoryLog keeps events as they came, and counts their names, data and ids", () => {
  using log = new MemoryLog(DEFAULT_RETENTION, new FakeClock());
  const events = [
    message('a"\n\u2028'),
    { event: "x", data: "", id: "" },
    { event: "message", data: "é", id: "7" },
    { event: "𝄞", data: "\ud800", id: "" },
  ];
  log.append(events);
  const { entries } = log.read(1, ALL);
  assertEquals(entries.map(({ event }) => event), events);
  assertEquals(entries.map(({ size }) => size), [
    "message".length + 6,
    1,
    "message".length + 2 + 1,
    4 + 3,
  ]);
  assertEquals(log.bytes, 31);
});

Deno.test("MemoryLog reads at most its budget, and one event at least", () => {
  using log = new MemoryLog(DEFAULT_RETENTION, new FakeClock());
  log.append(Array.from({ length: 10 }, () => message("x".repeat(93)))); // 100 bytes each
  assertEquals(log.read(1, ALL).entries[0]?.size, 100);
  const count = (events: number, bytes: number): number =>
    log.read(3, { events, bytes }).entries.length;
  assertEquals(count(3, Infinity), 3);
  assertEquals(count(100, 299), 2);
  assertEquals(count(100, 300), 3);
  assertEquals(count(100, 1), 1);
  assertEquals(count(100, Infinity), 8);
});

Deno.test("MemoryLog gives up events by count, bytes and age", async () => {
  const clock = new FakeClock();
  using log = new MemoryLog(
    { maxEvents: 4, maxBytes: 350, maxAge: 1_000 },
    clock,
  );
  const sized = (size: number) => message("x".repeat(size - "message".length));
  log.append([sized(50), sized(50), sized(50), sized(50), sized(50)]);
  assertEquals([log.first, log.next], [2, 6], "by count");
  assertEquals(log.bytes, 200);
  log.append([sized(250)]);
  assertEquals([log.first, log.next], [4, 7], "by bytes");
  await clock.advance(600);
  log.append([sized(50)]);
  await clock.advance(500);
  log.trim();
  assertEquals([log.first, log.next], [7, 8], "by age");
  await clock.advance(501);
  log.trim();
  assertEquals([log.first, log.next], [8, 8], "the newest too");
  assertEquals(log.bytes, 0);
  log.append([sized(50)]);
  assertEquals([log.first, log.next], [8, 9]);
});

Deno.test("MemoryLog keeps an event that is larger than all it may keep", () => {
  using log = new MemoryLog(
    { maxEvents: 10, maxBytes: 100, maxAge: Infinity },
    new FakeClock(),
  );
  log.append([message("a"), message("x".repeat(1_000))]);
  assertEquals([log.first, log.next], [2, 3]);
});

Deno.test("MemoryLog agrees with an array that is cut at its start", () => {
  const operation = fc.oneof(
    fc.array(fc.string({ maxLength: 20 }), { minLength: 1, maxLength: 700 })
      .map((texts) => ({ kind: "append" as const, texts })),
    fc.nat().map((at) => ({ kind: "read" as const, at })),
  );
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 30 }),
      fc.integer({ min: 1, max: 2_000 }),
      (operations, maxEvents) => {
        using log = new MemoryLog(
          { maxEvents, maxBytes: Infinity, maxAge: Infinity },
          new FakeClock(),
        );
        const all: string[] = [];
        for (const operation of operations) {
          if (operation.kind === "append") {
            assertEquals(
              log.append(operation.texts.map(message)).first,
              all.length + 1,
            );
            all.push(...operation.texts);
          } else if (log.next > log.first) {
            const from = log.first + operation.at % (log.next - log.first);
            const { offset, entries } = log.read(from, ALL);
            assertEquals(offset, from);
            assertEquals(
              entries.map(({ event }) => event.data),
              all.slice(from - 1),
            );
          }
          assertEquals(log.next, all.length + 1);
          assertEquals(log.first, Math.max(1, all.length - maxEvents + 1));
        }
        assert(log.epoch.length >= 8);
      },
    ),
    propertyParameters(200),
  );
});

/** The changes of a log: events are added, or left out. */
const steps = fc.array(
  fc.record({
    does: fc.constantFrom("append", "skip"),
    count: fc.integer({ min: 1, max: 4 }),
  }),
  { maxLength: 30 },
);

Deno.test("MemoryLog keeps its offsets over holes, and reads none of them (C5)", () => {
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 5 }),
      (steps, maxEvents, budget) => {
        using log = new MemoryLog(
          { ...DEFAULT_RETENTION, maxEvents },
          new FakeClock(),
        );
        // By offset, from 1: the data, or a hole.
        const model: (string | undefined)[] = [];
        for (const { does, count } of steps) {
          const added = Array.from(
            { length: count },
            (_, index) => `${model.length + index + 1}`,
          );
          if (does === "append") log.append(added.map(message));
          else log.skip(count, "evicted");
          model.push(...added.map((it) => does === "append" ? it : undefined));
          const kept = model.flatMap((data, at) => data ? [at + 1] : [])
            .slice(-maxEvents);
          const next = model.length + 1;
          const first = kept[0] ?? next;
          assertEquals([log.first, log.next], [first, next]);
          for (let offset = first; offset < next; offset++) {
            const rest = model.slice(offset - 1);
            const hole = log.holeAt(offset);
            if (rest[0] === undefined) {
              const length = rest.findIndex((data) => data !== undefined);
              assertEquals(hole, {
                from: offset,
                to: length < 0 ? next - 1 : offset + length - 1,
                reason: "evicted",
              });
              continue;
            }
            assertEquals(hole, undefined);
            const range = log.read(offset, { ...ALL, events: budget });
            const length = rest.findIndex((data) => data === undefined);
            const whole = length < 0 ? rest : rest.slice(0, length);
            assertEquals(
              [range.offset, range.entries.map(({ event }) => event.data)],
              [offset, whole.slice(0, budget)],
            );
          }
        }
      },
    ),
    propertyParameters(300),
  );
});
