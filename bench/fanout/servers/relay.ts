import { TOPIC } from "../event.ts";
import { startAndHear } from "./program.ts";
import type { Server } from "./server.ts";

/** As `deno task relay` is started, and as one is that has one core to itself. */
export const V8_FLAGS = "--max-semi-space-size=4,--single-threaded-gc";

/**
 * The relay.
 *
 * @param module Its main module: a path from the root of the repository.
 * @param v8Flags Flags of V8 that Deno is started with; "" for none.
 */
export function relay(module: string, v8Flags: string): Server {
  const flags = v8Flags === "" ? [] : [`--v8-flags=${v8Flags}`];
  const path = new URL(module, new URL("../../../", import.meta.url)).pathname;
  return {
    name: "relay",
    title: `Rivulet relay (Deno ${Deno.version.deno}${
      flags.map((flag) => `, ${flag}`)
    })`,
    protocol: "relay",
    feed: "sse",
    start: (launch) =>
      startAndHear(
        [Deno.execPath(), "run", "-A", ...flags, path]
          .concat("--port", "0", "--source", `${TOPIC}=${launch.upstream}`),
        launch,
        / on http:\/\/\S+:([0-9]+)$/,
      ),
  };
}
