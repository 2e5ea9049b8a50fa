/**
 * Both kinds of connection over plain sockets, which can stall and be reset.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import {
  closePayload,
  makeFrame,
  OPCODE,
} from "../support/subscribers/raw_websocket.ts";
import { upgradeRequest } from "../support/http/upgrade_request.ts";
import type { Closing, Line, LineEvents } from "./line.ts";

const CONTINUE = 0x80;

/** Reads the bytes of one kind of connection. */
interface Reader {
  /** Takes what has come; returns how much of it. */
  read(bytes: Uint8Array): number;
  /** Returns the way in which it was closed, as far as the relay said so. */
  closing(): Closing;
  /** Returns the bytes that say that this side leaves. */
  farewell(): Uint8Array | undefined;
}

abstract class SocketLine implements Line {
  readonly gone: Promise<void>;
  protected readonly events: LineEvents;
  readonly #socket: Socket;
  #rest: Uint8Array | undefined;
  #reader: Reader | undefined;
  #status = 0;
  #isLeft = false;

  constructor(port: number, request: string, events: LineEvents) {
    this.events = events;
    const socket = connect(port, "127.0.0.1");
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    socket.on("connect", () => socket.write(request));
    socket.on("data", (data: Uint8Array) => this.#take(data));
    // Followed by `close`.
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      if (!this.#isLeft) {
        this.#isLeft = true;
        events.onClose(
          this.#reader?.closing() ??
            { kind: "refused", status: this.#status },
        );
      }
      resolve();
    });
  }

  abstract say(message: unknown): void;

  /** Begins to read what follows the head of the answer. */
  protected abstract begin(
    status: number,
    headers: Headers,
  ): Reader | undefined;

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  leave(how: "close" | "fin" | "reset"): void {
    this.#isLeft = true;
    const socket = this.#socket;
    if (how === "reset") return void socket.resetAndDestroy();
    const farewell = how === "close" ? this.#reader?.farewell() : undefined;
    if (farewell) socket.write(farewell);
    // Bytes that are still on their way are read and ignored.
    socket.end();
    socket.resume();
  }

