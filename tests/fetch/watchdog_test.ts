import { assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../src/fetch/clock.ts";
import { Watchdog } from "../../src/fetch/watchdog.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";

/** A watchdog of 100 ms, how often it fired, and how many timers it took. */
function watch(timeout = 100) {
  const fake = new FakeClock();
  const seen = { expired: 0, timers: 0 };
  const clock: Clock = {
    now: () => fake.now(),
    setTimeout(callback, delay) {
      seen.timers++;
      return fake.setTimeout(callback, delay);
    },
  };
  const watchdog = new Watchdog(timeout, () => seen.expired++, clock);
  return { fake, seen, watchdog };
}

Deno.test("Watchdog fires once when the wait is over", async () => {
  const { fake, seen, watchdog } = watch();
  watchdog.start();
  await fake.advance(99);
  assertEquals(seen.expired, 0);
  await fake.advance(1);
  assertEquals(seen.expired, 1);
  await fake.advance(1_000);
  assertEquals(seen.expired, 1);
  assertEquals(fake.pending, 0);
});

Deno.test("Watchdog starts over at a sign of life", async () => {
  const { fake, seen, watchdog } = watch();
  watchdog.start();
  for (let i = 0; i < 10; i++) {
    await fake.advance(60);
    watchdog.touch();
  }
  assertEquals(seen.expired, 0);
  await fake.advance(99);
  assertEquals(seen.expired, 0);
  await fake.advance(1);
  assertEquals(seen.expired, 1);
});

Deno.test("Watchdog takes one timer for any number of waits", async () => {
  const { fake, seen, watchdog } = watch();
  for (let i = 0; i < 10_000; i++) {
    watchdog.start();
    watchdog.touch();
    watchdog.stop();
  }
  assertEquals(seen.timers, 1);
  assertEquals(fake.pending, 1);
  await fake.advance(1_000);
  assertEquals(seen, { expired: 0, timers: 1 });
  assertEquals(fake.pending, 0);
});

Deno.test("Watchdog does not count the time between waits", async () => {
  const { fake, seen, watchdog } = watch();
  watchdog.start();
  await fake.advance(90);
  watchdog.stop();
  await fake.advance(5_000);
  watchdog.touch();
  watchdog.start();
  await fake.advance(99);
  assertEquals(seen.expired, 0);
  await fake.advance(1);
  assertEquals(seen.expired, 1);
});

Deno.test("Watchdog leaves no timer behind when it is closed", async () => {
  const { fake, seen, watchdog } = watch();
  watchdog.start();
  watchdog.close();
  assertEquals(fake.pending, 0);
  await fake.advance(1_000);
  assertEquals(seen.expired, 0);
});

Deno.test("Watchdog takes no timer when there is no limit", () => {
  for (const timeout of [0, Infinity]) {
    const { seen, watchdog } = watch(timeout);
    watchdog.start();
    watchdog.touch();
    assertEquals(seen.timers, 0);
  }
});

Deno.test("Watchdog waits for longer than a timer can", async () => {
  const { seen, fake, watchdog } = watch(2 ** 32);
  watchdog.start();
  await fake.advance(2 ** 32 - 1);
  assertEquals(seen.expired, 0);
  await fake.advance(1);
  assertEquals(seen.expired, 1);
});

Deno.test("Watchdog lets bytes arrive that a busy program has left waiting", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [client, server] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  using _client = client;
  using _server = server;
  let expired = false;
  const watchdog = new Watchdog(20, () => expired = true, systemClock);
  watchdog.start();
  const read = server.read(new Uint8Array(1)).then(() => watchdog.touch());
  await client.write(new Uint8Array(1));
  const busyUntil = performance.now() + 60;
  while (performance.now() < busyUntil);
  await read;
  watchdog.close();
  assertEquals(expired, false);
});
