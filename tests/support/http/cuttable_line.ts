/**
 * A TCP connection to a server that a test can cut and mend, and that may be slow.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { Transform } from "node:stream";

/** Passes on what it is given, each part so many milliseconds later. */
function delayed(milliseconds: number): Transform {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return new Transform({
    transform(part, _encoding, passOn) {
      timer = setTimeout(() => passOn(null, part), milliseconds);
    },
    destroy(error, isDestroyed) {
      clearTimeout(timer);
      isDestroyed(error);
    },
  });
}

/** Passes connections on to a port; while it is cut, it closes them. */
export class CuttableLine implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(port: number, delay: number) {
    this.#server = createServer((socket) => {
      if (this.#isCut) return void socket.resetAndDestroy();
      const other = connect(port, "127.0.0.1");
      for (
        const [one, another] of [[socket, other], [other, socket]] as const
      ) {
        this.#sockets.add(one);
        const way = delay > 0 ? one.pipe(delayed(delay)) : one;
        way.pipe(another);
        one.on("error", () => {});
        one.on("close", () => {
          this.#sockets.delete(one);
          if (way !== one) way.destroy();
          another.destroy();
        });
      }
    });
  }

  /**
   * Starts a line to a port of the loopback interface.
   *
   * @param delay The time that each part takes, in milliseconds. Default: none.
   */
  static async start(port: number, delay = 0): Promise<CuttableLine> {
    const line = new CuttableLine(port, delay);
    await new Promise<void>((resolve) =>
      line.#server.listen(0, "127.0.0.1", resolve)
    );
    return line;
  }

  /** The origin of the server, over this line. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://127.0.0.1:${port}`;
  }

  /** Resets all connections, and those to come. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Lets connections through again. */
  mend(): void {
    this.#isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