  protected send(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  #take(data: Uint8Array): void {
    if (this.#isLeft) return;
    let bytes = this.#rest ? Buffer.concat([this.#rest, data]) : data;
    this.#rest = undefined;
    try {
      if (!this.#reader) {
        const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
          .indexOf("\r\n\r\n");
        if (end < 0) return void (this.#rest = bytes);
        const head = Buffer.from(bytes.subarray(0, end)).toString();
        const [first = "", ...fields] = head.split("\r\n");
        const headers = new Headers();
        for (const field of fields) {
          const colon = field.indexOf(":");
          headers.append(field.slice(0, colon), field.slice(colon + 1).trim());
        }
        this.#status = Number(first.split(" ")[1]);
        this.#reader = this.begin(this.#status, headers);
        if (!this.#reader) return;
        bytes = bytes.subarray(end + 4);
        this.events.onOpen(headers);
      }
      const taken = this.#reader.read(bytes);
      if (taken < bytes.length) this.#rest = bytes.subarray(taken);
    } catch (error) {
      this.#isLeft = true;
      this.#socket.destroy();
      this.events.onError(error);
    }
  }
}

/** A WebSocket. */
export class WebSocketLine extends SocketLine {
  #code: number | undefined;

  /** Connects to a path of the relay at this port. */
  constructor(port: number, path: string, events: LineEvents) {
    super(
      port,
      upgradeRequest(path),
      events,
    );
  }

  say(message: unknown): void {
    this.send(makeFrame(OPCODE.text, JSON.stringify(message)));
  }

  protected begin(status: number): Reader | undefined {
    if (status !== 101) return undefined;
    return {
      read: (bytes) => this.#read(bytes),
      closing: () =>
        this.#code === undefined
          ? { kind: "cut" }
          : { kind: "code", code: this.#code },
      farewell: () => makeFrame(OPCODE.close, closePayload(1000)),
    };
  }

  #read(bytes: Uint8Array): number {
    let at = 0;
    for (;;) {
      const left = bytes.length - at;
      if (left < 2) return at;
      let length = bytes[at + 1]!; // two are left
      let head = 2;
      if (length >= 126) {
        head = length === 126 ? 4 : 10;
        if (left < head) return at;
        length = 0;
        for (let index = at + 2; index < at + head; index++) {
          length = length * 256 + bytes[index]!; // within the head
        }
      }
      if (left < head + length) return at;
      const payload = bytes.subarray(at + head, at + head + length);
      this.#onFrame(bytes[at]!, payload, head + length);
      at += head + length;
    }
  }

  #onFrame(first: number, payload: Uint8Array, bytes: number): void {
    if (this.#code !== undefined) {
      throw new Error(`A frame ${first} came after the close frame`);
    }
    switch (first - CONTINUE) {
      case OPCODE.text:
        return this.events.onMessage(payload, bytes);
      case OPCODE.ping:
        return this.send(makeFrame(OPCODE.pong, payload));
      case OPCODE.pong:
        return;
      case OPCODE.close: {
        const [high, low] = payload;
        this.#code = high === undefined || low === undefined
          ? 1005
          : high << 8 | low;
        return this.send(makeFrame(OPCODE.close, payload.subarray(0, 2)));
      }
      default:
        throw new Error(`A frame begins with ${first}`);
    }
  }
}

/** An event stream: its messages are whole blocks, each with its empty line. */
export class EventStreamLine extends SocketLine {
  #status = 0;
  #isWhole = false;
  /** The number of bytes left of a chunk; -2 for the line end after it. */
  #chunk = 0;
  #text: Uint8Array = new Uint8Array();

  /** Asks for a path of the relay at this port. */
  constructor(port: number, path: string, events: LineEvents) {
    super(
      port,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n` +
        "Connection: close\r\n\r\n",
      events,
    );
  }

  say(): void {}

  protected begin(status: number, headers: Headers): Reader | undefined {
    this.#status = status;
    if (status !== 200 || headers.get("transfer-encoding") !== "chunked") {
      return undefined;
    }
    return {
      read: (bytes) => this.#read(bytes),
      closing: () =>
        this.#isWhole && this.#text.length === 0
          ? { kind: "end" }
          : { kind: "cut" },
      farewell: () => undefined,
    };
  }

  #read(bytes: Uint8Array): number {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    while (at < bytes.length) {
      if (this.#chunk > 0) {
        const part = buffer.subarray(at, at + this.#chunk);
        at += part.length;
        this.#chunk -= part.length;
        if (this.#chunk === 0) this.#chunk = -2;
        this.#onBody(part);
        continue;
      }
      const end = buffer.indexOf("\r\n", at);
      if (end < 0) return at;
      if (this.#chunk === -2) {
        if (end !== at) throw new Error("A chunk is longer than it says");
        this.#chunk = 0;
      } else {
        if (this.#isWhole && end !== at) {
          const more = JSON.stringify(buffer.toString("latin1", at, at + 200));
          throw new Error(`More came after the end: ${more}`);
        }
        const size = parseInt(buffer.toString("latin1", at, end), 16);
        if (size === 0) this.#isWhole = true;
        else if (size > 0) this.#chunk = size;
        else if (!this.#isWhole) throw new Error("A chunk has no size");
      }
      at = end + 2;
    }
    return at;
  }

  #onBody(part: Uint8Array): void {
    const text = Buffer.concat([this.#text, part]);
    const end = text.lastIndexOf("\n\n") + 2;
    this.#text = text.subarray(Math.max(end, 0));
    if (end < 2) return void (this.#text = text);
    this.events.onMessage(text.subarray(0, end), end);
  }
}
