import type { Buffer } from "node:buffer";
import { clearImmediate, setImmediate } from "node:timers";
// @ts-types="../ws.d.ts"
import type { WebSocket } from "ws";
import { StoreError } from "../topics/store.ts";
import {
  LINK_CLOSINGS,
  LinkProtocolError,
  numberAt,
  type Operation,
  packError,
  readMessage,
  unpackError,
} from "./wire.ts";

/** The events of a link. */
export interface ChannelEvents {
  /** Called with each operation but answers. What it throws closes the link. */
  onOperation(operation: Operation): void;
  /** Called once the link is closed. */
  onClose(code: number, reason: string): void;
  /** Called when there is room again after there was none. */
  onRoom?(): void;
}

/** One who waits for an answer. */
export interface Asked {
  /** Called with the answer. */
  resolve(answer: Operation): void;
  /** Called with the reason why there is none. */
  reject(error: Error): void;
}

/** The weight of what waits for the end of a turn, in bytes, at which it does not wait. */
const MAX_WAITING = 256 * 1024;

/**
 * The bytes on their way, beyond which a link has no room: what can be told later waits.
 * Nothing is given up, and the link goes on for as long as its peer answers.
 */
const MAX_UNSENT = 4 * 1024 * 1024;

/** The time between two looks for the peer, in milliseconds. */
const LOOK_INTERVAL = 5_000;

/** The number of looks in a row that may find no sign of the peer. */
const MAX_QUIET = 4;

/** A link is gone: what was asked over it may have been done. */
export class LinkLostError extends StoreError {
  /** Says that the parent is away. */
  constructor() {
    super(
      "away",
      "The relay that the topics live in is away: try again when it is back",
    );
    this.name = "LinkLostError";
  }
}

/**
 * One end of a link. What is said in one turn of the event loop leaves as one message:
 * a message costs 7 to 10 µs, and an operation less than one.
 *
 * Time is that of the system: with the clock of a test, which is moved by hand, no peer
 * would answer in time.
 */
export class Channel {
  readonly #ws: WebSocket;
  readonly #events: ChannelEvents;
  readonly #asked = new Map<number, Asked>();
  #waiting: Operation[] = [];
  /** The answers to appends that are the last of what waits. */
  #appended: (string | number)[] | undefined;
  #weight = 0;
  #flush: ReturnType<typeof setImmediate> | undefined;
  #nextRequest = 1;
  #unsent = 0;
  #wantsRoom = false;
  #quiet = 0;
  readonly #look: ReturnType<typeof setInterval>;
  #isClosed = false;
  /** The number of messages that were sent: what waits is in the next one. */
  sent = 0;

  /** Takes over a socket that is open. */
  constructor(ws: WebSocket, events: ChannelEvents) {
    this.#ws = ws;
    this.#events = events;
    ws.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    ws.on("close", (code, reason) => this.#onClose(code, `${reason}`));
    // It is told of by `close`.
    ws.on("error", () => {});
    this.#look = setInterval(() => {
      if (++this.#quiet > MAX_QUIET) ws.terminate();
    }, LOOK_INTERVAL);
  }

  /** Whether it can still be used. */
  get isOpen(): boolean {
    return !this.#isClosed;
  }

