import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";
import type { Store } from "../topics/store.ts";
import type { Sources } from "../sources/sources.ts";

/** Returns why the relay is not ready, while an upstream of the operator's is away. */
export function sourcesAway(
  { away, operated }: Pick<Sources, "away" | "operated">,
): Problem | undefined {
  return away === 0 ? undefined : new Problem(
    STATUS_CODE.ServiceUnavailable,
    "source_unavailable",
    `${away} of ${operated} sources cannot be read at the moment: the log says why`,
    {},
    { "Retry-After": "1" },
  );
}

/** Returns why the relay is not ready, while its store keeps nothing. */
export function storeFailed(
  { failure }: Pick<Store, "failure">,
): Problem | undefined {
  return failure && new Problem(
    STATUS_CODE.ServiceUnavailable,
    failure.code,
    failure.message,
    { failure: failure.failure },
    { "Retry-After": "1" },
  );
}
