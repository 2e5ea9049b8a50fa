/**
 * A caller that writes every byte of its request itself.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { LIMIT, within } from "../within.ts";

/** One connection to the relay. */
export class RawCaller implements Disposable {
  readonly #socket: Socket;
  readonly #parts: Uint8Array[] = [];
  #length = 0;
  #wake = Promise.withResolvers<void>();
  #isClosed = false;
  #unsent = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Uint8Array) => {
      this.#parts.push(bytes);
      this.#length += bytes.length;
      this.#wake.resolve();
    });
    socket.on("error", () => {}); // `close` follows
    socket.on("close", () => {
      this.#isClosed = true;
      this.#wake.resolve();
    });
  }

  /** Connects. */
  static async open(port: number): Promise<RawCaller> {
    const socket = connect(port, "127.0.0.1");
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new RawCaller(socket);
  }

  /** Sends the head of a request. */
  head(
    method: string,
    target: string,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    const lines = Object.entries({ host: "localhost", ...headers })
      .map(([name, value]) => `${name}: ${value}\r\n`);
    this.send(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`);
  }

  /** Sends bytes, or takes note that there are more than are taken. */
  send(data: string | Uint8Array): void {
    const bytes = Buffer.from(data);
    this.#unsent += bytes.length;
    this.#socket.write(bytes, () => this.#unsent -= bytes.length);
  }

  /** The number of bytes that nobody has taken yet. */
  get unsent(): number {
    return this.#unsent;
  }

  /** Reads nothing, or goes on. */
  pause(isPaused: boolean): void {
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  /** Waits until this was received. */
  async see(text: string): Promise<string> {
    while (!this.text.includes(text)) await this.#more();
    return this.text;
  }

  /** The received bytes, each as a character. */
  get text(): string {
    return this.#bytes.toString("latin1");
  }

  /** Waits until there are this many bytes. */
  async reach(length: number): Promise<Uint8Array> {
    while (this.#length < length) await this.#more();
    return this.#bytes;
  }

  get #bytes(): Buffer {
    const bytes = Buffer.concat(this.#parts);
    this.#parts.splice(0, Infinity, bytes);
    return bytes;
  }

  /** Waits until the relay has closed the connection; returns what came. */
  async closed(): Promise<string> {
    while (!this.#isClosed) await this.#more();
    return this.text;
  }

  async #more(): Promise<void> {
    if (this.#isClosed) {
      throw new Error(`The relay has closed the connection: ${this.text}`);
    }
    this.#wake = Promise.withResolvers();
    await within(this.#wake.promise, LIMIT, () => `more of ${this.text}`);
  }

  /** Cuts the connection. */
  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
