// A store of an embedder's own passes the contract, and a relay runs with it.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { subscribe } from "../../../../relay/client/mod.ts";
import {
  createRelay,
  RelayOptionsError,
  type Retention,
  type Store,
} from "../../../../relay/mod.ts";
import {
  storeContract,
  type StoreContractWorld,
} from "../../../../relay/testing/mod.ts";
import { systemClock } from "../../../../src/fetch/clock.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { LogCapture } from "../../../support/observing/log_capture.ts";
import { DEFAULT_RETENTION } from "../../../support/retention.ts";
import { ArrayStore } from "./array_store.ts";

async function open(retention: Retention): Promise<StoreContractWorld> {
  const clock = new FakeClock(1_000_000);
  const store = new ArrayStore(retention, clock);
  await store.open();
  const close = () => store[Symbol.asyncDispose]();
  return { store, clock, [Symbol.asyncDispose]: close };
}

for (const { name, run } of storeContract({ open })) {
  Deno.test(`ArrayStore ${name}`, run);
}

/** A store that says what the relay does with it. */
class ToldStore extends ArrayStore {
  readonly told: string[] = [];

  override async open(): Promise<void> {
    this.told.push("open");
    await super.open();
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.told.push("close");
    await super[Symbol.asyncDispose]();
  }
}

Deno.test("createRelay takes a store of one's own, opens it and disposes of it", async () => {
  const store = new ToldStore(DEFAULT_RETENTION, systemClock);
  {
    await using relay = createRelay({ port: 0, store });
    assertEquals(store.told, []);
    const { url } = await relay.listen();
    assertEquals(store.told, ["open"]);
    const response = await fetch(`${url}/topics/t`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Idempotency-Key": "one",
      },
      body: JSON.stringify([{ data: "a" }, { data: "b" }]),
    });
    assertEquals((await response.json()).next, 3);
    assertEquals(store.list({ after: "", prefix: "", limit: 9 })[0]?.next, 3);
    relay.topics.get("t")?.end("complete");
    const seen: string[] = [];
    for await (const message of subscribe(`${url}/topics/t`)) {
      if (message.type === "event") seen.push(message.data);
    }
    assertEquals(seen, ["a", "b"]);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    assert(metrics.includes("rivulet_store_failed 0"));
  }
  assertEquals(store.told, ["open", "close"]);
});

Deno.test("createRelay says what a store lacks, and that it has to bound itself", () => {
  const store = new ArrayStore(DEFAULT_RETENTION, systemClock);
  const lacking = { ...store, open: 1 } as unknown as Store; // what programs give
  const error = assertThrows(
    () => createRelay({ port: 0, store: lacking }),
    RelayOptionsError,
  );
  assert(error.message.includes("open, create, find"), error.message);
  assert(error.message.includes("[Symbol.asyncDispose]"), error.message);
  assertThrows(
    () => createRelay({ port: 0, store, retention: { maxStore: 1 } }),
    RelayOptionsError,
    "sqlite:PATH",
  );
  assertThrows(
    () => createRelay({ port: 0, store: "sqlite:" }),
    RelayOptionsError,
    "store",
  );
  assertThrows(
    () => createRelay({ port: 0, store: 1 as unknown as string }),
    RelayOptionsError,
    "store",
  );
});

Deno.test("A relay says that --max-store bounds no topics in memory", async () => {
  await using log = await LogCapture.start();
  const says = () => log.lines.some((line) => line.includes("--max-store"));
  {
    await using relay = createRelay({ port: 0 });
    await relay.listen();
  }
  assert(!says());
  await using relay = createRelay({ port: 0, retention: { maxStore: 1 } });
  await relay.listen();
  assert(says());
});
