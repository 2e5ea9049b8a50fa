import { freePort, startAndWait, versionOf } from "./program.ts";
import type { Missing, Server } from "./server.ts";

/** Nothing is written to disk, and nobody is cut off for being slow. */
const SETTINGS = [
  ["--bind", "127.0.0.1"],
  ["--save", ""],
  ["--appendonly", "no"],
  ["--maxclients", "20000"],
  ["--tcp-backlog", "4096"],
  ["--client-output-buffer-limit", "pubsub 0 0 0"],
].flat();

/** Redis pub/sub: no WebSocket, but what many put behind theirs. */
export async function redis(folder: string): Promise<Server | Missing> {
  const name = "redis";
  const version = await versionOf(
    "redis-server",
    ["--version"],
    /v=([0-9.]+)/,
  );
  if (!version) return { name, why: "apt-get install redis-server" };
  return {
    name,
    title: `Redis ${version} pub/sub`,
    protocol: "redis",
    feed: "publishes",
    start: (launch) => {
      const port = freePort();
      const command = ["redis-server", "--port", `${port}`, "--dir", folder];
      return startAndWait([...command, ...SETTINGS], launch, port);
    },
  };
}
