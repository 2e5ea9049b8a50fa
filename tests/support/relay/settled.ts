import { setImmediate } from "node:timers/promises";
import { slices } from "../../../relay/slices.ts";

/** The rounds of the event loop that are quiet when nothing more is done. */
const ROUNDS = 1_000;

/**
 * Waits until a relay of this process, whose clients read nothing, has no more to
 * encode and to write: the kernel takes no more.
 */
export async function settled(): Promise<void> {
  for (let quiet = 0; quiet < ROUNDS; quiet++) {
    await setImmediate();
    if (slices.waiting > 0) quiet = 0;
  }
}
