import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import { isFields, parseData } from "../../../src/model/wires/event_data.ts";
import { encodeEvent } from "../../../src/sse/encode.ts";
import { HeaderList } from "../../header_list.ts";
import {
  AnswerBody,
  answerOf,
  type UpstreamAnswer,
} from "../../upstream/answer.ts";
import { UpstreamConnectionError } from "../../upstream/upstream_connection_error.ts";
import type { Upstreams } from "../../upstream/upstreams.ts";
import { openUpstreamWebSocket } from "../../upstream/upstream_websocket.ts";
import { ResponseOutput } from "./response_output.ts";

/** The open WebSocket. */
type Socket = Extract<
  Awaited<ReturnType<typeof openUpstreamWebSocket>>,
  { kind: "open" }
>["socket"];

/** A response that a provider is asked for over its WebSocket. */
export interface SocketRequest {
  /** The URL. */
  readonly url: URL;
  /** The headers of the upgrade, if there has to be one. */
  readonly headers: HeaderList;
  /** Stops the request, and its answer. */
  readonly signal: AbortSignal;
  /** The message, with all of the input. */
  readonly whole: Uint8Array;
  /** The message for the connection that has made the response before it, if there is one. */
  readonly rest:
    | { readonly previousId: string; readonly message: Uint8Array }
    | undefined;
}

/** The statuses with which a server says that it has no WebSocket there. */
const HAS_NONE: ReadonlySet<number> = new Set([200, 400, 404, 405, 426, 501]);

/** The longest time that a connection is used for, in milliseconds: OpenAI closes it after an hour. */
const MAX_AGE = 55 * 60_000;

/**
 * A connection to a provider that makes one response after the other over a WebSocket.
 * It makes each response look like the answer to a POST, so that the same run follows
 * both.
 */
export class ProviderSocket implements Disposable {
  readonly #upstreams: Upstreams;
  readonly #now: () => number;
  #socket: Socket | undefined;
  #openedAt = 0;
  /** The last response that was made on the connection. */
  #lastId: string | undefined;
  #isClosed = false;

  /**
   * Has no connection yet.
   *
   * @param upstreams Connects.
   * @param now Returns the time, in milliseconds.
   */
  constructor(upstreams: Upstreams, now: () => number) {
    this.#upstreams = upstreams;
    this.#now = now;
  }

  /**
   * Asks for a response.
   *
   * @returns The answer; `undefined` if the provider makes none over a WebSocket.
   * @throws {UpstreamConnectionError} If there is no connection.
   */
  async ask(asked: SocketRequest): Promise<UpstreamAnswer | undefined> {
    let socket = this.#usable();
    if (!socket) {
      const made = await openUpstreamWebSocket(this.#upstreams, asked);
      if (made.kind === "refused") {
        const { answer } = made;
        if (!HAS_NONE.has(answer.status)) return answer;
        answer.body?.cancel();
        return undefined;
      }
      socket = made.socket;
      if (this.#isClosed || asked.signal.aborted) {
        socket.terminate();
        asked.signal.throwIfAborted();
        throw new UpstreamConnectionError(new Error("the caller has left"), {
          isUnsent: true,
        });
      }
      this.#socket = socket;
      this.#openedAt = this.#now();
      this.#lastId = undefined;
    }
    const { rest, whole } = asked;
    const isKnown = rest !== undefined && rest.previousId === this.#lastId;
    const answer = this.#answer(socket, asked.signal);
    socket.send(isKnown ? rest.message : whole, { binary: false });
    return await answer;
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#socket?.close(1000);
    this.#drop();
  }

  #drop(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  #usable(): Socket | undefined {
    const socket = this.#socket;
    if (!socket) return undefined;
    const isYoung = this.#now() - this.#openedAt < MAX_AGE;
    if (isYoung && socket.readyState === socket.OPEN) return socket;
    this.#drop();
    return undefined;
  }

  /** Returns the next messages as an event stream, or an error before them as a refusal. */
  #answer(socket: Socket, signal: AbortSignal): Promise<UpstreamAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<
      UpstreamAnswer
    >();
    const output = new ResponseOutput();
    const stream = new Readable({ read: () => socket.resume() });
    let isBegun = false;
    let isOver = false;
    const onMessage = (data: Buffer): void => {
      const text = String(data);
      const wire = parseData(text);
      const type = isFields(wire) && typeof wire.type === "string"
        ? wire.type
        : "message";
      if (!isBegun && type === "error" && isFields(wire)) {
        finish();
        return resolve(refusal(wire));
      }
      if (!isBegun) begin();
      output.take(text);
      const event = /[\0\r\n]/.test(type) ? "message" : type;
      if (!stream.push(Buffer.from(encodeEvent({ event, data: text })))) {
        socket.pause();
      }
      if (!output.isOver) return;
      if (output.isKept) this.#lastId = output.id;
      finish();
      stream.push(null);
    };
    const begin = (): void => {
      isBegun = true;
      resolve(answerOf(
        200,
        "OK",
        new HeaderList([["content-type", "text/event-stream"]]),
        new AnswerBody(stream, {
          isWhole: () => isOver,
          cancel: abort,
          signal,
        }),
      ));
    };
    const onClose = (): void => {
      const lost = new Error("the provider has closed its WebSocket");
      finish();
      this.#socket = undefined;
      if (isBegun) stream.destroy(lost);
      else reject(new UpstreamConnectionError(lost));
    };
    // A response that nobody wants is stopped as one of a POST is: by hanging up.
    const abort = (): void => {
      if (isOver) return;
      finish();
      this.#drop();
      if (isBegun) stream.destroy();
      else reject(signal.reason);
    };
    const finish = (): void => {
      isOver = true;
      socket.off("message", onMessage);
      socket.off("close", onClose);
      signal.removeEventListener("abort", abort);
      socket.resume();
    };
    socket.on("message", onMessage);
    socket.on("close", onClose);
    socket.on("error", ignore);
    signal.addEventListener("abort", abort);
    return promise;
  }
}

/** `close` follows, which is where it is noticed. */
function ignore(): void {}

/** Returns an error of a provider as the answer of a POST has it. */
function refusal(
  { status, error, headers, ...rest }: Readonly<Record<string, unknown>>,
): UpstreamAnswer {
  const isStatus = typeof status === "number" && Number.isInteger(status) &&
    status >= 400 && status <= 599;
  const body = Buffer.from(JSON.stringify({ error: error ?? rest }));
  const list = new HeaderList([
    ["content-type", "application/json"],
    ["content-length", String(body.length)],
  ]);
  if (isFields(headers)) {
    const [[, after] = []] = Object.entries(headers)
      .filter(([name]) => name.toLowerCase() === "retry-after");
    if (/^[\w ,:.]{1,64}$/.test(String(after))) {
      list.set("retry-after", String(after));
    }
  }
  const stream = Readable.from([body]);
  return answerOf(
    isStatus ? status : 400,
    "",
    list,
    new AnswerBody(stream, {
      isWhole: () => true,
      cancel: () => stream.destroy(),
      signal: new AbortController().signal,
    }),
  );
}
