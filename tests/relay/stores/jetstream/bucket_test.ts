import { assert, assertEquals } from "@std/assert";
import { headers } from "@nats-io/transport-node";
import {
  AFTER,
  Bucket,
  bucketSubject,
} from "../../../../relay/stores/jetstream/bucket.ts";
import { StreamWorld } from "../../../support/nats/stream_world.ts";
import { lacksNats } from "../../../support/nats/nats_server.ts";

Deno.test({
  name: "Bucket takes no value for its own that has only the same text",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const bucket = new Bucket(world.connection, world.names.leases);
    const first = await bucket.put("k", "mine", 0);
    assert(first !== undefined);
    const second = await bucket.put("k", "another's", first);
    assert(second !== undefined);
    // As a relay does that has had a lease, and has lost it.
    assertEquals(await bucket.put("k", "mine", 0), undefined);
    assertEquals(await bucket.get("k"), {
      value: "another's",
      revision: second,
    });
    const third = await bucket.put("k", "mine", second);
    assert(third !== undefined && third > second);
  },
});

Deno.test({
  name: "Bucket leaves out a value that follows an older one",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const bucket = new Bucket(world.connection, world.names.leases);
    const first = await bucket.put("k", "first", 0);
    const second = await bucket.put("k", "second", first);
    // As a server keeps it that has lost count.
    const following = headers();
    following.set(AFTER, String(first));
    const subject = bucketSubject(world.names.leases, "k");
    await world.connection.connected.js.publish(subject, "void", {
      headers: following,
    });
    assertEquals(await bucket.get("k"), { value: "second", revision: second! });
    const third = await bucket.put("k", "third", second);
    assertEquals(await bucket.get("k"), { value: "third", revision: third! });
  },
});
