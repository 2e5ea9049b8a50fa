/**
 * TCP between processes, which can be cut, or be silent as a network that loses
 * everything.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout } from "node:timers/promises";

/** Passes each connection on to one of some ports. */
export class Line implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #targets: () => readonly number[];
  readonly #closing = new AbortController();
  #isSilent = false;
  /** The time that everything takes each way, in milliseconds; it can be changed. */
  delay = 0;

  private constructor(targets: () => readonly number[]) {
    this.#targets = targets;
    this.#server = createServer((socket) => {
      this.#hold(socket);
      void this.#pass(socket, [...targets()]);
    });
  }

  /**
   * Starts a line.
   *
   * @param targets Returns the ports to try for a new connection, in this order.
   */
  static async start(targets: () => readonly number[]): Promise<Line> {
    const line = new Line(targets);
    await new Promise<void>((resolve) =>
      line.#server.listen(0, "127.0.0.1", () => resolve())
    );
    return line;
  }

  /** The port. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port; // it listens on TCP
  }

  /** Passes nothing on any more, and says nothing of that. */
  silence(): void {
    this.#isSilent = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Passes on what has gathered, and what comes. */
  speak(): void {
    this.#isSilent = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Waits some milliseconds, or until the line is gone. */
  async #wait(delay: number): Promise<void> {
    const { signal } = this.#closing;
    try {
      await setTimeout(delay, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    if (this.#isSilent) socket.pause();
  }

  async #pass(socket: Socket, targets: readonly number[]): Promise<void> {
    for (const port of targets) {
      const other = connect(port, "127.0.0.1");
      other.on("error", () => {});
      const isThere = await new Promise<boolean>((resolve) => {
        other.once("connect", () => resolve(true));
        other.once("close", () => resolve(false));
      });
      if (!isThere) continue;
      this.#hold(other);
      const ends = [[socket, other], [other, socket]] as const;
      for (const [one, another] of ends) {
        const pass = (data: Uint8Array): void => {
          if (!another.write(data)) one.pause();
        };
        // Chunks keep their order.
        let last = Promise.resolve();
        let isEmpty = true;
        one.on("data", (data) => {
          const { delay } = this;
          if (delay === 0 && isEmpty) return pass(data);
          isEmpty = false;
          const before = last;
          const own = last = Promise.all([
            before,
            this.#wait(delay),
          ]).then(() => {
            if (!another.destroyed) pass(data);
            if (last === own) isEmpty = true;
          });
        });
        another.on("drain", () => {
          if (!this.#isSilent) one.resume();
        });
        one.on("end", () => another.end());
        one.on("close", () => another.destroy());
        if (one.destroyed) another.destroy();
      }
      return;
    }
    socket.resetAndDestroy();
  }
}
