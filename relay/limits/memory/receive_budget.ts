import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
import { Members } from "../../members.ts";
import { outOfMemory, Problem } from "../../problem.ts";

/** The bytes of requests, messages and events of upstreams that may be held. */
export interface ReceiveBudgetOptions {
  /** The most in all. */
  readonly maxReceived: number;
  /** The most of one client. */
  readonly maxReceivedPerClient: number;
}

/** The holdings of one client. */
interface Client {
  bytes: number;
  readonly accounts: Members<ReceiveAccount>;
}

/** The time after which a client may have room again, in seconds: a guess. */
const RETRY_AFTER = "5";

const logger = getLogger(["rivulet", "relay", "limits"]);

/**
 * Counts the bytes that peers have sent and that the relay holds: bodies and
 * messages that are not whole yet, bodies that are kept for as long as their run
 * lasts, and events of upstreams that are not whole yet. Keeps them within a budget,
 * in all and for each client.
 *
 * A body that takes its client beyond the client's part is refused. If all clients
 * together go beyond the budget, the budget refuses the largest body of the client
 * that holds most: a client that sends little gets through, whoever fills the budget.
 * A body that was received whole is not refused any more.
 */
export class ReceiveBudget {
  readonly #options: ReceiveBudgetOptions;
  readonly #clients = new Map<string, Client>();
  #bytes = 0;

  /** Makes a budget of which nothing is used. */
  constructor(options: ReceiveBudgetOptions) {
    this.#options = options;
  }

  /** The number of bytes that are held. */
  get received(): number {
    return this.#bytes;
  }

  /** The number of clients that hold any. */
  get clients(): number {
    return this.#clients.size;
  }

  /**
   * Makes an account of a body, a message or an event, which is to be closed with it.
   *
   * @param client The name under which limits count the client.
   * @param what The name of the account, for the log. Default: a request.
   */
  open(client: string, what: string = "a request"): ReceiveAccount {
    return new ReceiveAccount(
      (account, more) => this.#count(client, account, more),
      what,
    );
  }

  /**
   * Refuses the largest body of the client that holds most.
   *
   * @returns The bytes that it held; `undefined` if nothing is being received.
   */
  dropHeaviest(): number | undefined {
    const account = this.#heaviest();
    if (!account) return undefined;
    const { bytes } = account;
    account.refuse(outOfMemory());
    return bytes;
  }

  #count(client: string, account: ReceiveAccount, more: number): void {
    let own = this.#clients.get(client);
    if (!own) {
      own = { bytes: 0, accounts: new Members() };
      this.#clients.set(client, own);
    }
    own.bytes += more;
    this.#bytes += more;
    if (account.bytes > 0) account.place ??= own.accounts.add(account);
    else if (account.place !== undefined) {
      own.accounts.delete(account.place);
      account.place = undefined;
    }
    if (own.accounts.size === 0) this.#clients.delete(client);
    if (more > 0) this.#enforce(own, account);
  }

  #enforce(own: Client, account: ReceiveAccount): void {
    const { maxReceived, maxReceivedPerClient } = this.#options;
    if (own.bytes > maxReceivedPerClient) {
      account.refuse(
        new Problem(
          STATUS_CODE.TooManyRequests,
          "too_many_bytes_of_client",
          `Expected at most ${maxReceivedPerClient} bytes of one client that are being received (--max-received-per-client): send again when earlier requests are answered`,
          {},
          { "Retry-After": RETRY_AFTER },
        ),
      );
    }
    while (this.#bytes > maxReceived) {
      const heaviest = this.#heaviest();
      if (!heaviest) return;
      logger.warning(
        "Refused {what} after {bytes} bytes: the relay holds {received} bytes of unfinished requests and messages (--max-received)",
        {
          what: heaviest.what,
          bytes: heaviest.bytes,
          received: this.#bytes,
        },
      );
      heaviest.refuse(outOfMemory());
    }
  }

  #heaviest(): ReceiveAccount | undefined {
    let heaviest: ReceiveAccount | undefined;
    let most = 0;
    for (const { bytes, accounts } of this.#clients.values()) {
      if (bytes <= most) continue;
      const open = [...accounts].filter(({ isWhole }) => !isWhole);
      if (open.length === 0) continue;
      most = bytes;
      heaviest = open.reduce((a, b) => b.bytes > a.bytes ? b : a);
    }
    return heaviest;
  }
}

/** The bytes that are held of one body, one message or one event. */
export class ReceiveAccount implements Disposable {
  readonly #count: (account: ReceiveAccount, more: number) => void;
  #bytes = 0;
  #isWhole = false;
  #problem: Problem | undefined;
  /** The owner of the account, for the log. */
  readonly what: string;
  /** The place among those of its client that hold anything. */
  place: number | undefined;
  /** Called when the body is refused, with the bytes that had come of it. */
  onRefused: ((problem: Problem, bytes: number) => void) | undefined;

  /**
   * Makes an account of nothing.
   *
   * @param count Counts bytes in the budget; may refuse the account.
   * @param what The name of the account, for the log.
   */
  constructor(
    count: (account: ReceiveAccount, more: number) => void,
    what: string,
  ) {
    this.#count = count;
    this.what = what;
  }

  /** The number of bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether all has come: it is not refused any more. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /**
   * Sets the number of bytes.
   *
   * @throws {Problem} 429 `too_many_bytes_of_client` or 503 `out_of_memory`, if the
   * body is refused, or was.
   */
  set(bytes: number): void {
    this.trySet(bytes);
    if (this.#problem) throw this.#problem;
  }

  /** Sets the number of bytes, unless the body was refused: `onRefused` says whether it is. */
  trySet(bytes: number): void {
    if (!this.#problem) this.#set(bytes);
  }

  /** Adds to the number of bytes, as {@linkcode set} does. */
  add(bytes: number): void {
    this.set(this.#bytes + bytes);
  }

  /** Takes note that all has come. */
  whole(): void {
    this.#isWhole = true;
  }

  /** Refuses the body: what has come of it is given up. */
  refuse(problem: Problem): void {
    if (this.#problem) return;
    this.#problem = problem;
    const bytes = this.#bytes;
    this.#set(0);
    this.onRefused?.(problem, bytes);
  }

  /** Counts nothing any more. */
  [Symbol.dispose](): void {
    this.onRefused = undefined;
    this.#set(0);
  }

  #set(bytes: number): void {
    const more = bytes - this.#bytes;
    if (more === 0) return;
    this.#bytes = bytes;
    this.#count(this, more);
  }
}
