import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type IncomingHttpHeaders,
} from "node:http2";
import type { Duplex } from "node:stream";
import type { Clock } from "../../src/fetch/clock.ts";
import {
  AnswerBody,
  answerOf,
  isBodiless,
  type UpstreamAnswer,
} from "./answer.ts";
import { CONNECT_TIMEOUT, ConnectTimeoutError } from "./connect_timeout.ts";
import { MAX_HEAD, MAX_HEADERS } from "./head_limits.ts";
import { HeaderList } from "../header_list.ts";
import { Http2Frames } from "./http2_frames.ts";
import { InformationalAnswers } from "./informational.ts";
import { UpstreamConnectionError } from "./upstream_connection_error.ts";
import type { UpstreamRequest } from "./upstream_request.ts";
import { writeBody } from "./write_body.ts";

/** Connects to an upstream; resolves with a connection over which HTTP/2 was agreed on. */
export type ConnectHttp2 = (
  url: URL,
  signal: AbortSignal,
) => Promise<Duplex>;

/** Headers of HTTP/1.1 that HTTP/2 does not have (RFC 9113, section 8.2.2). */
const LEFT_OUT =
  /^(?:connection|content-length|host|keep-alive|proxy-connection|te|transfer-encoding|upgrade)$/;

/** The time for which an idle connection is kept, in milliseconds, as over HTTP/1.1. */
const IDLE_TIMEOUT = 4_000;

/** One connection, which carries one request at a time. */
interface Connection {
  readonly session: ClientHttp2Session;
  readonly frames: Http2Frames;
  wasUsed: boolean;
  /** Stops the time for which it is kept. */
  stopWaiting(): void;
}

/**
 * Asks upstreams over HTTP/2.
 *
 * A connection carries one request at a time, as over HTTP/1.1: a reader that stops
 * reading holds up nobody else, no upstream has too many requests at once, and a
 * connection that is lost costs one answer.
 */
export class Http2Connections implements Disposable {
  readonly #clock: Clock;
  readonly #idle = new Map<string, Set<Connection>>();
  readonly #open = new Set<ClientHttp2Session>();

  /** Has no connections yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Asks an upstream once.
   *
   * @param url The URL.
   * @param asked The request.
   * @param connect Connects, if no connection is idle.
   * @returns The answer, as it comes. A redirect is not followed.
   * @throws {UpstreamConnectionError} If there is none.
   */
  async ask(
    url: URL,
    asked: UpstreamRequest,
    connect: ConnectHttp2,
  ): Promise<UpstreamAnswer> {
    const { origin } = url;
    const kept = asked.isKept ? this.#takeIdle(origin) : undefined;
    const connection = kept ?? await this.#connect(url, asked.signal, connect);
    return await this.#exchange(url, asked, connection);
  }

  /** Closes every connection. */
  [Symbol.dispose](): void {
    for (const session of this.#open) session.destroy();
  }

  #takeIdle(origin: string): Connection | undefined {
    const idle = this.#idle.get(origin) ?? [];
    for (const connection of idle) {
      this.#forget(origin, connection);
      const { session } = connection;
      if (!session.destroyed && !session.closed) return connection;
    }
    return undefined;
  }

