import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../src/fetch/clock.ts";
import { Members } from "../../members.ts";

/** The bytes that may wait for clients to take them. */
export interface SendBudgetOptions {
  /** The most in all. */
  readonly maxQueued: number;
  /** The most of one client. */
  readonly maxQueuedPerClient: number;
  /** The source of time. */
  readonly clock: Clock;
  /** Called for each connection that is cut. */
  onDrop?(reason: DropReason): void;
}

/** The reason for which a connection is cut: a budget of queued bytes, or the memory of the process. */
export type DropReason = "queued" | "queued_of_client" | "memory";

/** A connection that bytes are queued for. */
export interface SendPeer {
  /** The name under which limits count its client. */
  readonly client: string;
  /** The address, for logs. */
  readonly address: string;
  /** Cuts the connection, with what is queued for it. */
  drop(): void;
}

/** The time without progress after which a connection counts as not reading, in milliseconds. */
const QUIET = 1_000;

/** The memory that one or more connections hold. */
class Holdings {
  /** The bytes, with each shared buffer once. */
  bytes = 0;
  readonly #shared = new Map<
    object,
    { readonly bytes: number; count: number }
  >();

  hold(buffer: object, bytes: number): void {
    const known = this.#shared.get(buffer);
    if (known) known.count++;
    else {
      this.#shared.set(buffer, { bytes, count: 1 });
      this.bytes += bytes;
    }
  }

  release(buffer: object): void {
    const known = this.#shared.get(buffer);
    if (!known || --known.count > 0) return;
    this.#shared.delete(buffer);
    this.bytes -= known.bytes;
  }

  /** Returns the part of a shared buffer that each of its holders stands for. */
  partOf(buffer: object): number {
    const known = this.#shared.get(buffer);
    return known ? known.bytes / known.count : 0;
  }

  /** The size of the largest shared buffer. */
  get largest(): number {
    let largest = 0;
    for (const { bytes } of this.#shared.values()) {
      largest = Math.max(largest, bytes);
    }
    return largest;
  }
}

/** The holdings of one client, and its connections. */
class Client extends Holdings implements AccountHolder {
  readonly accounts = new Members<SendAccount>();
  readonly places: readonly Holdings[];
  readonly clock: Clock;
  readonly onMore: () => void;
  readonly onClose: (account: SendAccount) => void;

  constructor(
    all: Holdings,
    clock: Clock,
    onMore: (client: Client) => void,
    onClose: (client: Client, account: SendAccount) => void,
  ) {
    super();
    this.places = [all, this];
    this.clock = clock;
    this.onMore = () => onMore(this);
    this.onClose = (account) => onClose(this, account);
  }
}

const logger = getLogger(["rivulet", "relay", "limits"]);

/**
 * Counts the bytes that are queued for clients, and keeps them within a budget: in
 * all, and for each client. Beyond it, the connection is cut that costs most among
 * those that read nothing, or else the one that costs most.
 *
 * Bytes count as they are written: encoded, with their frames, until the kernel has
 * taken them. A buffer that is shared (a frame of events, for a thousand
 * subscribers) counts once in all, once for each client, and in parts for each
 * connection: to cut one of a thousand frees a thousandth. A page is encoded as it
 * is read, so the events that it is made of count, as shared buffers. Messages of up
 * to 64 KiB count for each connection, shared or not: a map for them would cost more
 * than they do.
 */
export class SendBudget {
  readonly #options: SendBudgetOptions;
  readonly #all = new Holdings();
  readonly #clients = new Map<string, Client>();
  readonly #accounts = new Members<SendAccount>();

  /** Makes a budget of which nothing is used. */
  constructor(options: SendBudgetOptions) {
    this.#options = options;
  }

  /** The number of queued bytes. */
  get queued(): number {
    return this.#all.bytes;
  }

  /** Makes an account of a connection, which is to be closed with it. */
  open(peer: SendPeer): SendAccount {
    const name = peer.client;
    let client = this.#clients.get(name);
    if (!client) {
      client = this.#makeClient(name);
      this.#clients.set(name, client);
    }
    const account = new SendAccount(peer, client);
    account.place = this.#accounts.add(account);
    account.placeOfClient = client.accounts.add(account);
    return account;
  }

  /**
   * Cuts the connection that costs most among those that read nothing.
   *
   * @returns The bytes that it stood for; `undefined` if there is no such connection.
   */
  dropHeaviest(): number | undefined {
    const account = this.#heaviest(this.#accounts, true);
    return account && this.#drop(account, "memory");
  }

  #makeClient(name: string): Client {
    return new Client(
      this.#all,
      this.#options.clock,
      (client) => this.#enforce(client),
      (client, account) => {
        this.#accounts.delete(account.place);
        client.accounts.delete(account.placeOfClient);
        if (client.accounts.size > 0) return;
        if (this.#clients.get(name) === client) this.#clients.delete(name);
      },
    );
  }

