import { assertEquals } from "@std/assert";
import { snapshot } from "../../src/model/mod.ts";
import { assertDelivered, assertEnded } from "./assert_ending.ts";
import { ENDINGS } from "./endings.ts";
import { countsEvents, runEnding } from "./run_ending.ts";

/** Nothing of a stream is left behind. */
const LEAKS = { sanitizeOps: true, sanitizeResources: true };

for (const ending of ENDINGS) {
  const { wire, name } = ending;

  Deno.test(
    `ResponseStream ends as it should: ${wire}: ${name}`,
    LEAKS,
    async () => {
      const outcome = await runEnding(ending, "events");
      assertDelivered(ending, outcome);
      assertEnded(ending, outcome);
    },
  );

  if (countsEvents(ending)) continue;

  Deno.test(
    `ResponseStream.final() tells the same: ${wire}: ${name}`,
    LEAKS,
    async () => {
      const outcome = await runEnding(ending, "final");
      assertEnded(ending, outcome);
      const { final } = outcome;
      if (final?.status !== "fulfilled") return;
      const { events } = await runEnding(ending, "events");
      assertEquals(final.value, snapshot(events));
    },
  );
}
