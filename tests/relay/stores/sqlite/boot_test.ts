import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../../src/fetch/clock.ts";
import {
  findBoot,
  formatBoot,
  isSameBoot,
} from "../../../../relay/stores/sqlite/boot.ts";

Deno.test("findBoot finds the same start of the machine again", () => {
  const boot = findBoot(systemClock);
  assert(boot, "all permissions are given");
  assert(isSameBoot(formatBoot(boot), findBoot(systemClock)));
});

Deno.test("isSameBoot tells starts of a machine from each other", () => {
  const first = { kind: "id", id: "a" } as const;
  const other = { kind: "id", id: "b" } as const;
  const early = { kind: "time", startedAt: 1_000_000 } as const;
  const corrected = { kind: "time", startedAt: 1_001_500 } as const;
  const late = { kind: "time", startedAt: 1_010_000 } as const;
  const cases = [
    [first, first, true],
    [first, other, false],
    [early, corrected, true],
    [early, late, false],
    [late, early, false],
    // Starts that are unknown, or known in different ways, are not the same.
    [first, early, false],
    [early, first, false],
    [undefined, first, false],
    [first, undefined, false],
    [undefined, undefined, false],
  ] as const;
  for (const [before, now, expected] of cases) {
    assertEquals(
      isSameBoot(formatBoot(before), now),
      expected,
      Deno.inspect([before, now]),
    );
  }
});
