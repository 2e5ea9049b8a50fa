import type { Server } from "node:http";
import { RELINKS_REQUESTS } from "../../runtime.ts";

/** The connections of a server, as `node:http` of Deno has them. */
interface ConnectionsList {
  pushActive(socket: unknown): void;
}

function isConnectionsList(value: unknown): value is ConnectionsList {
  return typeof value === "object" && value !== null &&
    "_active" in value && "pushActive" in value &&
    typeof value.pushActive === "function";
}

/**
 * Has a server keep no table of the requests under way.
 *
 * `node:http` of Deno 2.9.6 adds an entry to a `Map` for each request, and takes it out
 * at the end. So the tables of the `Map` link all requests, as `relay/members.ts` says:
 * a bare proxy moved 7 KB of each short request to the old objects, and spent a third
 * of its time on that. The entries serve `headersTimeout` and `requestTimeout`, both of
 * which the relay has off.
 *
 * @param server A server that listens.
 */
export function keepNoEntries(server: Server): void {
  if (!RELINKS_REQUESTS) return;
  for (const symbol of Object.getOwnPropertySymbols(server)) {
    const list: unknown = Reflect.get(server, symbol);
    if (isConnectionsList(list)) list.pushActive = () => {};
  }
}
