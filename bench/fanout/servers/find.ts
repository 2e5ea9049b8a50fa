import { bare, bun, deno, ws } from "./javascript.ts";
import { nchan } from "./nchan.ts";
import type { Options } from "../options.ts";
import { redis } from "./redis.ts";
import { relay, securedRelay } from "./relay.ts";
import type { Missing, Server, ServerName } from "./server.ts";

/**
 * Looks for a server, and makes it ready to be started.
 *
 * @param name Which one.
 * @param folder A folder of its own, for what it needs there.
 * @param options Which relay, and how it is started.
 */
export async function findServer(
  name: ServerName,
  folder: string,
  { relay: module, v8Flags }: Pick<Options, "relay" | "v8Flags">,
): Promise<Server | Missing> {
  await Deno.mkdir(folder);
  switch (name) {
    case "relay":
      return relay(module, v8Flags);
    case "secured":
      return securedRelay(v8Flags);
    case "bare":
      return bare(v8Flags);
    case "ws":
      return ws(folder);
    case "deno":
      return deno();
    case "bun":
      return bun(folder);
    case "nchan":
      return nchan(folder);
    case "redis":
      return redis(folder);
  }
}
