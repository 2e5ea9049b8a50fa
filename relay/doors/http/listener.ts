import {
  createConnection,
  type ListenOptions,
  type NetConnectOpts,
  Server,
  type Socket,
} from "node:net";
import { clearImmediate, setImmediate } from "node:timers";
import { getLogger } from "@logtape/logtape";
import { HAS_NET_SERVERS } from "../../runtime.ts";

/** A listener that has accepted nothing for this long is tried, in milliseconds. */
const INTERVAL = 2_000;

/** The time in which a connection of the relay's own has to be accepted, in milliseconds. */
const PATIENCE = 1_000;

/**
 * The parts in which that time passes, each of them a timer. A process that stood still
 * meanwhile has one part behind it, however late the timer was: it was not the
 * listener that did nothing.
 */
const PARTS = 10;

/** The parts that a connection has to be made in at all: by a runtime whose threads wait, too. */
const PARTS_TO_CONNECT = 10 * PARTS;

/**
 * The turns of the event loop in which it has to be accepted as well: a runtime that
 * always has something to do looks at its sockets in each 61st of them only. Relays on
 * a machine that was busy took themselves for deaf, and to listen again resets every
 * connection that waits to be accepted.
 */
const TURNS = 4 * 61;

/**
 * The number of connections that wait to be accepted while the relay is busy; the
 * kernel has a limit of its own (4,096 on Linux). Of 1,000 clients that connect at
 * once, the default of 511 makes half try again after a second.
 */
const BACKLOG = 4_096;

/**
 * Returns what a server is to listen with.
 *
 * @param options `reusePort`: whether other relays listen on the same port.
 */
export function listenOptions(
  { host, port, reusePort }: Pick<
    ListenerOptions,
    "host" | "port" | "reusePort"
  >,
): ListenOptions {
  return { host, port, backlog: BACKLOG, ...(reusePort && { reusePort }) };
}

/** The options of a listener. */
export interface ListenerOptions {
  /** The address to listen on. */
  readonly host: string;
  /** The port to listen on. */
  readonly port: number;
  /** Whether other relays listen on the same port. Default: no. */
  readonly reusePort?: boolean | undefined;
  /** The number of sockets from which on none is accepted. */
  readonly maxSockets: number;
  /**
   * The time without an accepted connection after which the listener is tried,
   * in milliseconds. Default: 2 s.
   */
  readonly interval?: number;
  /**
   * The time that the relay's own connection may take to be accepted, in
   * milliseconds. Default: 1 s.
   */
  readonly patience?: number;
  /** Connects to the listener. Default: over TCP, as a client does. */
  readonly connect?: (options: NetConnectOpts) => Socket;
}

const logger = getLogger(["rivulet", "relay", "http"]);

