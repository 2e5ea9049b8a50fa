/**
 * The moment from which on a server that was started takes connections.
 *
 * @module
 */
import { LIMIT, until } from "../within.ts";

/**
 * Waits until something listens on a port.
 *
 * @param port The port.
 * @param process The process that is to listen.
 * @param stderr The errors of the process, for one that ends before it listens.
 * @param name The name of the server, for the error.
 * @param hostname The address. Default: loopback.
 */
export async function untilListening(
  port: number,
  process: Deno.ChildProcess,
  stderr: Promise<string>,
  name: string,
  hostname = "127.0.0.1",
): Promise<void> {
  let hasEnded = false;
  void process.status.then(() => hasEnded = true);
  await until(
    async () => {
      if (hasEnded) throw new Error(await stderr);
      try {
        (await Deno.connect({ hostname, port })).close();
        return true;
      } catch {
        return undefined;
      }
    },
    LIMIT,
    name,
  );
}
