/** The listener for the parts of an answer. */
export interface ResponseListener {
  /** The head has come. */
  onHead(): void;
  /** The data of an event, which has come whole. */
  onEvent(data: string): void;
  /** The answer is whole. */
  onEnd(): void;
}

/**
 * Reads the answers that come over a connection: event streams in chunks, whose
 * events have one line each.
 */
export class ResponseReader {
  readonly #listener: ResponseListener;
  #text = "";
  #hasHead = false;
  /** The event that is still to be ended. */
  #event = "";

  /** Makes a reader that waits for a head. */
  constructor(listener: ResponseListener) {
    this.#listener = listener;
  }

  /**
   * Takes what has come.
   *
   * @throws If it is no such answer.
   */
  push(text: string): void {
    this.#text += text;
    if (!this.#hasHead && !this.#takeHead()) return;
    for (;;) {
      const at = this.#text.indexOf("\r\n");
      if (at < 0) return;
      const length = parseInt(this.#text.slice(0, at), 16);
      const begin = at + 2;
      const end = begin + length + 2;
      if (Number.isNaN(length)) throw new Error(`Not a chunk: ${this.#text}`);
      if (this.#text.length < end) return;
      const body = this.#text.slice(begin, end - 2);
      this.#text = this.#text.slice(end);
      if (length === 0) {
        this.#hasHead = false;
        this.#listener.onEnd();
        return;
      }
      this.#takeBody(body);
    }
  }

  #takeHead(): boolean {
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return false;
    if (!this.#text.startsWith("HTTP/1.1 200 ")) {
      throw new Error(`Not answered with a stream: ${this.#text}`);
    }
    this.#text = this.#text.slice(end + 4);
    this.#hasHead = true;
    this.#listener.onHead();
    return true;
  }

  #takeBody(body: string): void {
    const events = (this.#event + body).split("\n\n");
    this.#event = events.pop() ?? "";
    for (const event of events) {
      this.#listener.onEvent(event.slice("data: ".length));
    }
  }
}