/** Returns the address at which a process reaches its own listener. */
function ownAddress(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

/**
 * Watches over a server that listens: whether it has room for more sockets, and
 * whether it accepts any.
 *
 * The runtime's server stops to accept, for good and without an error, once the
 * process has no free descriptor. So it does not listen while it is full; and if it
 * accepts nothing, it listens again. Where HTTP servers are not those of `node:net`, it
 * does neither: the runtime's own limits hold.
 *
 * Time is that of the system: with the clock of a test, which is moved by hand, no
 * connection would be accepted in time.
 */
export class Listener implements Disposable {
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #patience: number;
  readonly #interval: ReturnType<typeof setInterval> | undefined;
  readonly #onConnection = (socket: Socket): void => this.#count(socket);
  /** One for all sockets. */
  readonly #onClose = (): void => {
    this.#sockets--;
    if (this.#sockets === 0) this.#empty.resolve();
    this.#resume();
  };
  readonly #closing = new AbortController();
  readonly #empty = Promise.withResolvers<void>();
  #sockets = 0;
  #accepted = 0;
  #seen = 0;
  #acceptedAt = performance.now();
  #isTrying = false;
  #isPaused = false;

  /** Watches over a server that has begun to listen. */
  constructor(server: Server, options: ListenerOptions) {
    this.#server = server;
    this.#options = options;
    const { interval = INTERVAL, patience = PATIENCE } = options;
    this.#patience = patience;
    // Elsewhere a connection without a request would be taken for one that nobody accepts.
    if (!HAS_NET_SERVERS) return;
    server.on("connection", this.#onConnection);
    // Of several relays on one port, any may accept a connection of this one's own.
    if (options.reusePort) return;
    this.#interval = setInterval(() => void this.#look(), interval);
  }

  /** Stops listening; resolves when the last socket is closed. */
  async close(): Promise<void> {
    this[Symbol.dispose]();
    await new Promise<void>((resolve) => {
      // An error says that it was not listening.
      this.#server.close(() => resolve());
    });
    if (this.#sockets > 0) await this.#empty.promise;
    this.#server.off("connection", this.#onConnection);
  }

  /** Stops watching. */
  [Symbol.dispose](): void {
    clearInterval(this.#interval);
    this.#closing.abort();
  }

  #count(socket: Socket): void {
    this.#accepted++;
    this.#sockets++;
    socket.on("close", this.#onClose);
    this.#pause();
  }

  #pause(): void {
    if (this.#isPaused || this.#sockets < this.#options.maxSockets) return;
    this.#isPaused = true;
    logger.warn(
      "The relay has {sockets} connections and accepts no more until some are closed",
      { sockets: this.#sockets },
    );
    this.#stop();
  }

  #resume(): void {
    if (!this.#isPaused || this.#sockets >= this.#options.maxSockets) return;
    this.#isPaused = false;
    this.#listen();
  }

  /** Ends the listener, and no connection: the server's own `close` ends those that are idle. */
  #stop(): void {
    Server.prototype.close.call(this.#server);
  }

  #listen(): void {
    if (this.#closing.signal.aborted) return;
    const server = this.#server;
    const onError = ({ message }: Error): void => {
      // It is tried again when nothing is accepted.
      logger.error("The relay cannot listen again: {message}", { message });
    };
    server.once("error", onError);
    server.listen(
      listenOptions(this.#options),
      () => server.off("error", onError),
    );
  }

  async #look(): Promise<void> {
    const isBusy = this.#accepted > this.#seen;
    this.#seen = this.#accepted;
    if (isBusy) this.#acceptedAt = performance.now();
    if (isBusy || this.#isTrying || this.#isPaused) return;
    const since = this.#acceptedAt;
    this.#isTrying = true;
    const accepts = await this.#accepts();
    this.#isTrying = false;
    if (accepts || this.#isPaused || this.#closing.signal.aborted) return;
    logger.error(
      "The relay accepted no connection for {seconds} s, not even its own: it listens again. Raise the limit of file descriptors, or lower --max-connections",
      { seconds: Math.round((performance.now() - since) / 1_000) },
    );
    this.#stop();
    this.#listen();
  }

  /** Connects; returns whether that, or any other connection, is accepted. */
  #accepts(): Promise<boolean> {
    const { host, port, connect = createConnection } = this.#options;
    const server = this.#server;
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      const socket = connect({ host: ownAddress(host), port });
      let left = PARTS_TO_CONNECT;
      const hurry = (): void => {
        left = Math.min(left, PARTS);
      };
      const settle = (accepts: boolean): void => {
        clearTimeout(timer);
        clearImmediate(turn);
        signal.removeEventListener("abort", accept);
        server.off("connection", accept);
        socket.destroy();
        resolve(accepts);
      };
      const accept = (): void => settle(true);
      let turn: ReturnType<typeof setImmediate> | undefined;
      const wait = (turns: number): void => {
        if (turns === 0) return settle(false);
        turn = setImmediate(() => wait(turns - 1));
      };
      const pass = () =>
        setTimeout(() => {
          left--;
          if (left > 0) timer = pass();
          else wait(TURNS);
        }, this.#patience / PARTS);
      let timer = pass();
      signal.addEventListener("abort", accept);
      server.on("connection", accept);
      socket.on("connect", hurry);
      socket.on("error", ({ message }) => {
        hurry();
        logger.debug("Cannot connect to the relay itself: {message}", {
          message,
        });
      });
      if (signal.aborted) accept();
    });
  }
}