  async #connect(
    url: URL,
    signal: AbortSignal,
    connect: ConnectHttp2,
  ): Promise<Connection> {
    const gone = new AbortController();
    const abort = (): void => gone.abort(signal.reason);
    signal.addEventListener("abort", abort);
    const stopWaiting = this.#clock.setTimeout(
      () => gone.abort(new ConnectTimeoutError()),
      CONNECT_TIMEOUT,
    );
    let socket: Duplex;
    try {
      signal.throwIfAborted();
      socket = await connect(url, gone.signal);
      if (gone.signal.aborted) {
        socket.destroy();
        throw gone.signal.reason;
      }
    } catch (error) {
      signal.throwIfAborted();
      const cause = gone.signal.aborted ? gone.signal.reason : error;
      throw new UpstreamConnectionError(cause, { isUnsent: true });
    } finally {
      stopWaiting();
      signal.removeEventListener("abort", abort);
    }
    const frames = new Http2Frames();
    const push = socket.push.bind(socket);
    socket.push = (part: Uint8Array | null) => {
      if (part) frames.read(part);
      return push(part);
    };
    const session = connectHttp2(url.origin, {
      createConnection: () => socket,
      maxHeaderListPairs: MAX_HEADERS,
      settings: { enablePush: false, maxHeaderListSize: MAX_HEAD },
    });
    this.#open.add(session);
    session.on("error", () => {}); // its stream is told
    const connection: Connection = {
      session,
      frames,
      wasUsed: false,
      stopWaiting: () => {},
    };
    session.on("close", () => {
      this.#open.delete(session);
      this.#forget(url.origin, connection);
      socket.destroy();
    });
    return connection;
  }

  /** Keeps a connection for the next request. */
  #keep(origin: string, connection: Connection): void {
    const { session } = connection;
    connection.wasUsed = true;
    const idle = this.#idle.get(origin) ?? new Set();
    this.#idle.set(origin, idle.add(connection));
    connection.stopWaiting = this.#clock.setTimeout(
      () => session.destroy(),
      IDLE_TIMEOUT,
    );
  }

  /** Keeps a connection no longer. */
  #forget(origin: string, connection: Connection): void {
    connection.stopWaiting();
    const idle = this.#idle.get(origin);
    idle?.delete(connection);
    if (idle?.size === 0) this.#idle.delete(origin);
  }

  #exchange(
    url: URL,
    { method, headers, body, length, isKept, signal }: UpstreamRequest,
    connection: Connection,
  ): Promise<UpstreamAnswer> {
    const { session, frames, wasUsed } = connection;
    const { promise, resolve, reject } = Promise.withResolvers<
      UpstreamAnswer
    >();
    let isAnswered = false;
    let isOver = false;
    let stream: ClientHttp2Stream | undefined;
    const id = (): number => stream?.id ?? 0;
    const fail = (cause: unknown): void => {
      session.destroy();
      reject(
        signal.aborted ? signal.reason : new UpstreamConnectionError(cause, {
          isUnsent: stream === undefined || frames.isRefused(id()),
          isStale: wasUsed && !isAnswered,
        }),
      );
    };
    try {
      stream = session.request({
        ":method": method,
        ":path": url.pathname + url.search,
        ":scheme": "https",
        ":authority": url.host,
        ...Object.fromEntries(
          [...headers].filter(([name]) => !LEFT_OUT.test(name)),
        ),
        ...(length !== undefined && { "content-length": String(length) }),
      }, { endStream: body === null });
    } catch (cause) {
      fail(cause);
      return promise;
    }
    const asked = stream;
    const abort = (): void => fail(signal.reason);
    signal.addEventListener("abort", abort);
    asked.on("close", () => {
      signal.removeEventListener("abort", abort);
      if (!isOver) fail(new Error("the answer has broken off"));
    });
    asked.on("error", fail);
    const informational = new InformationalAnswers();
    asked.on("headers", ({ ":status": status }) => {
      isAnswered = true;
      const failure = informational.add(Number(status));
      if (failure) fail(failure);
    });
    asked.on("response", (answered) => {
      isAnswered = true;
      try {
        resolve(toAnswer(answered, method, () =>
          new AnswerBody(asked, {
            isWhole: () => frames.hasEnded(id()),
            cancel: () => session.destroy(),
            signal,
          })));
        // Without a body it is over when it is read.
        asked.resume();
      } catch (cause) {
        fail(cause);
      }
    });
    asked.on("end", () => {
      // Without END_STREAM it was reset, or the connection is being closed.
      if (!frames.hasEnded(id())) {
        return fail(new Error("the answer has broken off"));
      }
      isOver = true;
      const isReusable = isKept && (body === null || asked.writableFinished) &&
        !session.closed && !session.destroyed;
      if (isReusable) this.#keep(url.origin, connection);
      else session.destroy();
    });
    if (body !== null) writeBody(asked, body).catch(fail);
    return promise;
  }
}

function toAnswer(
  answered: IncomingHttpHeaders & { readonly ":status"?: number | undefined },
  method: string,
  body: () => AnswerBody,
): UpstreamAnswer {
  const headers = new HeaderList();
  for (const [name, value] of Object.entries(answered)) {
    if (name.startsWith(":")) continue;
    for (const one of [value].flat()) headers.append(name, String(one));
  }
  const status = Number(answered[":status"]);
  return answerOf(
    status,
    "",
    headers,
    isBodiless(status, method) ? null : body(),
  );
}
