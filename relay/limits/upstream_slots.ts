import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";

/** After how long it may be worth asking again, in seconds: upstreams end at any time. */
const RETRY_AFTER = 10;

/** Counts the upstreams that were asked for by requests. */
export class UpstreamSlots {
  readonly #maximum: number;
  #taken = 0;

  /**
   * Makes slots that are all free.
   *
   * @param maximum How many there are.
   */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The number of slots that are taken. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Takes a slot.
   *
   * @returns Gives it back when it is disposed of, once.
   * @throws {Problem} 503 `too_many_upstreams`, where none is free.
   */
  take(): Disposable {
    if (this.#taken >= this.#maximum) {
      throw new Problem(
        STATUS_CODE.ServiceUnavailable,
        "too_many_upstreams",
        "The relay reads from as many upstreams as it may (--max-upstreams): ask again when others have ended",
        {},
        { "Retry-After": `${RETRY_AFTER}` },
      );
    }
    this.#taken++;
    let isTaken = true;
    return {
      [Symbol.dispose]: () => {
        if (isTaken) this.#taken--;
        isTaken = false;
      },
    };
  }
}
