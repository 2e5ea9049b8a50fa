import { z } from "zod";
import { RefusedError, type RelayAccess } from "./relay_access.ts";

/**
 * The answer of `GET /status`, as far as the commands show it (PROTOCOL.md,
 * section 4).
 */
const status = z.looseObject({
  version: z.string(),
  uptime: z.number(),
  store: z.looseObject({ kind: z.string() }),
  draining: z.looseObject({ left: z.number() }).optional(),
  problem: z.looseObject({ code: z.string() }).optional(),
  refusals: z.record(z.string(), z.number()),
});

/** The state of a relay at one time. */
export type SampledStatus = z.infer<typeof status>;

/** The statuses of a relay that does not let one see it, and of one that has none. */
const WITHOUT: readonly number[] = [401, 403, 404];

/**
 * Asks for something that needs the right admin.
 *
 * @param path The path without a slash in front.
 * @returns The answer; `undefined` if one may not have it, or there is no such thing.
 */
export async function ifAllowed(
  relay: RelayAccess,
  path: string,
): Promise<Response | undefined> {
  try {
    return await relay.request(path);
  } catch (error) {
    const isMissing = error instanceof RefusedError &&
      WITHOUT.includes(error.status);
    if (isMissing) return undefined;
    throw error;
  }
}

/** Asks a relay how it is; `undefined` if it does not say so. */
export async function statusOf(
  relay: RelayAccess,
): Promise<SampledStatus | undefined> {
  const response = await ifAllowed(relay, "status");
  return response && status.parse(await response.json());
}
