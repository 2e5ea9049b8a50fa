// After a link was lost, a relay knows how much of what it had sent was kept: no more, and no
// less.
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Channel } from "../../../../relay/links/channel.ts";
import { addHole, holeAt } from "../../../../relay/stores/holes.ts";
import type { Segment } from "../../../../relay/stores/segment.ts";
import {
  SoughtEvents,
  type SoughtLog,
} from "../../../../relay/stores/parent/sought_events.ts";
import { message } from "../../../../relay/testing/contract_world.ts";
import type { Hole, LogEntry } from "../../../../relay/topics/log.ts";
import { propertyParameters } from "../../../support/property.ts";

/** Something that a relay has sent: events, or a number of offsets that it left out. */
type Sent = readonly string[] | number;

const sent: fc.Arbitrary<Sent> = fc.oneof(
  fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 3 }),
  fc.integer({ min: 1, max: 3 }),
);

/** A log that retention passes a part of, before and while it is read. */
class PassedLog implements SoughtLog {
  first = 1;
  next = 1;
  holes: Hole[] = [];
  readonly #entries = new Map<number, LogEntry>();
  readonly #passes: readonly number[];
  #reads = 0;

  /** @param passes The numbers of events that retention passes, before each read. */
  constructor(passes: readonly number[]) {
    this.#passes = passes;
  }

  keep(work: Sent): void {
    if (typeof work === "number") {
      addHole(this.holes, this.next, work, "evicted");
      this.next += work;
      return;
    }
    for (const data of work) {
      this.#entries.set(this.next++, {
        event: message(data),
        size: 1,
        time: 0,
      });
    }
  }

  /** Passes some events, and the holes behind them. */
  pass(count: number): void {
    for (; count > 0 && this.first < this.next; count--) {
      this.first = (this.holeAt(this.first)?.to ?? this.first) + 1;
      const hole = this.holeAt(this.first);
      if (hole) this.first = hole.to + 1;
      this.holes = this.holes.filter(({ to }) => to >= this.first);
    }
  }

  holeAt(offset: number): Hole | undefined {
    return holeAt(this.holes, offset);
  }

  loadOver(_: Channel, from: number): Promise<readonly Segment[]> {
    this.pass(this.#passes[this.#reads++] ?? 0);
    const entries: LogEntry[] = [];
    const first = Math.max(from, this.first);
    // A read gives two at most, and none behind a hole.
    for (let offset = first; entries.length < 2; offset++) {
      const entry = this.#entries.get(offset);
      if (!entry) break;
      entries.push(entry);
    }
    return Promise.resolve(entries.length === 0 ? [] : [{ first, entries }]);
  }
}

const CHANNEL = {} as Channel; // nothing is asked of it

Deno.test("SoughtEvents takes what one filler has sent as far as it was kept, whatever retention has passed", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(sent, { maxLength: 2 }),
      fc.array(sent, { minLength: 1, maxLength: 6 }),
      fc.nat(6),
      fc.array(fc.nat(3), { maxLength: 4 }),
      async (before, works, most, passes) => {
        const log = new PassedLog(passes.slice(1));
        for (const work of before) log.keep(work);
        const from = log.next;
        const count = Math.min(most, works.length);
        for (const work of works.slice(0, count)) log.keep(work);
        const end = log.next;
        log.pass(passes[0] ?? 0);
        const sought = await SoughtEvents.read(log, from, CHANNEL, () => true);
        const taken = works.findIndex((work) =>
          typeof work === "number"
            ? !sought.takeHole(work)
            : sought.takeEvents(work.map(message)) === undefined
        );
        assertEquals(taken < 0 ? works.length : taken, count);
        assertEquals(sought.from, end);
      },
    ),
    propertyParameters(2_000),
  );
});
