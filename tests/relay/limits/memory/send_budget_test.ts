import { assertEquals } from "@std/assert";
import {
  type DropReason,
  type SendAccount,
  SendBudget,
} from "../../../../relay/limits/memory/send_budget.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";

class Queues {
  readonly clock = new FakeClock();
  readonly reasons: DropReason[] = [];
  readonly dropped: string[] = [];
  readonly budget = new SendBudget({
    maxQueued: 100,
    maxQueuedPerClient: 60,
    clock: this.clock,
    onDrop: (reason) => this.reasons.push(reason),
  });

  open(name: string, client = name): SendAccount {
    const drop = (): void => void this.dropped.push(name);
    return this.budget.open({ client, address: name, drop });
  }
}

Deno.test("A3: SendBudget counts a shared buffer once, and what is alone for each", () => {
  const { budget, ...queues } = new Queues();
  const open = Queues.prototype.open.bind({ budget, ...queues });
  const [a, b] = [open("a"), open("b")];
  const frame = new Uint8Array();
  a.hold(frame, 40);
  b.hold(frame, 40);
  a.set(5);
  b.set(6);
  assertEquals(budget.queued, 51);
  a.hold(frame, 40);
  a.release(frame);
  b.release(frame);
  b.set(0);
  assertEquals(budget.queued, 45);
  a.close();
  assertEquals(budget.queued, 0);
  a.set(10);
  a.hold(frame, 10);
  b.close();
  assertEquals(budget.queued, 0, "an account that is closed counts nothing");
});

Deno.test("A3: SendBudget cuts the heaviest connection that does not read", async () => {
  const queues = new Queues();
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => queues.open(name));
  a!.set(20);
  b!.set(35);
  await queues.clock.advance(1_500);
  c!.set(40);
  d!.set(10);
  await Promise.resolve();
  assertEquals(queues.dropped, ["b"], "c is heavier, and has just begun");
  assertEquals(queues.reasons, ["queued"]);
  assertEquals(queues.budget.queued, 70);
  // All read: then it is the heaviest of all.
  a!.taken();
  d!.set(50);
  await Promise.resolve();
  assertEquals(queues.dropped, ["b", "d"]);
});

Deno.test("A3: SendBudget holds each client to its own share, however many connections it has", async () => {
  const queues = new Queues();
  const mine = ["a1", "a2", "a3"].map((name) => queues.open(name, "a"));
  const other = queues.open("b");
  other.set(30);
  await queues.clock.advance(1_500);
  mine[0]!.set(25);
  mine[1]!.set(20);
  mine[2]!.set(20);
  await Promise.resolve();
  assertEquals(queues.dropped, ["a1"]);
  assertEquals(queues.reasons, ["queued_of_client"]);
  assertEquals(queues.budget.queued, 70);
});

Deno.test("A3: SendBudget lets one buffer be read that is larger than the budget", async () => {
  const queues = new Queues();
  const frame = new Uint8Array();
  const [a, b, c] = ["a", "b", "c"].map((name) => queues.open(name));
  a!.hold(frame, 500);
  b!.hold(frame, 500);
  await Promise.resolve();
  assertEquals(queues.dropped, []);
  c!.hold(new Uint8Array(), 30);
  await Promise.resolve();
  assertEquals(queues.dropped.length > 0, true);
  assertEquals(queues.budget.queued <= 500, true);
});

Deno.test("A3: SendBudget finds the heaviest connection that does not read, if there is one", async () => {
  const queues = new Queues();
  const [a, b] = [queues.open("a"), queues.open("b")];
  a.set(10);
  b.set(20);
  assertEquals(queues.budget.dropHeaviest(), undefined);
  await queues.clock.advance(1_500);
  b.set(15);
  assertEquals(queues.budget.dropHeaviest(), 10);
  assertEquals(queues.budget.dropHeaviest(), undefined);
  await Promise.resolve();
  assertEquals([queues.dropped, queues.reasons], [["a"], ["memory"]]);
});
