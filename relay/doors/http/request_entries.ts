import type { Server } from "node:http";
import type { Socket } from "node:net";
import { RELINKS_REQUESTS } from "../../runtime.ts";

/** The last request of a connection, as `node:http` of Deno knows it. */
interface Entry {
  /** Whether its head is whole; otherwise the connection is closed in time. */
  headersCompleted: boolean;
  /** The time at which it began, of `performance.now`. */
  startTime: number;
  req: object | null;
}

/** The connections that `node:http` of Deno has in a server. */
interface ConnectionsList {
  readonly _active: Pick<Map<Socket, Entry>, "get">;
  pushActive(socket: Socket): void;
  popActive(socket: Socket): void;
  popActiveIfReq(socket: Socket, request: object): void;
}

function isConnectionsList(value: unknown): value is ConnectionsList {
  if (typeof value !== "object" || value === null) return false;
  const { _active, pushActive, popActive, popActiveIfReq } = value as Partial<
    ConnectionsList
  >; // looked at here
  return [_active?.get, pushActive, popActive, popActiveIfReq].every((method) =>
    typeof method === "function"
  );
}

/**
 * Has a server keep the entry of a connection until the connection is closed.
 *
 * `node:http` of Deno 2.9.6 adds an entry to a `Map` for each request, and takes it out
 * at the end. So the tables of the `Map` link all requests, as `relay/members.ts` says:
 * a bare proxy moved 7 KB of each short request to the old objects, and spent a third
 * of its time on that.
 *
 * @param server A server that listens.
 */
export function keepEntries(server: Server): void {
  if (!RELINKS_REQUESTS) return;
  for (const symbol of Object.getOwnPropertySymbols(server)) {
    const list: unknown = Reflect.get(server, symbol);
    if (isConnectionsList(list)) keepEntriesOf(list);
  }
}

function keepEntriesOf(list: ConnectionsList): void {
  const entries = list._active;
  const add = list.pushActive;
  list.pushActive = (socket) => {
    const entry = entries.get(socket);
    if (!entry) return add.call(list, socket);
    entry.headersCompleted = false;
    entry.startTime = performance.now();
    entry.req = null;
  };
  list.popActive = (socket) => rest(entries.get(socket));
  list.popActiveIfReq = (socket, request) => {
    const entry = entries.get(socket);
    if (entry?.req === request) rest(entry);
  };
}

/** Makes an entry one that no time limit holds for. */
function rest(entry: Entry | undefined): void {
  if (!entry) return;
  entry.headersCompleted = true;
  entry.startTime = Infinity;
  entry.req = null;
}
