import type { Problem } from "../../problem.ts";
import type { ReceiveAccount, ReceiveBudget } from "./receive_budget.ts";

/** An event of an upstream was given up before it was whole. */
export class EventRefusedError extends Error {
  /** The limit that was met, as clients are told it. */
  readonly code: string;

  /** Says how much was held of the event. */
  constructor({ code }: Problem, bytes: number) {
    const limit = code === "out_of_memory"
      ? "--max-received or --max-memory"
      : "--max-received-per-client";
    super(
      `The relay had no room for an event that was not whole, of which it held ${bytes} bytes (${limit})`,
    );
    this.name = "EventRefusedError";
    this.code = code;
  }
}

/**
 * The room for the event of an upstream that has begun and not ended. It counts among
 * what the relay receives.
 *
 * Where there is no room, the event is given up. To hold up its upstream instead would
 * free nothing: upstreams that have each sent half of an event would wait for each
 * other for ever.
 */
export class EventRoom implements Disposable {
  readonly #budget: ReceiveBudget;
  readonly #client: string;
  readonly #count: (code: string) => void;
  #account: ReceiveAccount | undefined;
  /** Called when the event is given up. Default: does nothing. */
  onRefused: (error: EventRefusedError) => void = () => {};

  /**
   * Makes room for nothing.
   *
   * @param budget Counts what is received.
   * @param client The name under which limits count the client that has asked for the
   * upstream.
   * @param count Counts an event that is given up, by the code of the limit.
   */
  constructor(
    budget: ReceiveBudget,
    client: string,
    count: (code: string) => void,
  ) {
    this.#budget = budget;
    this.#client = client;
    this.#count = count;
  }

  /** Sets how much is held, where a character of ASCII counts as a byte. After a refusal, nothing is. */
  hold(size: number): void {
    if (!this.#account) {
      if (size === 0) return;
      this.#account = this.#open();
    }
    this.#account.trySet(size);
  }

  /** Holds nothing, and takes another event after a refusal. */
  reset(): void {
    this.#account?.[Symbol.dispose]();
    this.#account = undefined;
  }

  /** Holds nothing any more. */
  [Symbol.dispose](): void {
    this.onRefused = () => {};
    this.reset();
  }

  #open(): ReceiveAccount {
    const account = this.#budget.open(this.#client, "an event of an upstream");
    account.onRefused = (problem, bytes) => {
      this.#count(problem.code);
      this.onRefused(new EventRefusedError(problem, bytes));
    };
    return account;
  }
}
