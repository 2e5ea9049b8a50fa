import { getLogger } from "@logtape/logtape";
// @ts-types="../../ws.d.ts"
import type { WebSocket } from "ws";
import { Channel, LinkLostError } from "../../links/channel.ts";
import {
  LINK_CLOSINGS,
  numberAt,
  type Operation,
  valueAt,
  welcomeSchema,
} from "../../links/wire.ts";
import type { openLinkSocket } from "../../links/open_socket.ts";
import type { UpwardLink } from "../../links/upward_link.ts";
import { StoreError } from "../../topics/store.ts";
import { z } from "zod";
import type { ParentAddress } from "./parent_address.ts";

/** The settings of the link to a parent. */
export interface ParentLinkOptions {
  readonly address: ParentAddress;
  /** The token that the parent asks for. Default: none. */
  readonly token: string | undefined;
  /** The name that this relay gives itself. */
  readonly name: string;
}

/** The events of the link to the parent. */
export interface ParentLinkEvents {
  /** There is a link. */
  onUp(channel: Channel): void;
  /** There is none any more. */
  onDown(): void;
  /** The parent says something. */
  onOperation(operation: Operation, channel: Channel): void;
}

/** The wait before the second attempt to connect, and the longest wait, in milliseconds. */
const WAITS = { first: 100, last: 5_000 };

/** The wait after the parent has refused this relay, in milliseconds. */
const REFUSED_WAIT = 30_000;

/** The time between two measurements of the lag, in milliseconds. */
const PING_INTERVAL = 1_000;

const pathSchema = z.array(z.string()).min(1);

const logger = getLogger(["rivulet", "relay", "store"]);

/**
 * The link of a relay to its parent, made again when it is lost.
 *
 * Time is that of the system: with the clock of a test, which is moved by hand, no
 * parent would answer in time.
 */
export class ParentLink implements UpwardLink, Disposable {
  readonly id: string = crypto.randomUUID();
  readonly #options: ParentLinkOptions;
  readonly #events: ParentLinkEvents;
  readonly #listeners = new Set<() => void>();
  #path: readonly string[] = [];
  #channel: Channel | undefined;
  #openSocket: typeof openLinkSocket | undefined;
  #ws: WebSocket | undefined;
  #failure: StoreError | undefined;
  /** The time when the link was lost, in milliseconds of the process. */
  #downSince = performance.now();
  #lag = 0;
  #attempts = 0;
  #first = Promise.withResolvers<void>();
  #up: PromiseWithResolvers<Channel> = unhandled();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ping: ReturnType<typeof setInterval> | undefined;
  #isClosed = false;

  constructor(options: ParentLinkOptions, events: ParentLinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#failure = this.#away();
  }

  /** The link, while there is one. */
  get channel(): Channel | undefined {
    return this.#channel;
  }

