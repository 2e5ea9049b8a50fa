/**
 * Opens and closes many connections again and again, and sees what the relay, in a
 * process of its own, keeps of them:
 * `deno run -A tests/chaos/connections.ts --connections 10000 --rounds 10`.
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { parseArgs } from "node:util";
import {
  closePayload,
  makeFrame,
  OPCODE,
} from "../support/subscribers/raw_websocket.ts";
import { upgradeRequest } from "../support/http/upgrade_request.ts";
import { RelayProcess } from "../support/relay/relay_process.ts";
import { until, within } from "../support/within.ts";

/** The number of connections, and of rounds. */
export interface ConnectionsOptions {
  /** At a time. */
  readonly connections: number;
  readonly rounds: number;
  /** Called after each round. */
  readonly onRound?: (round: number, memory: Deno.MemoryUsage) => void;
}

/** The relay's memory in bytes, without garbage. */
export interface ConnectionsResult {
  /** Before there was any connection. */
  readonly idle: Deno.MemoryUsage;
  /** While all were open, in the last round. */
  readonly open: Deno.MemoryUsage;
  /** After each round, with none open. */
  readonly after: readonly Deno.MemoryUsage[];
}

const LIMIT = 60_000;

/**
 * The number of connections opened at a time: the system keeps no longer a
 * queue than this.
 */
const AT_ONCE = 100;

/** A request at every door, and in every mode, in turn. */
const REQUESTS: readonly (readonly [path: string, request: string])[] = [
  ...[
    "/topics/news",
    "/topics/news?mode=merge&window=1000",
    "/topics/news?mode=latest&snapshot=true",
    "/ws",
  ].map((path) => [path, upgradeRequest(path)] as const),
  [
    "/topics/news",
    "GET /topics/news HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
  ],
];

/** The subscription to send at the door to many topics. */
const SUBSCRIBE = makeFrame(
  OPCODE.text,
  '{"type":"subscribe","topic":"news","window":1000}',
);

/** Opens one; resolves once something has come. */
async function open(port: number, index: number): Promise<Socket> {
  const [path, request] = REQUESTS[index % REQUESTS.length]!; // there are some
  const socket = connect(port, "127.0.0.1");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on("error", reject);
  socket.once("connect", () => {
    socket.write(request);
  });
  socket.once("data", (data: Uint8Array) => {
    const status = new TextDecoder().decode(data.subarray(9, 12));
    if (status !== "101" && status !== "200") reject(new Error(status));
    if (path === "/ws") socket.write(SUBSCRIBE);
    resolve();
  });
  await within(promise, LIMIT, `an answer to ${path}`);
  socket.removeListener("error", reject);
  socket.on("error", () => {});
  socket.resume();
  return socket;
}

/** Closes one, in one of the ways there are. */
function close(socket: Socket, index: number): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.on("close", resolve));
  switch (index % 3) {
    case 0:
      socket.resetAndDestroy();
      break;
    case 1:
      socket.end();
      break;
    default:
      socket.end(makeFrame(OPCODE.close, closePayload(1000)));
  }
  return within(closed, LIMIT, "a connection to be closed");
}

/** Runs it. */
export async function openAndClose(
  { connections, rounds, onRound }: ConnectionsOptions,
): Promise<ConnectionsResult> {
  await using relay = await RelayProcess.start({
    // Nobody here answers a ping.
    delivery: {
      heartbeat: 3_600_000,
    },
    // All come from here, and those that ask how it goes.
    limits: {
      maxConnections: connections + AT_ONCE,
      maxConnectionsPerAddress: connections + AT_ONCE,
    },
  });
  const port = Number(new URL(relay.url).port);
  const publish = async (): Promise<void> => {
    const response = await fetch(`${relay.url}/topics/news`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify([{ data: "a" }, { data: "b" }]),
    });
    await response.body?.cancel();
  };
  const followers = (count: number): Promise<true> =>
    until(
      async () => {
        const response = await fetch(`${relay.url}/topics`);
        const { topics } = await response.json();
        return topics[0].subscribers === count || undefined;
      },
      LIMIT,
      `${count} subscribers`,
    );
  await publish();
  const idle = await relay.memory();
  const after: Deno.MemoryUsage[] = [];
  let atMost = idle;
  for (let round = 1; round <= rounds; round++) {
    const sockets: Socket[] = [];
    while (sockets.length < connections) {
      const count = Math.min(AT_ONCE, connections - sockets.length);
      const from = sockets.length;
      sockets.push(
        ...await Promise.all(
          Array.from({ length: count }, (_, index) => open(port, from + index)),
        ),
      );
    }
    await followers(connections);
    await publish();
    if (round === rounds) atMost = await relay.memory();
    await Promise.all(sockets.map(close));
    await followers(0);
    const memory = await relay.memory();
    after.push(memory);
    onRound?.(round, memory);
  }
  return { idle, open: atMost, after };
}

/**
 * Returns the number of files that a process may have open: each connection is
 * one.
 */
async function fileLimit(): Promise<number> {
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", "ulimit -n"],
  }).output();
  const limit = Number(new TextDecoder().decode(stdout));
  return Number.isNaN(limit) ? Infinity : limit;
}

/** Files that a process has open besides. */
const OTHER_FILES = 200;

/** Runs this again where more files may be open; false where that is not allowed. */
async function runWithMoreFiles(files: number): Promise<boolean> {
  const again = ["run", "-A", import.meta.filename!, ...Deno.args]; // it is a file
  const { code } = await new Deno.Command("sh", {
    args: [
      "-c",
      `ulimit -n ${files} 2>/dev/null || exit 9; exec "$0" "$@"`,
      Deno.execPath(),
      ...again,
    ],
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (code !== 0 && code !== 9) Deno.exit(code);
  return code === 0;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      connections: { type: "string", default: "10000" },
      rounds: { type: "string", default: "10" },
    },
  });
  const wanted = Number(values.connections);
  const limit = await fileLimit();
  const isEnough = wanted + OTHER_FILES <= limit;
  if (isEnough || !await runWithMoreFiles(wanted + OTHER_FILES)) {
    const connections = Math.min(wanted, limit - OTHER_FILES);
    if (!isEnough) {
      console.log(`Only ${connections}: ${limit} files are allowed`);
    }
    const mib = (bytes: number): string =>
      `${(bytes / 2 ** 20).toFixed(1)} MiB`;
    const { idle, open } = await openAndClose({
      connections,
      rounds: Number(values.rounds),
      onRound: (round, { rss, heapUsed, external }) =>
        console.log(
          `round ${round}: ${mib(rss)}, ${mib(heapUsed + external)} live`,
        ),
    });
    console.log(
      `${connections} connections; none: ${mib(idle.rss)}, all: ${
        mib(open.rss)
      }`,
    );
  }
}
