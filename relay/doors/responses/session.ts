import type { Duplex } from "node:stream";
import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
import type { Clock } from "../../../src/fetch/clock.ts";
import type { Watch, Watched } from "../../delivery/watch.ts";
import type { ResponsesConnection } from "../../gateway/responses/connection.ts";
import {
  type CreateMessage,
  readCreateMessage,
} from "../../gateway/responses/create_message.ts";
import {
  errorMessage,
  type MessageSink,
} from "../../gateway/responses/message_caller.ts";
import type {
  ReceiveAccount,
  ReceiveBudget,
} from "../../limits/memory/receive_budget.ts";
import type {
  SendAccount,
  SendBudget,
  SendPeer,
} from "../../limits/memory/send_budget.ts";
import { MessageRates } from "../../limits/rate_limit.ts";
import { internalProblem, Problem } from "../../problem.ts";
import type { Expiries, Expiring } from "../../rights/expiries.ts";
import { tokenRefusal } from "../../rights/tokens/token_refusal.ts";
import { slices } from "../../slices.ts";
import type { Guest } from "../guests.ts";
import type { ResponsesCaller } from "../http/entrance.ts";
import { problemOf } from "../http/problem_of.ts";
import { type Closing, CLOSINGS } from "../websocket/close_codes.ts";
import {
  MAX_MISSED,
  PONG_BACKLOG,
  socketRefusal,
} from "../websocket/peer_rules.ts";
import type { RelayWebSocket } from "../websocket/relay_websocket.ts";
import { tellClosed } from "../websocket/tell_closed.ts";

/** The parts that all sessions of the door share. */
export interface ResponsesSessionContext {
  /** The largest message of a client, in bytes: the body of a run. */
  readonly maxBody: number;
  /** The most bytes of messages of a client in a second, on average: as of bodies. */
  readonly maxBodyRate: number;
  /** The most messages of a client in a second, on average. */
  readonly maxMessageRate: number;
  /** Signs of life, to the clients and of them. */
  readonly heartbeat: Watch;
  /** Looks after clients that take no bytes. Default: nobody does. */
  readonly slowWatch: Watch | undefined;
  /** Tells sessions whose tokens expire. */
  readonly expiries: Expiries;
  /** Counts the bytes that wait for clients. */
  readonly budget: SendBudget;
  /** Counts the bytes that clients have sent and the relay holds. */
  readonly received: ReceiveBudget;
  /** The source of time. */
  readonly clock: Clock;
  /** Counts a refusal, by its code. */
  readonly refused: (code: string) => void;
  /** Counts a connection that was cut as its client did not read. */
  onSlow(): void;
}

/** The most messages of a client that wait, of all lanes. */
const MAX_WAITING = 32;

/** The most responses of a client that are made at once. */
const MAX_AT_ONCE = 8;

/** The most bytes that wait for a client: one that falls further behind is cut. */
const MAX_BEHIND = 16 * 1024 * 1024;

/** A message that was received, and waits for its turn. */
interface Waiting {
  readonly message: CreateMessage;
  readonly account: ReceiveAccount;
}

/** The messages of one lane: one response is made after the other. */
interface Lane {
  readonly waiting: Waiting[];
  isBusy: boolean;
}

const logger = getLogger(["rivulet", "relay", "websocket"]);

