import type { Duplex } from "node:stream";

/**
 * The interval at which heads are looked at, in milliseconds: a head is given up at the
 * second look after its time.
 */
const INTERVAL = 500;

/** The rules for heads that do not come. */
export interface AwaitedHeadsOptions {
  /** The longest time for a head, in milliseconds; it may take up to a second more. */
  readonly headTimeout: number;
  /** Whether bytes of a connection have come that wait to be parsed. */
  isHeld(socket: Duplex): boolean;
  /** Called when the time of a head is over. It is awaited no more. */
  onTimeout(socket: Duplex): void;
}

/** A head that is awaited. */
interface Awaited {
  /** The time at which that began, in milliseconds. */
  readonly since: number;
  /** Whether its time was over when it was last looked at. */
  isLate: boolean;
}

/**
 * The connections on which the head of a request is to come.
 *
 * The server's own timeout refuses a head that has come in time, and that the relay has
 * not parsed yet: one that waits for its turn behind others, or that came while the
 * process had no processor. Here a head is given up only if the relay had the time to
 * read it.
 */
export class AwaitedHeads implements Disposable {
  readonly #options: AwaitedHeadsOptions;
  /** In the order in which they began. */
  readonly #awaited = new Map<Duplex, Awaited>();
  #interval: ReturnType<typeof setInterval> | undefined;

  /** Awaits nothing yet. */
  constructor(options: AwaitedHeadsOptions) {
    this.#options = options;
  }

  /** Begins to look after heads. */
  start(): void {
    this.#interval ??= setInterval(() => this.#look(), INTERVAL);
  }

  /** Awaits a head from now on, unless it is awaited already. */
  begin(socket: Duplex): void {
    if (this.#interval === undefined || this.#awaited.has(socket)) return;
    this.#awaited.set(socket, { since: performance.now(), isLate: false });
  }

  /** Awaits the head no more: it has come, or its connection has gone. */
  end(socket: Duplex): void {
    this.#awaited.delete(socket);
  }

  /** Looks after nothing any more. */
  [Symbol.dispose](): void {
    clearInterval(this.#interval);
    this.#interval = undefined;
    this.#awaited.clear();
  }

  #look(): void {
    const { headTimeout, isHeld, onTimeout } = this.#options;
    const now = performance.now();
    for (const [socket, awaited] of this.#awaited) {
      if (now - awaited.since < headTimeout) return;
      if (isHeld(socket)) continue;
      if (awaited.isLate) {
        this.#awaited.delete(socket);
        onTimeout(socket);
      }
      awaited.isLate = true;
    }
  }
}
