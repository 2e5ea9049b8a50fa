import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";
import { type Elsewhere, NOWHERE } from "./elsewhere.ts";

/** After how long it may be worth asking again, in seconds: upstreams end at any time. */
const RETRY_AFTER = 10;

const HEADERS = { "Retry-After": `${RETRY_AFTER}` };

/** Counts the upstreams that were asked for by requests, in all and of each client. */
export class UpstreamSlots {
  readonly #maximum: number;
  readonly #maximumOfClient: number;
  readonly #elsewhere: Elsewhere;
  readonly #ofClients = new Map<string, number>();
  #taken = 0;

  /**
   * Makes slots that are all free.
   *
   * @param maximum The number of slots.
   * @param maximumOfClient The number of slots that one client may take. Default: half
   * of all, so that no client can keep all others out.
   * @param elsewhere The upstreams of other workers, which count too. Default: there
   * are none.
   */
  constructor(
    maximum: number,
    maximumOfClient: number = Math.ceil(maximum / 2),
    elsewhere: Elsewhere = NOWHERE,
  ) {
    this.#maximum = maximum;
    this.#maximumOfClient = maximumOfClient;
    this.#elsewhere = elsewhere;
  }

  /** The number of slots that are taken. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Takes a slot.
   *
   * @param client Names the client that asks: its token's holder, or its address.
   * @returns Gives it back when it is disposed of, once.
   * @throws {Problem} 503 `too_many_upstreams`, where none is free; 429
   * `too_many_upstreams_of_client`, where the client has as many as it may.
   */
  take(client: string): Disposable {
    const elsewhere = this.#elsewhere;
    if (this.#taken + elsewhere.count("upstreams", "") >= this.#maximum) {
      throw new Problem(
        STATUS_CODE.ServiceUnavailable,
        "too_many_upstreams",
        "The relay reads from as many upstreams as it may (--max-upstreams): ask again when others have ended",
        {},
        HEADERS,
      );
    }
    const taken = this.#ofClients.get(client) ?? 0;
    const others = elsewhere.count("upstreams_of_client", client);
    if (taken + others >= this.#maximumOfClient) {
      throw new Problem(
        STATUS_CODE.TooManyRequests,
        "too_many_upstreams_of_client",
        `The relay reads from as many upstreams for this client as it may (--max-upstreams-per-client: ${this.#maximumOfClient}): ask again when some of them have ended`,
        {},
        HEADERS,
      );
    }
    this.#taken++;
    this.#ofClients.set(client, taken + 1);
    elsewhere.add("upstreams", "", 1);
    elsewhere.add("upstreams_of_client", client, 1);
    let isTaken = true;
    return {
      [Symbol.dispose]: () => {
        if (isTaken) this.#giveBack(client);
        isTaken = false;
      },
    };
  }

  #giveBack(client: string): void {
    this.#taken--;
    const left = (this.#ofClients.get(client) ?? 0) - 1;
    if (left > 0) this.#ofClients.set(client, left);
    else this.#ofClients.delete(client);
    this.#elsewhere.add("upstreams", "", -1);
    this.#elsewhere.add("upstreams_of_client", client, -1);
  }
}