/** One client that makes responses over a WebSocket: its socket, its lanes, and whether it lives. */
export class ResponsesSession
  implements MessageSink, Guest, Watched, Expiring, SendPeer {
  /** The client's connection to the gateway. */
  connection: ResponsesConnection | undefined;
  readonly #context: ResponsesSessionContext;
  readonly #caller: ResponsesCaller;
  readonly #id = crypto.randomUUID();
  readonly #lanes = new Map<string, Lane>();
  readonly #rates: MessageRates;
  #ws: RelayWebSocket | undefined;
  #socket: Duplex | undefined;
  #account: SendAccount | undefined;
  /** Counts the bytes of a message that is not whole yet. */
  #receiving: ReceiveAccount | undefined;
  #start = 0;
  #missed = 0;
  #running = 0;
  #isExpired = false;
  /** The bytes that the kernel had taken for the client at the last look. */
  #taken = -1;
  /** Called when nothing is made any more. */
  #whenIdle: (() => void) | undefined;
  /** Reads one message after the other: a long one takes its time. */
  #reading: Promise<void> = Promise.resolve();

  /**
   * Makes a session whose socket is not open yet.
   *
   * @param context The parts that all sessions share.
   * @param caller The client.
   */
  constructor(context: ResponsesSessionContext, caller: ResponsesCaller) {
    const { maxMessageRate, maxBodyRate, clock } = context;
    this.#context = context;
    this.#caller = caller;
    this.#rates = new MessageRates({
      maxMessageRate,
      maxMessageBytesRate: maxBodyRate,
      clock,
    });
  }

  /** Takes over an upgraded socket. */
  open(ws: RelayWebSocket, socket: Duplex): void {
    const context = this.#context;
    const { access } = this.#caller;
    this.#ws = ws;
    this.#socket = socket;
    this.#start = context.clock.now();
    this.#account = context.budget.open(this);
    context.expiries.add(access.expires, this);
    socket.on("drain", () => this.#account?.set(this.behind));
    // Called when `ws` has read the same bytes.
    socket.on("data", () => this.#onData());
    ws.on("message", (data, isBinary) => {
      this.#missed = 0;
      this.#onMessage(data, isBinary);
    });
    ws.on("pong", ({ byteLength }) => {
      this.#missed = 0;
      this.#takesMore(byteLength);
    });
    ws.on("ping", (data) => {
      if (!this.#takesMore(data.byteLength)) return;
      if (socket.writableLength < PONG_BACKLOG) ws.pong(data);
    });
    // Each is followed by `close`, which is where a session is given up.
    ws.on("error", (error) => {
      logger.debug("{connection}: {error}", { connection: this.#id, error });
      const refusal = socketRefusal(error);
      if (refusal) context.refused(refusal);
    });
    ws.on("close", (code) => this.#onClose(code));
    context.heartbeat.add(this);
    context.slowWatch?.add(this.#slow);
  }

  get client(): string {
    return this.#caller.client;
  }

  get address(): string {
    return this.#caller.address;
  }

  /** The number of bytes that the client has not taken. */
  get behind(): number {
    return this.#socket?.writableLength ?? 0;
  }

  get isGone(): boolean {
    const ws = this.#ws;
    return !ws || ws.readyState !== ws.OPEN;
  }

  /** It follows no topics: its runs are its own. */
  get subscriptions(): readonly [] {
    return [];
  }

  send(text: string): void {
    if (this.isGone) return;
    this.#ws!.send(text); // it is open
    this.#account?.set(this.behind);
    if (this.behind > MAX_BEHIND) this.drop();
  }

  drained(): Promise<void> {
    const socket = this.#socket;
    if (this.isGone || !socket?.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off("drain", done);
        socket.off("close", done);
        resolve();
      };
      socket.on("drain", done);
      socket.on("close", done);
    });
  }

  refused({ code }: Problem): void {
    this.#context.refused(code);
    logger.info("Refused a response of {address}: {code}", {
      address: this.address,
      code,
    });
  }

  drop(): void {
    this.#ws?.terminate();
  }

  /** The relay is drained: closes when what is being made is made. */
  leave(): void {
    this.#afterRuns(() => this.#close(CLOSINGS.draining));
  }

  finish(): void {
    this.#close(CLOSINGS.shuttingDown);
  }

  stop(): void {
    this.#close(CLOSINGS.shuttingDown);
  }

  closed(): Promise<void> {
    const ws = this.#ws;
    return new Promise((resolve) => {
      if (!ws || ws.readyState === ws.CLOSED) resolve();
      else ws.on("close", () => resolve());
    });
  }

  onExpiry(): void {
    this.#context.refused("token_expired");
    this.#isExpired = true;
    // Responses that were begun with a valid token are finished.
    this.#afterRuns(() => this.#close(CLOSINGS.tokenExpired));
  }

  /** A ping is always due: there is no other sign of life between responses. */
  takeSign(): boolean {
    return true;
  }

  onQuiet(): void {}

  /** Asks the client for a sign of life. */
  onInterval(): void {
    const ws = this.#ws;
    if (!ws) return;
    if (this.#missed >= MAX_MISSED) return ws.terminate();
    this.#missed++;
    if (this.behind < PONG_BACKLOG) ws.ping();
  }

  /** Looks whether the client takes what there is for it. */
  readonly #slow: Watched = {
    takeSign: () => {
      const socket = this.#socket as
        | (Duplex & { readonly bytesWritten?: number })
        | undefined;
      if (!socket || socket.writableLength === 0) return true;
      const before = this.#taken;
      this.#taken = (socket.bytesWritten ?? 0) - socket.writableLength;
      // The answer to a ping stands behind what is not read.
      if (this.#taken !== before) this.#missed = 0;
      return this.#taken !== before;
    },
    onQuiet: () => {
      this.#context.onSlow();
      this.drop();
    },
  };

  #close({ code, text }: Closing): void {
    const ws = this.#ws;
    if (!ws) return;
    ws.close(code, text);
    if (ws.isPaused) ws.resume();
  }

  #onClose(code: number): void {
    const { heartbeat, slowWatch, expiries, clock } = this.#context;
    heartbeat.delete(this);
    slowWatch?.delete(this.#slow);
    expiries.delete(this.#caller.access.expires, this);
    this.#account?.close();
    this.#receiving?.[Symbol.dispose]();
    for (const { waiting } of this.#lanes.values()) {
      for (const { account } of waiting.splice(0)) account[Symbol.dispose]();
    }
    this.connection?.leave();
    this.connection?.[Symbol.dispose]();
    tellClosed({
      connection: this.#id,
      address: this.address,
      start: this.#start,
      clock,
    }, code);
  }

  #afterRuns(then: () => void): void {
    if (this.#running === 0) then();
    else this.#whenIdle = then;
  }

  /** Counts what was read, as far as it is no whole message. */
  #onData(): void {
    const unfinished = this.#ws?.unfinished ?? 0;
    if (unfinished === 0) {
      this.#receiving?.[Symbol.dispose]();
      this.#receiving = undefined;
      return;
    }
    if (!this.#receiving) {
      this.#receiving = this.#context.received.open(this.client);
      this.#receiving.onRefused = ({ code }) => {
        this.#context.refused(code);
        this.#close(CLOSINGS.overloaded);
      };
    }
    this.#receiving.trySet(unfinished);
  }

  #takesMore(size: number): boolean {
    if (this.isGone) return false;
    if (this.#rates.take(size)) return true;
    this.#context.refused("message_rate");
    this.#close(CLOSINGS.messageRate);
    return false;
  }

  #onMessage(data: Uint8Array, isBinary: boolean): void {
    if (!this.#takesMore(data.byteLength)) return;
    if (isBinary) {
      this.#context.refused("invalid_frame");
      return this.#close({
        ...CLOSINGS.invalidFrame,
        text: "Expected a text frame, got a binary one",
      });
    }
    const account = this.#context.received.open(this.client);
    try {
      account.add(data.byteLength);
      account.whole();
    } catch (error) {
      account[Symbol.dispose]();
      return this.#tell(error);
    }
    this.#reading = this.#reading.then(() => this.#read(data, account));
  }

  async #read(data: Uint8Array, account: ReceiveAccount): Promise<void> {
    try {
      const message = await slices.run(
        `requests of ${this.client}`,
        readCreateMessage(data),
      );
      this.#enqueue({ message, account });
    } catch (error) {
      account[Symbol.dispose]();
      this.#tell(error);
    }
  }

  #enqueue(next: Waiting): void {
    if (this.isGone) return next.account[Symbol.dispose]();
    if (this.#isExpired) {
      next.account[Symbol.dispose]();
      return this.#tell(
        tokenRefusal.invalid(
          "expired",
          "The token has expired: connect with another",
        ),
        next.message.lane,
      );
    }
    const name = next.message.lane ?? "";
    let waiting = 0;
    for (const lane of this.#lanes.values()) waiting += lane.waiting.length;
    if (waiting >= MAX_WAITING) {
      next.account[Symbol.dispose]();
      return this.#tell(
        new Problem(
          STATUS_CODE.TooManyRequests,
          "too_many_requests",
          `Expected at most ${MAX_WAITING} messages that wait on one connection`,
        ),
        next.message.lane,
      );
    }
    let lane = this.#lanes.get(name);
    if (!lane) {
      lane = { waiting: [], isBusy: false };
      this.#lanes.set(name, lane);
    }
    lane.waiting.push(next);
    this.#begin();
  }

  /** Begins what may be made now. */
  #begin(): void {
    for (const [name, lane] of this.#lanes) {
      if (this.#running >= MAX_AT_ONCE) return;
      if (lane.isBusy) continue;
      const next = lane.waiting.shift();
      if (next) void this.#make(lane, next);
      else this.#lanes.delete(name);
    }
  }

  async #make(lane: Lane, { message, account }: Waiting): Promise<void> {
    lane.isBusy = true;
    this.#running++;
    try {
      await this.connection?.create(message);
    } catch (error) {
      this.#tell(error, message.lane);
    } finally {
      account[Symbol.dispose]();
      lane.isBusy = false;
      this.#running--;
    }
    const { isGone } = this;
    if (!isGone) this.#begin();
    if (this.#running === 0) this.#whenIdle?.();
  }

  /** Tells the client what is wrong with a message. */
  #tell(error: unknown, lane?: string): void {
    const told = problemOf(error);
    if (!told) {
      logger.error("Cannot answer a message of {connection}: {error}", {
        connection: this.#id,
        error,
      });
    }
    const problem = told ?? internalProblem();
    this.refused(problem);
    this.send(errorMessage(problem, lane));
  }
}
