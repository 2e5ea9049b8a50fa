/**
 * A port for a server that cannot choose one itself and say which, or that is to be
 * started again at the same one.
 *
 * @module
 */

/**
 * The ports that are tried: systems take others for connections that go out, which could
 * have the port of a server that is away for a moment.
 */
const PORTS = { from: 16_000, count: 16_000 };

/** The ports that were returned: their servers may not listen yet. */
const given = new Set<number>();

/** Returns a port that is free now, and another each time. */
export function freePort(): number {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count);
    if (given.has(port)) continue;
    try {
      using _listener = Deno.listen({ hostname: "127.0.0.1", port });
      given.add(port);
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
