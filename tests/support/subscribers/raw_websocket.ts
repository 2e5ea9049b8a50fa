/**
 * A WebSocket client that sends what no client should.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { ReceivedBytes } from "../http/received_bytes.ts";
import { upgradeRequest } from "../http/upgrade_request.ts";
import { LIMIT, within } from "../within.ts";

/** The opcodes of RFC 6455, section 11.8. */
export const OPCODE = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

/** The fields of a frame that differ from the usual ones. */
export interface FrameOptions {
  /** Default: `true`. */
  readonly fin?: boolean;
  /** Default: `true`. */
  readonly masked?: boolean;
  /** The three reserved bits, as a number up to 7. Default: 0. */
  readonly reserved?: number;
  /** The length that is claimed. Default: that of the payload. */
  readonly length?: bigint;
}

/** Makes a frame (RFC 6455, section 5.2), right or wrong. */
export function makeFrame(
  opcode: number,
  payload: string | Uint8Array,
  { fin = true, masked = true, reserved = 0, length }: FrameOptions = {},
): Uint8Array {
  const bytes = Buffer.from(payload);
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const claimed = length ?? BigInt(bytes.length);
  const flag = masked ? 0x80 : 0;
  let head: Uint8Array;
  if (claimed < 126n) {
    head = Uint8Array.of(first, flag | Number(claimed));
  } else if (claimed < 65_536n) {
    const size = Number(claimed);
    head = Uint8Array.of(first, flag | 126, size >> 8, size & 0xFF);
  } else {
    head = Uint8Array.of(first, flag | 127, ...new Uint8Array(8));
    new DataView(head.buffer).setBigUint64(2, claimed);
  }
  const mask = Uint8Array.of(1, 2, 3, 4);
  if (!masked) return Buffer.concat([head, bytes]);
  return Buffer.concat([head, mask, bytes.map((b, i) => b ^ mask[i % 4]!)]);
}

/** The payload of a close frame. */
export function closePayload(code: number, reason = ""): Uint8Array {
  return Buffer.concat([
    Uint8Array.of(code >> 8, code & 0xFF),
    Buffer.from(reason),
  ]);
}

/** A frame that came. */
export interface Frame {
  readonly opcode: number;
  readonly payload: Uint8Array;
}

