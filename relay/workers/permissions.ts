import type { CommandOptions } from "../options/schema.ts";
import type { HandedPermissions } from "../runtime.ts";

/** The files that tell a worker how much it may use. */
const OF_SYSTEM = ["/proc/self/limits"];

/** Variables that modules read. */
const VARIABLES = [
  "WS_NO_BUFFER_UTIL",
  ...["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap((name) => [
    name,
    name.toLowerCase(),
  ]),
];

/**
 * Lists what a worker has to be allowed, where Deno asks for that.
 *
 * @param port The port that it listens on.
 * @param socket The path of the socket that the store is behind.
 */
export function permissionsOfWorker(
  options: CommandOptions,
  port: number,
  socket: string,
): HandedPermissions {
  const { host, sources, chats, fixtures, gateway, rights } = options;
  const urls = [...sources, ...gateway.providers, ...chats].map(({ url }) =>
    url
  );
  if (rights.jwks !== undefined) urls.push(rights.jwks);
  const record = gateway.record === undefined ? [] : [gateway.record];
  return {
    net: [`${host}:${port}`, ...urls.map(hostOf)],
    read: [
      socket,
      ...OF_SYSTEM,
      ...fixtures.map(({ path }) => path),
      ...record,
    ],
    write: [socket, ...record],
    env: VARIABLES,
  };
}

/** Returns the host of a URL with its port. */
function hostOf(url: string): string {
  const { protocol, hostname, port } = new URL(url);
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}
