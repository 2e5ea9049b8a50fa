// A topic that ends at another relay while this one, which has it at hand, looks it up.
import { assert, assertEquals } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { message, NO_FACTS } from "../../../../relay/testing/contract_world.ts";
import { Line } from "../../../cluster/line.ts";
import { CuttableLine } from "../../../support/http/cuttable_line.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { openStore } from "../../../support/nats/open_store.ts";
import { LIMIT, within } from "../../../support/within.ts";

/** The time that a message to the relay or from it takes, in milliseconds. */
const DELAY = 500;

Deno.test({
  name:
    "A relay has all of a topic that another relay has ended since the relay read it",
  ignore: lacksNats(),
  async fn() {
    await using server = await NatsServer.start();
    await using slow = await Line.start(() => [server.port]);
    await using line = await CuttableLine.start(slow.port);
    await using other = await openStore(server.host);
    // Its clock stands still: it looks for nothing by itself.
    await using store = await openStore(new URL(line.url).host);
    using theirs = other.create("t", NO_FACTS);
    await theirs.settled();
    const { epoch } = theirs;
    await using nats = await connect({ servers: server.host });
    const asked = Promise.withResolvers<void>();
    nats.subscribe("$JS.API.STREAM.MSG.GET.rivulet_logs", {
      callback: () => asked.resolve(),
    });
    await nats.flush();
    slow.delay = DELAY;
    const first = store.prepare("t", {});
    await within(asked.promise, LIMIT, "the read of the log");
    // The log is about to be at hand, without events.
    const position = { epoch, offset: 2 };
    const second = store.prepare("t", { isFresh: true, position });
    await theirs.append([message("a"), message("b")]);
    await theirs.end({ status: "complete", isWhole: true, at: 1 });
    await within(Promise.resolve(first), LIMIT, "the log");
    {
      using log = store.find("t");
      assert(log);
      assertEquals(log.next, 1);
    }
    // It does not hear of the events.
    line.cut();
    slow.delay = 0;
    line.mend();
    await within(Promise.resolve(second), LIMIT, "the record of the name");
    using log = store.find("t");
    assert(log);
    assertEquals([log.next, log.ended?.status], [3, "complete"]);
  },
});
