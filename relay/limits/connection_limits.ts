import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";
import { type Elsewhere, NOWHERE } from "./elsewhere.ts";

/** Limits on the number of connections. */
export interface ConnectionLimitsOptions {
  /** The most in all. */
  readonly maxConnections: number;
  /** The most of one address. */
  readonly maxConnectionsPerAddress: number;
  /** The connections of other workers, which count too. Default: there are none. */
  readonly elsewhere?: Elsewhere | undefined;
}

/**
 * The time after which a connection may have been closed, in seconds: a guess.
 */
const RETRY_AFTER = { "Retry-After": "5" };

/** Counts connections, in all and by the network of the client. */
export class ConnectionLimits {
  readonly #options: ConnectionLimitsOptions;
  readonly #elsewhere: Elsewhere;
  readonly #ofNetwork = new Map<string, number>();
  #all = 0;

  /** Makes limits that nothing counts against yet. */
  constructor(options: ConnectionLimitsOptions) {
    this.#options = options;
    this.#elsewhere = options.elsewhere ?? NOWHERE;
  }

  /** The number of connections. */
  get all(): number {
    return this.#all;
  }

  /** The number of networks that have a connection. */
  get networks(): number {
    return this.#ofNetwork.size;
  }

  /**
   * Counts a connection.
   *
   * @param network Its network; `undefined` if it is not known yet.
   * @returns The limit that it exceeds; it does not count then.
   */
  add(network: string | undefined): Problem | undefined {
    const { maxConnections } = this.#options;
    const all = this.#all + this.#elsewhere.count("connections", "");
    if (all >= maxConnections) {
      return new Problem(
        STATUS_CODE.ServiceUnavailable,
        "too_many_connections",
        `Expected at most ${maxConnections} connections: try again later`,
        {},
        RETRY_AFTER,
      );
    }
    const problem = network === undefined ? undefined : this.addOf(network);
    if (problem) return problem;
    this.#all++;
    this.#elsewhere.add("connections", "", 1);
    return undefined;
  }

  /** Counts one off; to be called once for each that was counted. */
  delete(network: string | undefined): void {
    this.#all--;
    this.#elsewhere.add("connections", "", -1);
    if (network !== undefined) this.deleteOf(network);
  }

  /**
   * Counts something of a network that stands for a connection of it.
   *
   * @returns The limit that it exceeds; it does not count then.
   */
  addOf(network: string): Problem | undefined {
    const { maxConnectionsPerAddress } = this.#options;
    const count = this.#ofNetwork.get(network) ?? 0;
    const others = this.#elsewhere.count("connections_of_network", network);
    if (count + others >= maxConnectionsPerAddress) {
      return new Problem(
        STATUS_CODE.TooManyRequests,
        "too_many_connections_of_address",
        `Expected at most ${maxConnectionsPerAddress} connections of one address: close some, or try again later`,
        {},
        RETRY_AFTER,
      );
    }
    this.#ofNetwork.set(network, count + 1);
    this.#elsewhere.add("connections_of_network", network, 1);
    return undefined;
  }

  /** Counts that off; to be called once for each that was counted. */
  deleteOf(network: string): void {
    const count = this.#ofNetwork.get(network) ?? 0;
    if (count > 1) this.#ofNetwork.set(network, count - 1);
    else this.#ofNetwork.delete(network);
    this.#elsewhere.add("connections_of_network", network, -1);
  }
}
