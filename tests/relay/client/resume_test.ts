import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { subscribe } from "../../../relay/client/mod.ts";
import { propertyParameters } from "../../support/property.ts";
import {
  type ScriptedConnection,
  ScriptedRelay,
  subscribed,
  WELCOME,
} from "../../support/client/scripted_relay.ts";

/** The behaviour of a relay on one connection. */
interface Visit {
  /** The upgrade is refused. */
  readonly isRefused: boolean;
  /** After so many messages it is cut: with what is under way. */
  readonly cutAfter: number;
  /** It is closed then, and what was sent arrives. */
  readonly isClosed: boolean;
  /** The numbers of events in each message. */
  readonly sizes: readonly number[];
  /** The number of events that each message repeats. */
  readonly overlap: number;
  /** The number of the oldest events that are gone by now. */
  readonly evicted: number;
  /** Whether the log was begun anew before. */
  readonly isNewLog: boolean;
}

const visit: fc.Arbitrary<Visit> = fc.record({
  isRefused: fc.nat(9).map((n) => n === 0),
  cutAfter: fc.nat(8),
  isClosed: fc.boolean(),
  sizes: fc.array(fc.integer({ min: 1, max: 6 }), {
    minLength: 1,
    maxLength: 5,
  }),
  overlap: fc.nat(3),
  evicted: fc.nat(40).map((n) => Math.max(0, n - 25)),
  isNewLog: fc.nat(9).map((n) => n === 0),
});

/** Returns the data of a log's event: no two events have the same. */
function dataAt(log: number, offset: number): string {
  return `${log}/${offset}`;
}

/** A relay with one topic, whose visitors come off badly. */
class BadRelay {
  readonly #server: ScriptedRelay;
  readonly #visits: Visit[];
  readonly #count: number;
  #log = 0;
  #first = 1;

  constructor(server: ScriptedRelay, visits: readonly Visit[], count: number) {
    this.#server = server;
    this.#visits = [...visits];
    this.#count = count;
    server.onConnection = (connection) => this.#visit(connection);
    server.refuseWith = () =>
      // One that is refused is over before anybody sees it.
      this.#visits[0]?.isRefused ? (this.#visits.shift(), 503) : undefined;
  }

  get epoch(): string {
    return `epoch-${this.#log}-`;
  }

  #visit(connection: ScriptedConnection): void {
    const visit = this.#visits.shift();
    if (visit?.isNewLog) {
      this.#log++;
      this.#first = 1;
    }
    this.#first = Math.min(this.#first + (visit?.evicted ?? 0), this.#count);
    const messages = [...this.#messages(connection.query.get("after"), visit)];
    connection.say(WELCOME, ...messages.slice(0, visit?.cutAfter));
    if (!visit) connection.close(1000);
    else if (visit.isClosed) connection.close(1012);
    else connection.cut();
  }

  *#messages(
    after: string | null,
    visit: Visit | undefined,
  ): Generator<Record<string, unknown>> {
    const [epoch, digits = "0"] = (after ?? "start").split(":");
    const isStart = epoch === "start";
    const isForeign = !isStart && epoch !== this.epoch;
    const next = isStart || isForeign ? this.#first : Number(digits) + 1;
    const recovered = !isForeign && next >= this.#first;
    yield subscribed("t", next - 1, { epoch: this.epoch, recovered });
    const gap = { type: "gap", topic: "t", to: this.#first - 1 };
    if (isForeign) yield { ...gap, from: 1, reason: "epoch" };
    else if (!recovered) yield { ...gap, from: next, reason: "evicted" };
    let from = Math.max(next, this.#first);
    const { sizes = [10], overlap = 0 } = visit ?? {};
    for (let i = 0; from <= this.#count; i++) {
      const to = Math.min(from + sizes[i % sizes.length]! - 1, this.#count);
      const offset = Math.max(from - overlap, this.#first);
      const events = [];
      for (let at = offset; at <= to; at++) {
        events.push({ data: dataAt(this.#log, at) });
      }
      yield { type: "events", topic: "t", offset, events };
      from = to + 1;
    }
    yield { type: "live", topic: "t", next: from };
    yield { type: "end", topic: "t", offset: from, status: "complete" };
  }
}

Deno.test("subscribe yields each event once, in order, wherever it is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(visit, { maxLength: 12 }),
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.nat(3), { minLength: 1 }),
      async (visits, count, pauses) => {
        await using server = await ScriptedRelay.start();
        const relay = new BadRelay(server, visits, count);
        await using subscription = subscribe(`${server.url}/topics/t`, {
          reconnect: { minTimeout: 0 },
        });
        let epoch: string | undefined;
        // The relay chooses where to begin.
        let next: number | undefined;
        let taken = 0;
        for await (const message of subscription) {
          if (message.type === "gap") {
            const { from, to, reason } = message;
            if (reason === "epoch") {
              epoch = undefined;
              assertEquals(from, 1);
            } else {
              assertEquals(from, next ?? from);
            }
            next = to + 1;
          } else if (message.type === "event") {
            const { offset, data, position } = message;
            epoch ??= message.epoch;
            assertEquals([message.epoch, offset], [epoch, next ?? offset]);
            next = offset + 1;
            const [, log = ""] = epoch.split("-");
            assertEquals(data, dataAt(Number(log), offset));
            assertEquals(position, `${epoch}:${offset}`);
            assertEquals(subscription.position, position);
          }
          // A consumer that is slow in its own way.
          for (let i = pauses[taken++ % pauses.length]!; i > 0; i--) {
            await new Promise((resolve) => setTimeout(resolve));
          }
        }
        assertEquals(next, count + 1);
        assert(epoch === undefined || epoch === relay.epoch);
        assertEquals(subscription.end, { status: "complete" });
      },
    ),
    propertyParameters(60),
  );
});
