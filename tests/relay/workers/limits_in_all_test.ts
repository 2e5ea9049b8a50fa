// Limits "in all" hold for all workers of a relay together.
import { assertEquals, assertThrows } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { ClientRates } from "../../../relay/limits/client_rates.ts";
import { ConnectionLimits } from "../../../relay/limits/connection_limits.ts";
import { UpstreamSlots } from "../../../relay/limits/upstream_slots.ts";
import { Problem } from "../../../relay/problem.ts";
import {
  type Counter,
  CountLedger,
} from "../../../relay/workers/count_ledger.ts";
import { SharedCounts } from "../../../relay/workers/shared_counts.ts";

/** Workers that count together. */
class World {
  readonly clock = new FakeClock();
  readonly ledger = new CountLedger();

  /** Adds a worker. */
  join(): { counter: Counter; counts: SharedCounts } {
    const counter: Counter = { tell: (changes) => counts.heard(changes) };
    const counts = new SharedCounts(
      this.clock,
      (changes) => this.ledger.changed(counter, changes),
    );
    this.ledger.join(counter);
    return { counter, counts };
  }

  /** Lets as much time pass as counts take to be told. */
  async told(): Promise<void> {
    await this.clock.advance(25);
  }
}

Deno.test("ConnectionLimits counts the connections of all workers, until they end", async () => {
  const world = new World();
  const options = { maxConnections: 4, maxConnectionsPerAddress: 2 };
  const [one, two] = [world.join(), world.join()];
  const [here, there] = [one, two].map(({ counts }) =>
    new ConnectionLimits({ ...options, elsewhere: counts })
  );
  const codes = (
    limits: ConnectionLimits | undefined,
    networks: readonly string[],
  ): (string | undefined)[] =>
    networks.map((network) => limits?.add(network)?.code);
  assertEquals(codes(here, ["a", "a", "b"]), [undefined, undefined, undefined]);
  await world.told();
  assertEquals(codes(there, ["a", "b", "c"]), [
    "too_many_connections_of_address",
    undefined,
    "too_many_connections",
  ]);
  await world.told();
  assertEquals(codes(here, ["c"]), ["too_many_connections"]);
  here?.delete("a");
  await world.told();
  assertEquals(codes(there, ["a"]), [undefined]);
  // A worker that takes the place of another knows what the others have.
  world.ledger.leave(one.counter);
  const { counts } = world.join();
  const again = new ConnectionLimits({ ...options, elsewhere: counts });
  await world.told();
  assertEquals(codes(again, ["b", "c", "d"]), [
    undefined,
    undefined,
    "too_many_connections",
  ]);
});

Deno.test("UpstreamSlots counts the upstreams of all workers", async () => {
  const world = new World();
  const [here, there] = [world.join(), world.join()].map(({ counts }) =>
    new UpstreamSlots(3, 2, counts)
  );
  const taken = [here?.take("a"), here?.take("a")];
  await world.told();
  assertThrows(() => there?.take("a"), Problem, "--max-upstreams-per-client");
  there?.take("b");
  assertThrows(() => there?.take("c"), Problem, "(--max-upstreams)");
  taken[0]?.[Symbol.dispose]();
  await world.told();
  there?.take("a");
});

Deno.test("ClientRates counts what a client takes at all workers", async () => {
  const world = new World();
  const [here, there] = [world.join(), world.join()].map(({ counts }) =>
    new ClientRates(10, world.clock, { thing: "published", elsewhere: counts })
  );
  assertEquals(here?.take("a", 6), 0);
  await world.told();
  assertEquals([there?.take("a", 5), there?.take("b", 10)], [100, 0]);
  await world.clock.advance(100);
  assertEquals(there?.take("a", 5), 0);
  // A worker does not tell again of what it has heard.
  await world.told();
  assertEquals(here?.take("a", 1), 50);
});
