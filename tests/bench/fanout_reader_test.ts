import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { eventData, TOPIC } from "../../bench/fanout/event.ts";
import {
  type ProtocolName,
  PROTOCOLS,
} from "../../bench/fanout/generator/protocol.ts";
import { Tally } from "../../bench/fanout/generator/tally.ts";
import { WebSocketReader } from "../../bench/fanout/generator/websocket_reader.ts";
import { textFrame } from "../../relay/doors/websocket/format.ts";
import { propertyParameters } from "../support/property.ts";

const SIZE = 120;
const NOW = 1_700_000_000_000;
const LATENCY = 5;

const encoder = new TextEncoder();

function dataOf(sequence: number): string {
  return eventData(NOW - LATENCY, sequence, SIZE);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

function message(value: unknown): Uint8Array {
  return textFrame(JSON.stringify(value));
}

/** Writes the numbers from `first` on, in groups of these sizes, as a protocol has them. */
type Writer = (first: number, groups: readonly number[]) => Uint8Array[];

const relay: Writer = (first, groups) => {
  let offset = first;
  return groups.map((count) => {
    const events = Array.from(
      { length: count },
      (_, index) => ({ data: dataOf(offset + index) }),
    );
    offset += count;
    return message({
      type: "events",
      topic: TOPIC,
      offset: offset - count,
      events,
    });
  });
};

const WRITERS: Record<ProtocolName, Writer> = {
  relay,
  secured: relay,
  text: (first, groups) =>
    numbers(first, groups).map((sequence) => textFrame(dataOf(sequence))),
  redis: (first, groups) =>
    numbers(first, groups).map((sequence) =>
      encoder.encode(
        `*3\r\n$7\r\nmessage\r\n$5\r\n${TOPIC}\r\n$${SIZE}\r\n${
          dataOf(sequence)
        }\r\n`,
      )
    ),
};

function numbers(first: number, groups: readonly number[]): number[] {
  const count = groups.reduce((sum, count) => sum + count, 0);
  return Array.from({ length: count }, (_, index) => first + index);
}

function read(
  name: ProtocolName,
  bytes: Uint8Array,
  cuts: readonly number[] = [],
): Tally {
  const tally = new Tally();
  const reader = PROTOCOLS[name].makeReader(tally, SIZE);
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length]
    .sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    // The input lies in a buffer that has other bytes behind it.
    const buffer = new Uint8Array(end - from + 8).fill(0x20);
    buffer.set(bytes.subarray(from, end));
    reader.push(buffer, end - from, NOW);
    from = end;
  }
  return tally;
}

function summary({ delivered, messages, gaps, missed, errors }: Tally) {
  return { delivered, messages, gaps, missed, errors };
}

for (const name of ["relay", "text", "redis"] as const) {
  Deno.test(`the fan-out bench counts what ${name} sends, however it is cut`, () => {
    const groups = fc.array(fc.integer({ min: 1, max: 40 }), {
      minLength: 1,
      maxLength: 20,
    });
    const cuts = fc.array(fc.nat(), { maxLength: 30 });
    fc.assert(
      fc.property(groups, cuts, (groups, cuts) => {
        const parts = WRITERS[name](1, groups);
        const tally = read(name, concat(parts), cuts);
        assertEquals(summary(tally), {
          delivered: numbers(1, groups).length,
          messages: parts.length,
          gaps: 0,
          missed: 0,
          errors: 0,
        });
        const { max } = tally.latencies;
        assert(max !== null && Math.abs(max - LATENCY) < 0.01);
      }),
      propertyParameters(100),
    );
  });
}

for (const name of ["text", "redis"] as const) {
  Deno.test(`the fan-out bench sees what ${name} has lost or repeated`, () => {
    const lost = [...WRITERS[name](7, [3]), ...WRITERS[name](15, [2])];
    assertEquals(summary(read(name, concat(lost))), {
      delivered: 5,
      messages: 5,
      gaps: 1,
      missed: 5,
      errors: 0,
    });
    const repeated = [...WRITERS[name](1, [3]), ...WRITERS[name](3, [2])];
    assertEquals(read(name, concat(repeated)).errors, 1);
  });
}

Deno.test("the fan-out bench takes the relay's gaps, and no others", () => {
  const gap = message({ type: "gap", topic: TOPIC, from: 4, to: 9 });
  const other = ["welcome", "subscribed", "upstream", "live", "heartbeat"].map(
    (type) => message({ type, topic: TOPIC }),
  );
  const write = WRITERS.relay;
  const told = [...other, ...write(1, [3]), gap, ...write(10, [600])];
  assertEquals(summary(read("relay", concat(told))), {
    delivered: 603,
    messages: 2,
    gaps: 1,
    missed: 6,
    errors: 0,
  });
  const untold = [...write(1, [3]), ...write(10, [2])];
  assertEquals(read("relay", concat(untold)).errors, 1);
  assertEquals(read("relay", message({ type: "end" })).errors, 1);
  const short = message({
    type: "events",
    topic: TOPIC,
    offset: 1,
    events: [{ data: dataOf(1).slice(1) }],
  });
  assertEquals(read("relay", short).errors, 1);
});

Deno.test("the fan-out bench reads messages of the relay whole now and then", () => {
  const wrong = message({
    type: "events",
    topic: TOPIC,
    offset: 1,
    events: [{ data: dataOf(1) }, { data: dataOf(3) }],
  });
  const errors = Array.from(
    { length: 97 },
    () => read("relay", wrong).errors,
  );
  assertEquals(errors.reduce((sum, count) => sum + count, 0), 1);
});

Deno.test("the fan-out bench answers pings", () => {
  const reader = PROTOCOLS.text.makeReader(new Tally(), SIZE);
  assert(reader instanceof WebSocketReader);
  assertEquals(reader.takePong(), undefined);
  const ping = Uint8Array.of(0x89, 2, 7, 8);
  reader.push(ping, ping.length, NOW);
  assertEquals(
    reader.takePong(),
    Uint8Array.of(0x8a, 0x82, 0, 0, 0, 0, 7, 8),
  );
  assertEquals(reader.takePong(), undefined);
});

Deno.test("the fan-out bench finds percentiles within a hundredth", () => {
  const { latencies } = new Tally();
  assertEquals(latencies.percentile(0.5), null);
  for (let i = 1; i <= 1_000; i++) latencies.add(i / 10);
  const within = (actual: number | null, expected: number) =>
    assert(actual !== null && Math.abs(actual / expected - 1) < 0.01);
  within(latencies.percentile(0.5), 50);
  within(latencies.percentile(0.99), 99);
  assertEquals(latencies.max, 100);
  latencies.atLeast(400);
  latencies.add(200, 3_000);
  within(latencies.percentile(0.5), 200);
  assertEquals(latencies.max, 400);
});
