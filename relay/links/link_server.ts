import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";
// @ts-types="../ws.d.ts"
import type { WebSocket } from "ws";
import { type Store, StoreError } from "../topics/store.ts";
import { Channel } from "./channel.ts";
import { HeldLeases, RENEW_INTERVAL } from "./held_leases.ts";
import { OpenWrites } from "./open_writes.ts";
import { ServedLink } from "./served_link.ts";
import { upwardOf } from "./upward_link.ts";
import {
  helloSchema,
  LINK_CLOSINGS,
  LinkProtocolError,
  type Operation,
  textAt,
  valueAt,
} from "./wire.ts";

/** A relay that is linked to this one, whose topics live here. */
export interface LinkPeer {
  /** The relay, among all relays. */
  readonly id: string;
  /** The name that it gives itself, such as `worker 2`. */
  readonly name: string;
  /** Whether this process has started it: it may call, and be called. */
  readonly isTrusted: boolean;
  /** The number of topics that it has at hand. */
  readonly topics: number;
  /** Asks it for something; rejects with a `StoreError` if it cannot say, or is gone. */
  call(method: string, body: string): Promise<string>;
  /** Closes the link: the relay connects again. */
  close(): void;
}

/** The store that links lead to, and the limits for them. */
export interface LinkServerOptions {
  /** The store, which is shared. */
  readonly store: Store;
  readonly clock: Clock;
  /**
   * Whether topics are deleted that a linked relay takes for too old. Default: no, as the
   * relay that the store belongs to sees to that.
   */
  readonly deletesEnded?: boolean | undefined;
  /** The most bytes of an event. Default: any number, as the linked relays have the limits of this one. */
  readonly maxEvent?: number | undefined;
  /** Answers a call of a relay that this process has started. Default: refuses it. */
  readonly onCall?:
    | ((peer: LinkPeer, method: string, body: string) => Promise<string>)
    | undefined;
  /** Called when a link was opened or closed. */
  readonly onPeers?: (() => void) | undefined;
}

/** A socket that may become a link. */
export interface LinkOffer {
  readonly ws: WebSocket;
  /** The address of the relay, for logs. */
  readonly address: string;
  /** Whether this process has started it. */
  readonly isTrusted: boolean;
}

/** The facts of a linked relay, which outlast its link. */
interface KnownRelay {
  readonly leases: HeldLeases;
  readonly writes: OpenWrites;
  link: Peer | undefined;
}

/** The number of looks after leases in which it is looked once for events that are too old. */
const TRIM_LOOKS = 4;

const logger = getLogger(["rivulet", "relay", "link"]);

/** The parent's end of all links. */
export class LinkServer implements AsyncDisposable {
  /** This relay, among all relays. */
  readonly id: string;
  readonly #options: LinkServerOptions;
  readonly #relays = new Map<string, KnownRelay>();
  readonly #peers = new Set<Peer>();
  readonly #channels = new Set<Channel>();
  readonly #stopPath: (() => void) | undefined;
  #lastLease = 0;
  #looks = 0;
  #cancelLook: () => void = () => {};
  #isClosed = false;

  /** Begins without links. */
  constructor(options: LinkServerOptions) {
    this.#options = options;
    const upward = upwardOf(options.store);
    this.id = upward?.id ?? crypto.randomUUID();
    this.#stopPath = upward?.onPath(() => this.#onPath());
    this.#scheduleLook();
  }

  /** The relays that are linked now. */
  get peers(): ReadonlySet<LinkPeer> {
    return this.#peers;
  }

  /** Takes over a socket that a relay has opened, and that may be let in. */
  accept({ ws, address, isTrusted }: LinkOffer): void {
    let peer: Peer | undefined;
    const channel = new Channel(ws, {
      onOperation: (operation) => {
        if (peer) peer.do(operation);
        else peer = this.#welcome(channel, operation, { address, isTrusted });
      },
      onClose: () => {
        this.#channels.delete(channel);
        if (peer) this.#left(peer, address);
      },
      onRoom: () => peer?.onRoom(),
    });
    this.#channels.add(channel);
  }

  /** A relay is gone for sure: what it has filled can be gone on with at once. */
  forget(id: string): void {
    const known = this.#relays.get(id);
    if (!known) return;
    known.link?.terminate();
    void known.leases.abandonAll();
  }

