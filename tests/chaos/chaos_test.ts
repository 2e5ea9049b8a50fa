// The relay among subscribers that do all that subscribers do, on topics to which
// happens all that can: see chaos.ts. `deno run -A tests/chaos/main.ts` goes on
// for longer.
import { assert } from "@std/assert";
import { seedOf } from "../support/property.ts";
import { runChaos } from "./chaos.ts";

Deno.test("Relay tells every subscriber everything once, in order, whatever happens", async () => {
  const result = await runChaos({
    seed: seedOf("chaos_test.ts"),
    seconds: 16,
    steps: 3_000,
    deliveries: Infinity,
    exact: 40,
    counting: 40,
  });
  console.log(JSON.stringify(result));
  // Things that did not happen were not tried. A slow machine sees less of it.
  const { restarts, gaps, merged, snapshots, departures, ends } = result;
  assert(result.deliveries > 10_000, `${result.deliveries} deliveries`);
  if (result.steps < 1_000) return;
  for (
    const happened of [
      restarts,
      merged,
      snapshots,
      gaps["evicted"],
      gaps["epoch"],
      gaps["skipped"],
      departures["reset"],
      departures["unsubscribe"],
      ends["complete"],
      ends["cancelled"],
    ]
  ) {
    assert(happened !== undefined && happened > 0, "Too little has happened");
  }
});