  /**
   * The link.
   *
   * @throws {StoreError} If there is none.
   */
  get required(): Channel {
    if (this.#channel) return this.#channel;
    throw this.#failure ?? new LinkLostError();
  }

  /** Resolves with the link, once there is one. Rejects when it is given up for good. */
  get up(): Promise<Channel> {
    return this.#channel ? Promise.resolve(this.#channel) : this.#up.promise;
  }

  /** The reason why there is no link. */
  get failure(): StoreError | undefined {
    return this.#failure;
  }

  /** For how long there has been no link, in milliseconds. */
  get downFor(): number {
    return this.#channel ? 0 : performance.now() - this.#downSince;
  }

  get path(): readonly string[] {
    return this.#path;
  }

  get lag(): number {
    return this.#lag;
  }

  onPath(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Connects. A parent that is away is tried again; one that refuses this relay is a
   * reason to reject.
   */
  async open(): Promise<void> {
    ({ openLinkSocket: this.#openSocket } = await import(
      "../../links/open_socket.ts"
    ));
    this.#connect();
    await this.#first.promise;
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const closed = this.#failure = new StoreError(
      "closed",
      "The store was closed",
    );
    this.#up.reject(closed);
    this.#first.resolve();
    this.#channel?.close(LINK_CLOSINGS.over, "The relay stops");
    this.#ws?.terminate();
    this.#lose();
  }

  #connect(): void {
    const { address, token } = this.#options;
    const ws = this.#ws = this.#openSocket?.(address.url, token);
    if (!ws) return;
    let isOver = false;
    const fail = (failure: StoreError): void => {
      if (isOver) return;
      isOver = true;
      ws.terminate();
      this.#failed(failure);
    };
    ws.on("error", ({ message }) => fail(this.#away(message)));
    ws.on("unexpected-response", (request, { statusCode = 0 }) => {
      request.destroy();
      fail(this.#refused(statusCode));
    });
    ws.on("open", () => {
      if (isOver || this.#isClosed) return ws.terminate();
      isOver = true;
      this.#greet(ws);
    });
  }

  #greet(ws: WebSocket): void {
    let isWelcome = false;
    const channel = new Channel(ws, {
      onOperation: (operation) => {
        if (isWelcome) return this.#onOperation(operation, channel);
        const { path } = valueAt(welcomeSchema, operation, 1);
        isWelcome = true;
        if (this.#takePath(path, channel)) this.#opened(channel);
      },
      onClose: (code) => {
        if (this.#channel === channel) this.#lose();
        this.#failed(this.#closedWith(code));
      },
    });
    const { name } = this.#options;
    channel.send(["hello", { v: 1, id: this.id, name }]);
    channel.flush();
  }

  #onOperation(operation: Operation, channel: Channel): void {
    switch (operation[0]) {
      case "o": {
        const sent = numberAt(operation, 1);
        this.#lag = (performance.now() - sent) / 2 + numberAt(operation, 2);
        return;
      }
      case "path":
        return void this.#takePath(valueAt(pathSchema, operation, 1), channel);
      default:
        return this.#events.onOperation(operation, channel);
    }
  }

  /** Whether the parent may be one: this relay is not above it. */
  #takePath(path: readonly string[], channel: Channel): boolean {
    if (path.includes(this.id)) {
      channel.close(LINK_CLOSINGS.loop, "The relay would be its own parent");
      channel.terminate();
      return false;
    }
    this.#path = path;
    for (const listener of this.#listeners) listener();
    return true;
  }

  #opened(channel: Channel): void {
    const { address: { text: address } } = this.#options;
    this.#channel = channel;
    this.#failure = undefined;
    this.#attempts = 0;
    const ping = (): void => channel.send(["i", performance.now()]);
    this.#ping = setInterval(ping, PING_INTERVAL);
    ping();
    logger.info("Linked to the parent {address}", { address });
    this.#first.resolve();
    this.#events.onUp(channel);
    this.#up.resolve(channel);
    this.#up = unhandled();
  }

  #lose(): void {
    if (!this.#channel) return;
    this.#channel = undefined;
    this.#downSince = performance.now();
    clearInterval(this.#ping);
    if (!this.#isClosed) this.#path = [];
    this.#events.onDown();
  }

  #failed(failure: StoreError): void {
    if (this.#isClosed) return;
    const { address: { text: address } } = this.#options;
    const isAway = failure.failure === "away";
    const isNews = this.#failure?.message !== failure.message;
    this.#failure = failure;
    if (isAway) this.#first.resolve();
    else this.#first.reject(failure);
    if (isNews || this.#attempts === 0) {
      logger.warn("No link to the parent {address}, trying again: {reason}", {
        address,
        reason: failure.message,
      });
    }
    // With all of it left to chance, those who have lost one parent do not come at once.
    const longest = Math.min(WAITS.last, WAITS.first * 2 ** this.#attempts++);
    const wait = (isAway ? longest : REFUSED_WAIT) * (0.5 + Math.random() / 2);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #away(reason?: string): StoreError {
    const { address: { text } } = this.#options;
    const why = reason === undefined ? "" : ` (${reason})`;
    return new StoreError(
      "away",
      `The relay that the topics live in, ${text}, cannot be reached${why}: it is tried again`,
    );
  }

  #refused(status: number): StoreError {
    const { address: { text } } = this.#options;
    switch (status) {
      case 401:
      case 403:
        return new StoreError(
          "denied",
          `The relay that the topics live in, ${text}, refuses this one with ${status}: give --store-token a token with the right to link ('rivulet token --link')`,
        );
      case 400:
      case 404:
      case 426:
        return new StoreError(
          "foreign",
          `Expected a relay that others may be linked to at ${text}, got status ${status}: start it with --links`,
        );
      default:
        return this.#away(`status ${status}`);
    }
  }

  #closedWith(code: number): StoreError {
    const { address: { text } } = this.#options;
    switch (code) {
      case LINK_CLOSINGS.loop:
        return new StoreError(
          "denied",
          `The topics of ${text} live in this relay: give --store another relay, or this one would be its own parent`,
        );
      case LINK_CLOSINGS.invalid:
        return new StoreError(
          "foreign",
          `Expected a relay of this version at ${text}, as it says what this one does not understand, or the other way round: update the older one`,
        );
      case LINK_CLOSINGS.expired:
        return new StoreError(
          "denied",
          `The token for ${text} has expired: give --store-token a new one`,
        );
      default:
        return this.#away();
    }
  }
}

function unhandled(): PromiseWithResolvers<Channel> {
  const up = Promise.withResolvers<Channel>();
  // Whoever waits for it is told.
  up.promise.catch(() => {});
  return up;
}
