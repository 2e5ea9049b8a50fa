// The words of a relay to its parent about its leases.
import { assertEquals } from "@std/assert";
import type { Channel } from "../../../../relay/links/channel.ts";
import { ParentLeases } from "../../../../relay/stores/parent/parent_leases.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";

/** A link that notes what is said, and gives each lease a number. */
class NotingLink {
  readonly said: unknown[] = [];
  isOpen = true;
  #numbers = 0;

  send(operation: unknown): void {
    this.said.push(operation);
  }

  ask(name: string, values: readonly unknown[]): Promise<unknown[]> {
    this.said.push([name, ...values]);
    return Promise.resolve(["ok", 0, ++this.#numbers]);
  }

  askWhileOpen(): Promise<void> {
    return Promise.resolve();
  }
}

Deno.test("A parent is told over the next link whose holder is gone, and who goes on", async () => {
  const clock = new FakeClock();
  const link = new NotingLink();
  const channel = link as unknown as Channel; // no more is asked of it
  let isUp = true;
  const leases = new ParentLeases({
    clock,
    channel: () => channel,
    link: () => isUp ? channel : undefined,
    onSettled: () => {},
  });
  const hold = (topic: string) =>
    leases.hold({
      ...{ topic, epoch: "e", holder: "edge", ttl: 5_000 },
      onCancel: () => Promise.resolve(),
    });
  const [gone, missed] = [await hold("gone"), await hold("missed")];
  const given = await hold("given up");
  const kept = await hold("kept");
  isUp = false;
  leases.onDown();
  await gone.abandon();
  await given.release();
  // Nobody renews it at two looks in a row.
  for (let looks = 0; looks < 2; looks++) {
    await clock.advance(10_000);
    kept.renew();
    leases.look();
  }
  isUp = true;
  link.said.length = 0;
  await leases.resume(channel);
  assertEquals(link.said, [
    ["lapse", 1],
    ["lapse", 2],
    ["keeps", [4]],
    // It is the same holder, though the parent may be another one.
    ["hold", "kept", "e", null, "edge", 5_000, 1],
  ]);
  assertEquals([missed.isHeld, kept.number], [true, 5]);
});
