import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

/** A port that is kept for workers. */
export interface ReservedPort {
  /** The port. */
  readonly port: number;
  /** Lets it go, once a worker listens on it. */
  release(): Promise<void>;
}

async function listen(
  host: string,
  port: number,
  reusePort: boolean,
): Promise<ReservedPort> {
  // A client that is accepted here would wait for an answer until it gives up.
  const server = createServer((socket) => void socket.resetAndDestroy());
  server.listen({ host, port, ...(reusePort && { reusePort }) });
  await once(server, "listening");
  return {
    // It listens on TCP: the address is no pipe's name.
    port: (server.address() as AddressInfo).port,
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/**
 * Finds a port that nobody listens on, and keeps it from others than workers.
 *
 * A worker would share a port with any program of the same user that shares it too, such
 * as a second relay that was started by mistake. So the port is first asked for alone.
 *
 * @param host The address to listen on.
 * @param port The port; 0 for any that is free.
 * @returns Rejects with the system's error if the port is taken.
 */
export async function reservePort(
  host: string,
  port: number,
): Promise<ReservedPort> {
  const alone = await listen(host, port, false);
  await alone.release();
  return await listen(host, alone.port, true);
}
