// The chaos on relays in processes of their own, some of which are killed: see
// far_chaos.ts. `deno task test:chaos --relay tree` goes on for longer.
import { assert } from "@std/assert";
import { seedOf } from "../support/property.ts";
import { runFarChaos } from "./far_chaos.ts";

for (
  const [relays, store] of [["workers", "sqlite"], ["tree", "memory"]] as const
) {
  Deno.test(`Relay (${relays}, ${store}) tells every subscriber everything once, in order, whoever is killed`, async () => {
    const result = await runFarChaos({
      relays,
      store,
      seed: seedOf(`far_chaos_test.ts ${relays} ${store}`),
      seconds: 6,
      kills: 2,
      exact: 40,
      counting: 20,
    });
    console.log(JSON.stringify(result));
    const { acknowledged, deliveries, restarts } = result;
    assert(acknowledged > 0 && deliveries > 0 && restarts > 1);
  });
}
