import type { Attributes } from "@opentelemetry/api";

/** Names a server as OpenTelemetry does; of its URL nothing else, which may have a key in it. */
export function serverAttributes(url: string | URL): Attributes {
  const { hostname, port, protocol } = new URL(url);
  return {
    "server.address": hostname,
    "server.port": Number(port) || (protocol === "https:" ? 443 : 80),
  };
}
