import { LIMIT, within } from "../within.ts";

/** A message of the relay. */
export interface RelayMessage {
  /** Its type. */
  readonly type: string;
  /** Anything else. */
  readonly [name: string]: unknown;
}

/** The runtime's own WebSocket, whose messages a test asks for. */
export class MessageSocket implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #messages: RelayMessage[] = [];
  readonly #closed: Promise<CloseEvent>;
  #wake = (): void => {};
  #isClosed = false;

  /** Connects. */
  constructor(url: string) {
    this.#socket = new WebSocket(url.replace("http", "ws"), ["rivulet.v1"]);
    this.#socket.addEventListener("message", ({ data }) => {
      this.#messages.push(JSON.parse(data));
      this.#wake();
    });
    this.#closed = new Promise((resolve) => {
      this.#socket.addEventListener("close", (event) => {
        this.#isClosed = true;
        this.#wake();
        resolve(event);
      });
    });
  }

  /** Waits for the next message of a type; drops those before it. */
  async next(type: string): Promise<RelayMessage> {
    for (;;) {
      const message = this.#messages.shift();
      if (message?.type === type) return message;
      if (message) continue;
      if (this.#isClosed) throw new Error(`Closed before '${type}' came`);
      const woken = new Promise<void>((resolve) => this.#wake = resolve);
      await within(woken, LIMIT, `the message '${type}'`);
    }
  }

  /** Sends a message. */
  send(message: Readonly<Record<string, unknown>> | string): void {
    this.#socket.send(
      typeof message === "string" ? message : JSON.stringify(message),
    );
  }

  /** Waits until it is closed; returns the code and the reason. */
  async closed(): Promise<[code: number, reason: string]> {
    const { code, reason } = await within(this.#closed, LIMIT, "the close");
    return [code, reason];
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#closed;
  }
}
