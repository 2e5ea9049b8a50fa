/**
 * Asks for each URL that it is given by a guarded `fetch` to which every host is
 * on the loopback interface, and prints what comes of it: to be run with the
 * certificates that it is to trust, and the permissions that it is to have.
 *
 * @module
 */
import { AddressPolicy } from "../../../relay/sources/guard/address_policy.ts";
import { createGuardedFetch } from "../../../relay/sources/guard/guarded_fetch.ts";
import { Upstreams } from "../../../relay/upstream/upstreams.ts";
import { SourcePolicy } from "../../../relay/sources/guard/source_policy.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

const clock = new FakeClock();
const fetch = createGuardedFetch({
  sources: new SourcePolicy(["*"]),
  addresses: new AddressPolicy(["127.0.0.1"]),
  lookUp: () => Promise.resolve(["127.0.0.1"]),
  upstreams: new Upstreams(clock),
});
for (const url of Deno.args) {
  try {
    const response = await fetch(url);
    const { pending } = clock;
    console.log(`${await response.text()}, ${pending} timers`);
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
  }
}