/** An answer to a request for an upgrade. */
export interface UpgradeAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** A TCP connection, of which every byte is decided. */
export class RawClient implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #received = new ReceivedBytes();
  #isOver = false;
  #changed = Promise.withResolvers<void>();
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on("data", (data: Uint8Array) => {
      this.#received.add(data);
      this.#change();
    });
    // Followed by `close`.
    socket.on("error", () => {});
    socket.on("end", () => {
      this.#isOver = true;
      this.#change();
    });
    socket.on("close", () => {
      this.#isOver = true;
      this.#change();
      resolve();
    });
  }

  /** Connects. */
  static async connect(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return client;
  }

  /** Sends bytes; resolves when they have left, or cannot any more. */
  send(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.write(Buffer.from(bytes), () => resolve());
    });
  }

  /** Reads no more. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#socket.resume();
  }

  /** Sends a FIN. */
  end(): void {
    this.#socket.end();
  }

  /** Sends an RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Takes bytes off what was received, once `measure` says how many. */
  async take(
    measure: (received: Uint8Array) => number | undefined,
    what: string,
  ): Promise<Uint8Array | undefined> {
    for (;;) {
      const length = measure(this.#received.bytes);
      if (length !== undefined) return this.#received.take(length);
      if (this.#isOver) return undefined;
      this.#changed = Promise.withResolvers();
      await within(this.#changed.promise, LIMIT, what);
    }
  }

  /** Cuts the connection, and waits until it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await this.closed;
  }

  #change(): void {
    this.#changed.resolve();
  }
}

function headLength(received: Uint8Array): number | undefined {
  const end = Buffer.from(received).indexOf("\r\n\r\n");
  return end < 0 ? undefined : end + 4;
}

/** Asks for an upgrade, and reads the answer. */
export async function requestUpgrade(
  client: RawClient,
  target: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Promise<UpgradeAnswer> {
  await client.send(upgradeRequest(target, headers, method));
  const head = await client.take(headLength, `an answer to ${target}`);
  const [first = "", ...fields] = Buffer.from(head ?? []).toString()
    .split("\r\n");
  const answered = new Headers();
  for (const field of fields) {
    const colon = field.indexOf(":");
    if (colon > 0) {
      answered.append(field.slice(0, colon), field.slice(colon + 1));
    }
  }
  const length = Number(answered.get("content-length") ?? 0);
  const body = await client.take(
    (received) => received.length >= length ? length : undefined,
    "the body of an answer",
  );
  return {
    status: Number(first.split(" ")[1]),
    headers: answered,
    body: Buffer.from(body ?? []).toString(),
  };
}

/** A WebSocket over a connection that was upgraded. */
export class RawWebSocket implements AsyncDisposable {
  /** The connection. */
  readonly client: RawClient;

  private constructor(client: RawClient) {
    this.client = client;
  }

  /** Connects and upgrades. */
  static async open(
    origin: string,
    target: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RawWebSocket> {
    const client = await RawClient.connect(origin);
    const { status, body } = await requestUpgrade(client, target, headers);
    if (status !== 101) throw new Error(`No upgrade: ${status} ${body}`);
    return new RawWebSocket(client);
  }

  /** Sends a frame. */
  send(
    opcode: number,
    payload: string | Uint8Array,
    options?: FrameOptions,
  ): Promise<void> {
    return this.client.send(makeFrame(opcode, payload, options));
  }

  /** Sends a message of the protocol. */
  say(message: unknown): Promise<void> {
    return this.send(OPCODE.text, JSON.stringify(message));
  }

  /** Reads the next frame; `undefined` where the connection ends. */
  async frame(): Promise<Frame | undefined> {
    let head = 2;
    const bytes = await this.client.take((received) => {
      if (received.length < 2) return undefined;
      const view = new DataView(received.buffer, received.byteOffset);
      let length = received[1]!; // two bytes at least
      if (length === 126) {
        if (received.length < 4) return undefined;
        [head, length] = [4, view.getUint16(2)];
      } else if (length === 127) {
        if (received.length < 10) return undefined;
        [head, length] = [10, Number(view.getBigUint64(2))];
      }
      return received.length >= head + length ? head + length : undefined;
    }, "a frame");
    if (!bytes) return undefined;
    return { opcode: bytes[0]! & 0x0F, payload: bytes.subarray(head) };
  }

  /** Reads on to the next message of this type. */
  async message(type: string): Promise<Record<string, unknown>> {
    for (;;) {
      const message = await this.next();
      if (!message) throw new Error(`The connection was closed before ${type}`);
      if (message["type"] === type) return message;
    }
  }

  /** Takes the next message, as pings are none; `undefined` if the connection is closed. */
  async next(): Promise<Record<string, unknown> | undefined> {
    for (;;) {
      const frame = await this.frame();
      if (!frame || frame.opcode === OPCODE.close) return undefined;
      if (frame.opcode !== OPCODE.text) continue;
      return JSON.parse(Buffer.from(frame.payload).toString());
    }
  }

  /**
   * Reads on to the close frame and the end of the connection.
   *
   * @returns The code; 1005 for a close frame without one, `undefined` where
   * there was no close frame.
   */
  async closeCode(): Promise<number | undefined> {
    for (;;) {
      const frame = await this.frame();
      if (!frame) return undefined;
      if (frame.opcode !== OPCODE.close) continue;
      const [high, low] = frame.payload;
      // A client answers a close with its code; the server closes then.
      await this.send(OPCODE.close, frame.payload.subarray(0, 2));
      await within(this.client.closed, LIMIT, "the end of the connection");
      return high === undefined || low === undefined ? 1005 : high << 8 | low;
    }
  }

  /** Cuts the connection. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.client[Symbol.asyncDispose]();
  }
}
