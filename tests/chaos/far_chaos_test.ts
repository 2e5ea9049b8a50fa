// The same among relays in processes of their own, which are killed: see far_chaos.ts.
// `deno task test:chaos --relay tree` goes on for longer.
import { assert } from "@std/assert";
import { seedOf } from "../support/property.ts";
import { runFarChaos } from "./far_chaos.ts";
import type { GroundKind, GroundStore } from "./grounds.ts";

const GROUNDS: readonly (readonly [GroundKind, GroundStore])[] = [
  ["workers", "memory"],
  ["tree", "sqlite"],
];

for (const [relays, store] of GROUNDS) {
  Deno.test(`Relays that are killed tell every subscriber everything once, in order (${relays})`, async () => {
    const result = await runFarChaos({
      relays,
      store,
      seed: seedOf(`far_chaos_test.ts, ${relays}`),
      seconds: 12,
      kills: 3,
      callers: 4,
      exact: 20,
      counting: 20,
    });
    console.log(JSON.stringify(result));
    assert(result.restarts >= 3, `${result.restarts} kills`);
    assert(result.deliveries > 0);
    const { whole, ends: { complete = 0 } } = result.runs;
    assert(whole > 0 && complete > 0, JSON.stringify(result.runs));
  });
}