  #enforce(client: Client): void {
    const { maxQueued, maxQueuedPerClient } = this.#options;
    this.#keep(client, client.accounts, maxQueuedPerClient, "queued_of_client");
    this.#keep(this.#all, this.#accounts, maxQueued, "queued");
  }

  #keep(
    holdings: Holdings,
    accounts: Iterable<SendAccount>,
    max: number,
    reason: DropReason,
  ): void {
    if (holdings.bytes <= max) return;
    // One buffer may be larger than a budget: it can be read all the same.
    const most = Math.max(max, holdings.largest);
    while (holdings.bytes > most) {
      const account = this.#heaviest(accounts, true) ??
        this.#heaviest(accounts, false);
      if (!account) return;
      this.#drop(account, reason);
    }
  }

  #heaviest(
    accounts: Iterable<SendAccount>,
    isQuiet: boolean,
  ): SendAccount | undefined {
    const before = this.#options.clock.now() - QUIET;
    let heaviest: SendAccount | undefined;
    let most = 0;
    for (const account of accounts) {
      if (isQuiet && account.since > before) continue;
      const weight = account.weight(this.#all);
      if (weight <= most) continue;
      heaviest = account;
      most = weight;
    }
    return heaviest;
  }

  #drop(account: SendAccount, reason: DropReason): number {
    const { peer: { address } } = account;
    const bytes = Math.ceil(account.weight(this.#all));
    account.close();
    this.#options.onDrop?.(reason);
    logger.warning(
      "Cut a connection of {address}, for which {bytes} bytes were queued: {reason}",
      { address, bytes, reason },
    );
    // Not within the write that has brought it here.
    queueMicrotask(() => account.peer.drop());
    return bytes;
  }
}

/**
 * The holder of the accounts of one client. It is one for all of them, because
 * anything an account has of its own adds to the cost of an idle connection.
 */
interface AccountHolder {
  /** The holdings in which the bytes count. */
  readonly places: readonly Holdings[];
  /** The source of time. */
  readonly clock: Clock;
  /** An account has more than before. */
  onMore(): void;
  /** An account is over. */
  onClose(account: SendAccount): void;
}

/** The bytes that are queued for one connection. */
export class SendAccount {
  /** The connection. */
  readonly peer: SendPeer;
  /** The time when the connection has last taken something, or had nothing to take. */
  since: number;
  /** The place among all accounts. */
  place = 0;
  /** The place among those of its client. */
  placeOfClient = 0;
  readonly #holder: AccountHolder;
  /**
   * The buffers that others may hold too, with their sizes, and how often they are
   * held here. Made when there is one: most connections never hold any.
   */
  #held: Map<object, { readonly bytes: number; count: number }> | undefined;
  #heldBytes = 0;
  /** The bytes that are nobody else's. */
  #alone = 0;
  #isClosed = false;

  /** Makes an account of nothing. */
  constructor(peer: SendPeer, holder: AccountHolder) {
    this.peer = peer;
    this.#holder = holder;
    this.since = holder.clock.now();
  }

  /** Counts a buffer that others may hold too. */
  hold(buffer: object, bytes: number): void {
    if (this.#isClosed) return;
    const known = this.#held?.get(buffer);
    if (known) {
      known.count++;
      return;
    }
    this.#begin();
    this.#held ??= new Map();
    this.#held.set(buffer, { bytes, count: 1 });
    this.#heldBytes += bytes;
    for (const place of this.#holder.places) place.hold(buffer, bytes);
    this.#holder.onMore();
  }

  /** Counts a buffer off that was held. */
  release(buffer: object): void {
    const known = this.#held?.get(buffer);
    if (!known) return;
    this.taken();
    if (--known.count > 0) return;
    this.#held?.delete(buffer);
    this.#heldBytes -= known.bytes;
    for (const place of this.#holder.places) place.release(buffer);
  }

  /** Sets the number of bytes that are nobody else's. */
  set(bytes: number): void {
    if (this.#isClosed) return;
    const more = bytes - this.#alone;
    if (more === 0) return;
    if (more < 0) this.taken();
    else this.#begin();
    this.#alone = bytes;
    for (const place of this.#holder.places) place.bytes += more;
    if (more > 0) this.#holder.onMore();
  }

  /** Takes note that the connection has taken something. */
  taken(): void {
    this.since = this.#holder.clock.now();
  }

  /** Returns the bytes that would be free without this connection. */
  weight(all: Holdings): number {
    let weight = this.#alone;
    for (const buffer of this.#held?.keys() ?? []) {
      weight += all.partOf(buffer);
    }
    return weight;
  }

  /** Ends the account: nothing is counted any more. */
  close(): void {
    if (this.#isClosed) return;
    this.set(0);
    this.#isClosed = true;
    for (const buffer of this.#held?.keys() ?? []) {
      for (const place of this.#holder.places) place.release(buffer);
    }
    this.#held = undefined;
    this.#holder.onClose(this);
  }

  /** A connection for which nothing was queued has not been waiting. */
  #begin(): void {
    if (this.#alone + this.#heldBytes === 0) this.taken();
  }
}
