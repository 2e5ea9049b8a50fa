import { FULL_ACCESS } from "./access.ts";
import type { Authority } from "./authority.ts";

/**
 * The authority of a relay without a key. What a caller has for a token is
 * nobody's concern there: it may belong to a provider.
 */
export const OPEN_AUTHORITY: Authority = { authorize: () => FULL_ACCESS };
