import { TOPIC } from "../event.ts";
import { KEY, TOKEN } from "../token.ts";
import { startAndHear } from "./program.ts";
import type { Launch, RunningServer, Server } from "./server.ts";

/** As `deno task relay` is started, and as one is that has one core to itself. */
export const V8_FLAGS = "--max-semi-space-size=8,--single-threaded-gc";

/** The time between two scrapes of the secured relay, in milliseconds. */
const SCRAPE_INTERVAL = 1_000;

/** In the environment, where a relay of before does not see it: all clients are of one address. */
const LIMITS = [
  "RIVULET_MAX_CONNECTIONS=65536",
  "RIVULET_MAX_CONNECTIONS_PER_ADDRESS=65536",
  "RIVULET_MAX_UPSTREAMS=65536",
  "RIVULET_MAX_UPSTREAMS_PER_CLIENT=65536",
  "RIVULET_MAX_PUBLISH_RATE=10000000",
  "RIVULET_MAX_BODY_CHUNK_RATE=10000000",
];

/** Everything that there is to keep others out, and to see what is done. */
const SECURED = [
  ["--jwt-key", KEY],
  ["--jwt-audience", "bench"],
  ["--origin", "https://*.example.com"],
  ["--trusted-proxy", "192.0.2.0/24"],
  ["--log-level", "info"],
  ["--log-format", "json"],
  ["--slow-timeout", "60s"],
].flat();

/** Returns the flags of `deno run` for flags of V8; "" for none. */
export function flagsOf(v8Flags: string): string[] {
  return v8Flags === "" ? [] : [`--v8-flags=${v8Flags}`];
}

/**
 * Starts a relay on a port that is free.
 *
 * @param module Its main module: a path from the root of the repository.
 * @param v8Flags Flags of V8 that Deno is started with; "" for none.
 * @param options What the relay is told on its command line besides.
 */
export function startRelay(
  module: string,
  v8Flags: string,
  launch: Pick<Launch, "core">,
  options: readonly string[],
): Promise<RunningServer> {
  const path = new URL(module, new URL("../../../", import.meta.url)).pathname;
  return startAndHear(
    ["env", ...LIMITS, Deno.execPath(), "run", "-A", ...flagsOf(v8Flags), path]
      .concat("--port", "0", options),
    launch,
    / on http:\/\/\S+:([0-9]+)$/,
  );
}

function start(
  module: string,
  v8Flags: string,
  launch: Launch,
  options: readonly string[] = [],
): Promise<RunningServer> {
  const source = `${TOPIC}=${launch.upstream}`;
  return startRelay(module, v8Flags, launch, ["--source", source, ...options]);
}

function titleOf(name: string, v8Flags: string): string {
  return `${name} (Deno ${Deno.version.deno}${
    flagsOf(v8Flags).map((flag) => `, ${flag}`)
  })`;
}

/**
 * The relay.
 *
 * @param module Its main module: a path from the root of the repository.
 * @param v8Flags Flags of V8 that Deno is started with; "" for none.
 */
export function relay(module: string, v8Flags: string): Server {
  return {
    name: "relay",
    title: titleOf("Rivulet relay", v8Flags),
    protocol: "relay",
    feed: "sse",
    start: (launch) => start(module, v8Flags, launch),
  };
}

/**
 * The relay with everything on: it asks for tokens, has a list of origins, counts
 * and logs what it does, and is asked for its figures every second.
 *
 * @param v8Flags Flags of V8 that Deno is started with; "" for none.
 */
export function securedRelay(v8Flags: string): Server {
  return {
    name: "secured",
    title: titleOf("Rivulet relay, with everything on", v8Flags),
    protocol: "secured",
    feed: "sse",
    start: async (launch) => {
      const running = await start("relay/main.ts", v8Flags, launch, SECURED);
      const url = `http://127.0.0.1:${running.port}/metrics`;
      const headers = { Authorization: `Bearer ${TOKEN}` };
      const scraping = setInterval(async () => {
        try {
          await (await fetch(url, { headers })).text();
        } catch {
          clearInterval(scraping); // it has been stopped
        }
      }, SCRAPE_INTERVAL);
      return {
        ...running,
        [Symbol.asyncDispose]: () => {
          clearInterval(scraping);
          return running[Symbol.asyncDispose]();
        },
      };
    },
  };
}
