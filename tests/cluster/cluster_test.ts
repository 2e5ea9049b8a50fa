// Relays and NATS servers that fail among those who publish, subscribe and make runs:
// see cluster.ts. `deno task test:cluster` goes on for longer, with more of them.
import { assert } from "@std/assert";
import { lacksNats } from "../support/nats/nats_server.ts";
import { seedOf } from "../support/property.ts";
import { runCluster } from "./cluster.ts";

Deno.test({
  name: "Relays that share a store keep what they have said, whatever fails",
  ignore: lacksNats(),
  async fn() {
    const result = await runCluster({
      seed: seedOf("cluster_test.ts"),
      faults: ["kill relay", "kill NATS leader", "cut relay off"],
      publishers: 8,
      sources: 4,
      callers: 4,
      followers: 28,
    });
    console.log(JSON.stringify(result));
    const { acknowledged, deliveries, sourcesResumed, ends } = result;
    const { complete = 0 } = ends;
    // Things that did not happen were not tried.
    for (
      const happened of [acknowledged, deliveries, sourcesResumed, complete]
    ) {
      assert(happened > 0, JSON.stringify(result));
    }
  },
});
