// Whatever is sent over a WebSocket: the relay closes it with the right code, or
// answers, and goes on. `deno run -A tests/chaos/fuzz.ts --frames 1000000` sends
// more.
import { assert } from "@std/assert";
import { seedOf } from "../support/property.ts";
import { describe, fuzz } from "./fuzz.ts";

const MIB = 2 ** 20;

const FRAMES = 20_000;

Deno.test("Relay answers whatever frames there are, and keeps nothing of them", async () => {
  const seed = seedOf("fuzz_test.ts");
  const { frames, connections, ends, before, after, events } = await fuzz({
    seed,
    frames: FRAMES,
  });
  console.log(
    `${frames} frames over ${connections} connections, ${events} events ` +
      `beside them: ${describe(before)}, now ${describe(after)}; ` +
      JSON.stringify(ends),
  );
  for (const end of ["1000", "1005", "1009", "4500", "open", "fin", "reset"]) {
    assert((ends[end] ?? 0) > 0, `No connection ended with ${end}`);
  }
  // Not the resident size: what a collector has freed and not yet returned is in it.
  const grown = after.heapUsed + after.external - before.heapUsed -
    before.external;
  // 8 KiB for each of some 430 connections would be seen.
  assert(grown < 3 * MIB, `The relay keeps ${grown} bytes more`);
});