  /** Closes all links. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#cancelLook();
    this.#stopPath?.();
    for (const channel of this.#channels) {
      channel.close(LINK_CLOSINGS.over, "The relay stops");
      channel.terminate();
    }
    for (const peer of this.#peers) peer[Symbol.dispose]();
    return Promise.resolve();
  }

  #welcome(
    channel: Channel,
    operation: Operation,
    { address, isTrusted }: Omit<LinkOffer, "ws">,
  ): Peer | undefined {
    const { store, clock, onCall, onPeers } = this.#options;
    const { deletesEnded = false, maxEvent = Infinity } = this.#options;
    if (operation[0] !== "hello") {
      throw new LinkProtocolError("Expected 'hello' first");
    }
    const { id, name } = valueAt(helloSchema, operation, 1);
    const path = this.#path;
    if (path.includes(id)) {
      channel.close(LINK_CLOSINGS.loop, "The relay would be its own parent");
      return undefined;
    }
    let known = this.#relays.get(id);
    if (!known) {
      // One that this process has started ends with it.
      const outlasts = !isTrusted && upwardOf(store) !== undefined;
      const leases = new HeldLeases(store, clock, outlasts);
      known = { leases, writes: new OpenWrites(), link: undefined };
      this.#relays.set(id, known);
    }
    // It connects again before it was noticed that it had gone.
    known.link?.terminate();
    const { leases, writes } = known;
    const link: ServedLink = new ServedLink(channel, {
      store,
      leases,
      writes,
      deletesEnded,
      maxEvent,
      nextLease: () => ++this.#lastLease,
      lag: () => upwardOf(store)?.lag ?? 0,
      now: () => clock.now(),
      call: async (method, body) => {
        if (onCall && isTrusted) return await onCall(peer, method, body);
        throw new StoreError("denied", "Expected no calls of this relay");
      },
    });
    const peer: Peer = new Peer({ id, name, isTrusted, channel, link });
    known.link = peer;
    this.#peers.add(peer);
    channel.send(["welcome", { v: 1, path }]);
    channel.flush();
    logger.info("Relay {name} of {address} is linked", { name, address, id });
    onPeers?.();
    return peer;
  }

  #left(peer: Peer, address: string): void {
    const { name, id } = peer;
    peer[Symbol.dispose]();
    this.#peers.delete(peer);
    const known = this.#relays.get(peer.id);
    if (known?.link === peer) known.link = undefined;
    if (this.#isClosed) return;
    logger.info("The link of relay {name} of {address} is closed", {
      name,
      address,
      id,
    });
    this.#options.onPeers?.();
  }

  /** This relay, its parent, and so on. */
  get #path(): readonly string[] {
    return [this.id, ...upwardOf(this.#options.store)?.path ?? []];
  }

  #onPath(): void {
    const path = this.#path;
    for (const peer of this.#peers) peer.tellPath(path);
  }

  #scheduleLook(): void {
    this.#cancelLook = this.#options.clock.setTimeout(() => {
      const trims = ++this.#looks % TRIM_LOOKS === 0;
      for (const [id, { leases, writes, link }] of this.#relays) {
        leases.look(link !== undefined);
        if (trims) link?.trim();
        if (link || leases.size > 0 || writes.size > 0) continue;
        this.#relays.delete(id);
      }
      this.#scheduleLook();
    }, RENEW_INTERVAL);
  }
}

/** The parts of a {@linkcode Peer}. */
interface PeerParts extends Pick<LinkPeer, "id" | "name" | "isTrusted"> {
  readonly channel: Channel;
  readonly link: ServedLink;
}

class Peer implements LinkPeer, Disposable {
  readonly id: string;
  readonly name: string;
  readonly isTrusted: boolean;
  readonly #channel: Channel;
  readonly #link: ServedLink;

  constructor({ id, name, isTrusted, channel, link }: PeerParts) {
    this.id = id;
    this.name = name;
    this.isTrusted = isTrusted;
    this.#channel = channel;
    this.#link = link;
  }

  get topics(): number {
    return this.#link.size;
  }

  do(operation: Operation): void {
    this.#link.do(operation);
  }

  onRoom(): void {
    this.#link.onRoom();
  }

  trim(): void {
    this.#link.trim();
  }

  tellPath(path: readonly string[]): void {
    this.#channel.send(["path", path]);
  }

  async call(method: string, body: string): Promise<string> {
    if (!this.isTrusted) {
      throw new StoreError("denied", "Expected a relay of this process's own");
    }
    return textAt(await this.#channel.ask("call", [method, body]), 2);
  }

  close(): void {
    this.#channel.close(LINK_CLOSINGS.over, "");
  }

  terminate(): void {
    this.#channel.terminate();
    // Nothing more is done of what has come over it.
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#link[Symbol.dispose]();
  }
}
