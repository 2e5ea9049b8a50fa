import {
  freePort,
  startAndWait,
  versionOf,
} from "../fanout/servers/program.ts";
import type { Missing } from "../fanout/servers/server.ts";
import type { Proxy } from "./proxy.ts";

/** One thread, which does not log, and keeps its connections. */
function configuration(port: number, upstream: number): string {
  return `
global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  option http-no-delay
  http-reuse always
frontend callers
  bind 127.0.0.1:${port} backlog 4096
  default_backend provider
backend provider
  server provider 127.0.0.1:${upstream}
`;
}

/** Looks for haproxy, as a plain proxy. */
export async function haproxy(folder: string): Promise<Proxy | Missing> {
  const name = "haproxy";
  const version = await versionOf("haproxy", ["-v"], /version ([0-9.]+)/);
  if (!version) return { name, why: "apt-get install haproxy" };
  return {
    name,
    title: `haproxy ${version}`,
    start: async ({ core, upstream }) => {
      const port = freePort();
      await Deno.mkdir(folder, { recursive: true });
      const file = `${folder}/haproxy.cfg`;
      await Deno.writeTextFile(file, configuration(port, upstream));
      return startAndWait(["haproxy", "-db", "-f", file], { core }, port);
    },
  };
}
