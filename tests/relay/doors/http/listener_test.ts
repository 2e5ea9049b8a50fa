// The watch over a server that listens (field.md A6).
import {
  type AddressInfo,
  connect,
  createServer,
  type Server,
  Socket,
} from "node:net";
import { setImmediate } from "node:timers/promises";
import { assertEquals } from "@std/assert";
import {
  Listener,
  type ListenerOptions,
} from "../../../../relay/doors/http/listener.ts";

/** The turns in one of which the runtime looks at its sockets. */
const LOOK = 61;

/**
 * The time between turns that take a while, in milliseconds, and the time that
 * the watch waits.
 */
const TURN = 5;
const WAIT = 10 * TURN;

/** A server that listens, and is watched by somebody without patience. */
class WatchedServer implements AsyncDisposable {
  readonly server: Server;
  readonly listener: Listener;
  /** The number of times that it has listened again. */
  again = 0;
  readonly #sockets = new Set<Socket>();

  constructor(server: Server, options: Partial<ListenerOptions>) {
    this.server = server;
    server.on("listening", () => this.again++);
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
      socket.resume().end("hello");
    });
    this.listener = new Listener(server, {
      host: "127.0.0.1",
      port: this.port,
      maxSockets: 100,
      interval: WAIT,
      patience: WAIT,
      ...options,
    });
  }

  static async start(
    options: Partial<ListenerOptions> = {},
  ): Promise<WatchedServer> {
    const server = createServer();
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", resolve)
    );
    return new WatchedServer(server, options);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port; // it listens on TCP
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.listener.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** Connects, and returns what comes of that: what was said, or an error. */
function call(port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("data", (data) => text += data);
    socket.on("error", ({ message }) => text += message);
    socket.on("close", () => resolve(text));
  });
}

function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

Deno.test("A6: a listener that is too busy to look at its sockets does not listen again", async () => {
  await using watched = await WatchedServer.start();
  const calls = [call(watched.port), call(watched.port)];
  // A connection of its own takes several times its patience.
  for (let turn = 0; turn < 4 * LOOK; turn++) {
    block(TURN);
    await setImmediate();
    if (turn % LOOK === 0) calls.push(call(watched.port));
  }
  assertEquals(await Promise.all(calls), calls.map(() => "hello"));
  assertEquals(watched.again, 0);
});

Deno.test("A6: a listener whose own connection is made late does not listen again", async () => {
  const looks: Promise<void>[] = [];
  const looked = Promise.withResolvers<void>();
  await using watched = await WatchedServer.start({
    // A machine without a free processor connects after the listener's patience.
    connect(options) {
      const socket = new Socket();
      looks.push((async () => {
        const start = performance.now();
        while (performance.now() - start < 2 * WAIT) await setImmediate();
        // More turns than the listener waits for after its patience.
        for (let turn = 0; turn < 5 * LOOK; turn++) await setImmediate();
        if (!socket.destroyed) socket.connect(options);
        if (looks.length === 2) looked.resolve();
      })());
      return socket;
    },
  });
  await looked.promise;
  await Promise.all(looks);
  assertEquals(watched.again, 0);
});

Deno.test("A6: a listener does not count the time for which its process stands still", async () => {
  const accepted = Promise.withResolvers<void>();
  await using watched = await WatchedServer.start({
    connect(options) {
      const socket = new Socket();
      socket.emit("connect"); // the kernel has it, and the runtime will see it later
      void (async () => {
        for (let part = 0; part < 5; part++) {
          block(WAIT);
          await new Promise<void>((resolve) => setTimeout(resolve, 0));
        }
        if (!socket.destroyed) socket.connect(options);
      })();
      return socket;
    },
  });
  watched.server.once("connection", accepted.resolve);
  await accepted.promise;
  assertEquals(watched.again, 0);
});
