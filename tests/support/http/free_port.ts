/**
 * A port for a server that cannot choose one itself and say which.
 *
 * @module
 */

/** Returns a port that is free now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
