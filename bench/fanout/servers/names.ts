/** The names of the servers that can be compared. */
export const SERVER_NAMES = [
  "relay",
  "secured",
  "ws",
  "deno",
  "bun",
  "nchan",
  "redis",
] as const;

/** The name of a server. */
export type ServerName = typeof SERVER_NAMES[number];
