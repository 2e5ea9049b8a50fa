import { startAndHear } from "../fanout/servers/program.ts";
import type { Proxy } from "./proxy.ts";

/**
 * A proxy of the bare runtime, without a relay.
 *
 * @param flags Flags of `deno run`.
 */
export function bare(flags: readonly string[]): Proxy {
  const { pathname } = new URL("bare_proxy.ts", import.meta.url);
  return {
    name: "bare",
    title: `a bare proxy of node:http (Deno ${Deno.version.deno}${
      flags.map((flag) => `, ${flag}`).join("")
    })`,
    start: ({ core, upstream }) =>
      startAndHear(
        [Deno.execPath(), "run", "-A", ...flags, pathname]
          .concat("--provider", `http://127.0.0.1:${upstream}`),
        { core },
        / on http:\/\/\S+:([0-9]+)$/,
      ),
  };
}
