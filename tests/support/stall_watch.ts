/** The time between two looks, in milliseconds. */
const INTERVAL = 5;

/** Measures for how long this process stands still: other work has the processors then. */
export class StallWatch implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  #lookedAt = performance.now();
  #longest = 0;

  constructor() {
    this.#timer = setInterval(() => this.#look(), INTERVAL);
  }

  /** The longest time for which nothing has run, in milliseconds. */
  get longest(): number {
    this.#look();
    return this.#longest;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#lookedAt - INTERVAL);
    this.#lookedAt = now;
  }
}
