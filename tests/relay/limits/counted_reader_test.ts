import { assert, assertEquals, assertRejects } from "@std/assert";
import type { IncomingMessage } from "node:http";
import {
  BodyIntake,
  CountedReader,
  type IncomingBody,
} from "../../../relay/limits/incoming_body.ts";
import type {
  Part,
  PartReader,
} from "../../../relay/limits/incoming_reader.ts";
import { ReceiveBudget } from "../../../relay/limits/memory/receive_budget.ts";
import { Problem } from "../../../relay/problem.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

/** A body that is given part by part. */
class GivenBody implements PartReader {
  reads = 0;
  isCancelled = false;
  #next = Promise.withResolvers<Part>();

  read(): Promise<Part> {
    this.reads++;
    this.#next = Promise.withResolvers();
    return this.#next.promise;
  }

  cancel(): Promise<void> {
    this.isCancelled = true;
    return Promise.resolve();
  }

  give(bytes: number): void {
    this.#next.resolve({ done: false, value: new Uint8Array(bytes) });
  }

  end(): void {
    this.#next.resolve({ done: true });
  }
}

interface World {
  readonly clock: FakeClock;
  readonly budget: ReceiveBudget;
  readonly body: GivenBody;
  readonly incoming: IncomingBody;
  readonly reader: CountedReader;
}

function world(): World {
  const clock = new FakeClock();
  const budget = new ReceiveBudget({
    maxReceived: 1_000,
    maxReceivedPerClient: 1_000,
  });
  const intake = new BodyIntake({
    maxBodyRate: 100,
    maxBodyChunkRate: 1_000,
    received: budget,
    clock,
  });
  const body = new GivenBody();
  const incoming = intake.open({} as IncomingMessage, "c"); // a key, and nothing else
  return {
    clock,
    budget,
    body,
    incoming,
    reader: new CountedReader(body, incoming, clock),
  };
}

/** Lets all go on that waits for nothing but its turn. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

Deno.test("CountedReader gives the parts of a body, which count, and its end", async () => {
  const { body, budget, incoming, reader } = world();
  const first = reader.read();
  body.give(10);
  assertEquals((await first).value?.length, 10);
  assertEquals(budget.received, 10);
  const last = reader.read();
  await turns();
  body.end();
  assertEquals((await last).done, true);
  assertEquals((await reader.read()).done, true);
  assertEquals(body.reads, 2);
  incoming[Symbol.dispose]();
  assertEquals(budget.received, 0);
});

Deno.test("CountedReader reads no faster than its client may send", async () => {
  const { body, clock, incoming, reader } = world();
  const first = reader.read();
  body.give(300); // the bucket has 100, and fills at 100 a second
  await first;
  const next = reader.read();
  await turns();
  assertEquals(body.reads, 1);
  await clock.advance(1_900);
  await turns();
  assertEquals(body.reads, 1);
  await clock.advance(200);
  await turns();
  assertEquals(body.reads, 2);
  body.end();
  assert((await next).done);
  incoming[Symbol.dispose]();
});

Deno.test("CountedReader fails when its body is refused: while it waits, and then at once", async () => {
  const { body, budget, incoming, reader } = world();
  const first = reader.read();
  body.give(50);
  await first;
  const next = reader.read();
  await turns();
  assertEquals(budget.dropHeaviest(), 50);
  await assertRejects(() => next, Problem);
  assert(body.isCancelled);
  await assertRejects(() => reader.read(), Problem);
  incoming[Symbol.dispose]();
});

Deno.test("CountedReader that is cancelled answers the read that waits, or waits for its turn", async () => {
  for (const isLate of [false, true]) {
    const { body, incoming, reader } = world();
    const first = reader.read();
    body.give(isLate ? 300 : 50);
    await first;
    const next = reader.read();
    await turns();
    await reader.cancel();
    assert((await next).done);
    assert(body.isCancelled);
    incoming[Symbol.dispose]();
  }
});
