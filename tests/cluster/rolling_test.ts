// Two relays on one NATS behind nginx, replaced one after the other: see rolling.ts.
import { assertEquals } from "@std/assert";
import { isMissing } from "../support/tools.ts";
import { lacksNats } from "../support/nats/nats_server.ts";
import { rollOut } from "./rolling.ts";

Deno.test({
  name:
    "Relays of a cluster are replaced under load, and nobody misses an event",
  ignore: lacksNats() || isMissing("nginx", "On Debian: apt-get install nginx"),
  async fn() {
    const result = await rollOut({ subscribers: 5, drain: 500 });
    console.log(JSON.stringify({ ...result, away: [...result.away] }));
    assertEquals(result.faults, []);
  },
});