  /** Whether what can wait should be told now. */
  get hasRoom(): boolean {
    if (this.#unsent < MAX_UNSENT) return true;
    this.#wantsRoom = true;
    return false;
  }

  /**
   * Says something.
   *
   * @param weight About how many bytes it has.
   */
  send(operation: Operation, weight = 64): void {
    if (this.#isClosed) return;
    this.#appended = undefined;
    this.#waiting.push(operation);
    this.#weight += weight;
    if (this.#weight >= MAX_WAITING) this.flush();
    else this.#flush ??= setImmediate(() => this.flush());
  }

  /** Asks for something; resolves with the answer, whose values begin at place 2. */
  ask(name: string, values: readonly unknown[]): Promise<Operation> {
    return new Promise((resolve, reject) => {
      this.request(name, values, { resolve, reject });
    });
  }

  /**
   * Asks for something that the peer does by itself once there is no link: resolves when
   * it has answered, or the link is lost.
   */
  async askWhileOpen(name: string, values: readonly unknown[]): Promise<void> {
    try {
      await this.ask(name, values);
    } catch (error) {
      if (!(error instanceof LinkLostError)) throw error;
    }
  }

  /**
   * Asks for something whose answer has to be dealt with before what comes behind it: a
   * promise would tell of it too late.
   *
   * @returns The request, which can be changed until the next message was sent.
   */
  request(
    name: string,
    values: readonly unknown[],
    asked: Asked,
    weight?: number,
  ): unknown[] {
    const request = this.#nextRequest++;
    const operation = [name, request, ...values];
    if (this.#isClosed) asked.reject(new LinkLostError());
    else {
      this.#asked.set(request, asked);
      this.send(operation, weight);
    }
    return operation;
  }

  /** Answers a request of the peer. */
  answer(request: number, ...values: readonly unknown[]): void {
    this.send(["ok", request, ...values]);
  }

  /**
   * Answers an append of the peer. Answers that follow each other are one operation: each
   * costs a third of what it would by itself.
   */
  answerAppend(
    request: number,
    offset: number,
    time: number,
    first: number,
    bytes: number,
  ): void {
    if (this.#appended) {
      this.#appended.push(request, offset, time, first, bytes);
      return;
    }
    const appended = ["k", request, offset, time, first, bytes];
    this.send(appended);
    this.#appended = appended;
  }

  /** Refuses a request of the peer. */
  refuse(request: number, error: unknown): void {
    this.send(["no", request, packError(error)]);
  }

  /** Answers a request of the peer with what comes of it. */
  async answerWith(request: number, act: () => unknown): Promise<void> {
    let value: unknown;
    try {
      value = await act();
    } catch (error) {
      if (error instanceof LinkProtocolError) return this.fail(error);
      return this.refuse(request, error);
    }
    this.answer(request, value ?? null);
  }

  /** Sends what waits for the end of the turn. */
  flush(): void {
    if (this.#flush !== undefined) clearImmediate(this.#flush);
    this.#flush = undefined;
    if (this.#waiting.length === 0 || this.#isClosed) return;
    const text = JSON.stringify(this.#waiting);
    this.#waiting = [];
    this.#appended = undefined;
    this.#weight = 0;
    this.sent++;
    const { length } = text;
    this.#unsent += length;
    this.#ws.send(text, () => {
      this.#unsent -= length;
      if (!this.#wantsRoom || this.#unsent >= MAX_UNSENT / 2) return;
      this.#wantsRoom = false;
      if (!this.#isClosed) this.#events.onRoom?.();
    });
  }

  /** Says goodbye. */
  close(code: number, reason: string): void {
    this.flush();
    this.#ws.close(code, reason);
  }

  /** Closes at once. */
  terminate(): void {
    this.#ws.terminate();
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#isClosed) return;
    this.#quiet = 0;
    try {
      if (isBinary) throw new LinkProtocolError("Expected text");
      for (const operation of readMessage(data.toString())) {
        const [name] = operation;
        if (name === "k") this.#onAppended(operation);
        else if (name === "ok" || name === "no") this.#onAnswer(operation);
        else this.#events.onOperation(operation);
      }
    } catch (error) {
      this.fail(error);
    }
  }

  #onAppended(operation: Operation): void {
    for (let at = 1; at < operation.length; at += 5) {
      this.#onAnswer([
        "ok",
        operation[at],
        operation[at + 1],
        operation[at + 2],
        operation[at + 3],
        operation[at + 4],
      ]);
    }
  }

  #onAnswer(operation: Operation): void {
    const request = numberAt(operation, 1);
    const asked = this.#asked.get(request);
    // It was asked for by nobody who is still there.
    if (!asked) return;
    this.#asked.delete(request);
    if (operation[0] === "ok") asked.resolve(operation);
    else asked.reject(unpackError(operation, 2));
  }

  /** Closes it, as the peer has said something that it may not say. */
  fail(error: unknown): void {
    const { message } = error instanceof LinkProtocolError
      ? error
      : new LinkProtocolError("Expected what a relay says", { cause: error });
    this.close(LINK_CLOSINGS.invalid, message.slice(0, 100));
    this.#onClose(LINK_CLOSINGS.invalid, message);
  }

  #onClose(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#look);
    if (this.#flush !== undefined) clearImmediate(this.#flush);
    this.#waiting = [];
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const one of asked) one.reject(new LinkLostError());
    this.#events.onClose(code, reason);
  }
}
