// The memory that the relay keeps of connections that are gone, at a tenth of
// the size of `deno run -A tests/chaos/connections.ts`.
import { assert } from "@std/assert";
import { openAndClose } from "./connections.ts";

const MIB = 2 ** 20;

const live = ({ heapUsed, external }: Deno.MemoryUsage): number =>
  heapUsed + external;

Deno.test("Relay keeps nothing of 1,000 connections that come and go ten times", async () => {
  const { idle, open, after } = await openAndClose({
    connections: 1_000,
    rounds: 10,
  });
  const first = after[0]!; // of ten
  const last = after.at(-1)!; // of ten
  console.log(
    `live: ${
      [idle, first, last, open].map((memory) => (live(memory) / MIB).toFixed(1))
        .join(", ")
    } MiB with none, after one round, after ten, with all`,
  );
  // Not the resident size: of a process this small, a collector's reserves are most.
  assert(live(last) < live(first) * 1.1, "Memory has grown");
});
