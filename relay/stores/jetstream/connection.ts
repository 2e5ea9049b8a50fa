import { getLogger } from "@logtape/logtape";
import {
  jetstream,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
} from "@nats-io/jetstream";
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type Msg,
  type NatsConnection,
  nkeyAuthenticator,
  type NodeConnectionOptions,
  TimeoutError,
} from "@nats-io/transport-node";
import { readFile } from "node:fs/promises";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { StoreError } from "../../topics/store.ts";
import type { NatsAddress } from "./nats_address.ts";
import { isNoStream, isPassing, storeErrorOf } from "./failures.ts";
import { Hearing } from "./hearing.ts";
import { type HeardErrors, keepErrorsHeard } from "./socket_errors.ts";

/**
 * The time for which a request is repeated that NATS cannot answer now, unless
 * a store says otherwise, in milliseconds.
 */
const PATIENCE = 10_000;

/** The time to wait for one answer, in milliseconds. */
const ANSWER_TIMEOUT = 2_000;

/** The time between two attempts, in milliseconds. */
const RETRY_INTERVAL = 100;

/**
 * The time that the start waits for NATS before it goes on without it, in
 * milliseconds.
 */
const START_PATIENCE = 5_000;

/** The time between two attempts to connect for the first time, in milliseconds. */
const START_INTERVAL = 500;

/** The time between two looks at the streams, in milliseconds. */
const VERIFY_INTERVAL = 15_000;

/** The same while they seem to be gone, in milliseconds. */
const GONE_INTERVAL = 1_000;

const logger = getLogger(["rivulet", "relay", "store"]);

/** The parts of a connection while NATS can be reached. */
export interface Connected {
  readonly nats: NatsConnection;
  readonly js: JetStreamClient;
  readonly manager: JetStreamManager;
}

/** The events that a connection reports to its store. */
export interface ConnectionEvents {
  /** Prepares what the store needs, once the first connection is there. */
  prepare(connected: Connected): Promise<void>;
  /**
   * Finds out whether what was prepared is there.
   *
   * @throws What NATS answers, and a {@linkcode StoreError} of `corrupt`, if it is not.
   */
  verify(connected: Connected): Promise<void>;
  /** The first connection is there. */
  onConnect(connected: Connected): void;
  /** The connection was lost, and is there again: something may have been missed. */
  onReconnect(): void;
}

/** Waits, in real time: what is waited for is another process. A signal ends the wait. */
export function pause(duration: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, duration);
    signal?.addEventListener("abort", over);
    if (signal?.aborted) over();
  });
}

/**
 * Waits for a promise, for a duration in milliseconds at most, in real time.
 *
 * @throws The error with which the promise rejects within that time.
 */
export async function atMost(
  duration: number,
  promise: Promise<unknown>,
  signal?: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const either = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
  try {
    await Promise.race([promise, pause(duration, either)]);
  } finally {
    over.abort();
  }
}

/** The connection to NATS, from the first attempt on. */
export class Connection implements AsyncDisposable {
  /** The servers, in words for messages. */
  readonly servers: string;
  readonly #patience: number;
  readonly #address: NatsAddress;
  readonly #events: ConnectionEvents;
  #connected: Connected | undefined;
  #failure: StoreError | undefined;
  /** The subjects that the relay may not hear, which no answer makes good. */
  readonly #denied = new Map<string, StoreError>();
  /** Says that a stream was deleted: its topics are gone, whatever else may be had. */
  #deletion: StoreError | undefined;
  /** The messages logged since NATS was connected. */
  readonly #said = new Set<string>();
  readonly #closing = new AbortController();
  readonly #heard: HeardErrors = keepErrorsHeard();
  #starting: Promise<void> | undefined;
  #verifying: Promise<void> | undefined;
  /** Ends the wait for the next look at the streams. */
  #verifySoon: () => void = () => {};
  #isLost = false;
  #retries = 0;

  /**
   * Makes it, and does not connect.
   *
   * @param patience The time for which a request is repeated, in milliseconds.
   */
  constructor(
    address: NatsAddress,
    events: ConnectionEvents,
    patience: number = PATIENCE,
  ) {
    this.#patience = patience;
    this.#address = address;
    this.#events = events;
    this.servers = address.servers.join(", ");
  }

  /**
   * The reason why NATS cannot be used now; `undefined` while it can, as far as
   * is known.
   */
  get failure(): StoreError | undefined {
    const [denied] = this.#denied.values();
    return this.#deletion ?? this.#failure ?? denied;
  }

  /** Whether NATS is connected now. */
  get isConnected(): boolean {
    return this.#connected !== undefined && !this.#isLost;
  }

  /** The requests that NATS was asked again for. */
  get retries(): number {
    return this.#retries;
  }

  /** Whether it was closed. */
  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /**
   * Connects. A NATS that is away is tried again, after some seconds behind the back of
   * whoever waits.
   *
   * @throws {StoreError} If it will not have the relay, or has something else in its place.
   */
  async open(): Promise<void> {
    const late = performance.now() + START_PATIENCE;
    for (;;) {
      try {
        return await this.#start();
      } catch (error) {
        this.#fail(error);
        if (this.#failure?.failure !== "away") throw this.#failure;
      }
      if (performance.now() > late) break;
      await pause(START_INTERVAL, this.#closing.signal);
    }
    logger.warn("The relay starts without its store: {reason}", {
      reason: this.#failure?.message,
    });
    this.#starting = this.#startLater();
  }

  /**
   * Returns what there is while NATS is connected.
   *
   * @throws {StoreError} If it is away, or was closed.
   */
  get connected(): Connected {
    if (this.isClosed) {
      throw new StoreError("closed", "Cannot use the store as it is closed");
    }
    if (this.#connected) return this.#connected;
    throw this.#failure ??
      new StoreError("away", `NATS at ${this.servers} is not connected yet`);
  }

  /**
   * Asks for something, again and again while no leader or no server is there, or no
   * stream: a server that has just started may not know of a stream that there is.
   *
   * @param what Asks once. It may have been done though there was no answer.
   * @param passes Whether an error is for whoever asks.
   * @throws {StoreError} If it cannot be had, and what NATS answers otherwise, as
   * `passes` says.
   */
  async ask<T>(
    what: (connected: Connected) => Promise<T>,
    { passes = () => false }: {
      readonly passes?: (error: unknown) => boolean;
    } = {},
  ): Promise<T> {
    const late = performance.now() + this.#patience;
    for (;;) {
      const { connected } = this;
      if (this.#deletion) throw this.#deletion;
      try {
        const result = await what(connected);
        this.#failure = undefined;
        return result;
      } catch (error) {
        if (passes(error)) {
          this.#failure = undefined;
          throw error;
        }
        const isOver = this.isClosed || performance.now() > late;
        const mayPass = isPassing(error) || isNoStream(error) && !isOver;
        if (isPassing(error)) this.#fail(error);
        else if (!mayPass) this.#told(error);
        if (!mayPass || isOver) throw storeErrorOf(error, this.servers);
      }
      this.#retries++;
      await pause(RETRY_INTERVAL, this.#closing.signal);
    }
  }

  /**
   * Hears a subject.
   *
   * @returns Ends that.
   */
  hear(subject: string, onMessage: (message: Msg) => void): Disposable {
    return new Hearing(this.connected.nats, {
      subject,
      onMessage,
      onDenied: (error) => {
        if (!error) return void this.#denied.delete(subject);
        this.#denied.set(subject, storeErrorOf(error, this.servers));
      },
    });
  }

  /** Closes the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#starting;
    await this.#connected?.nats.close();
    await this.#verifying;
    this.#connected = undefined;
    this.#heard[Symbol.dispose]();
  }

  async #startLater(): Promise<void> {
    while (!this.isClosed) {
      await pause(START_INTERVAL, this.#closing.signal);
      try {
        await this.#start();
        return logger.info("Connected to the store: NATS at {servers}", {
          servers: this.servers,
        });
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  async #start(): Promise<void> {
    if (this.isClosed) return;
    let nats: NatsConnection | undefined;
    try {
      nats = await this.#connect();
      const options = { timeout: ANSWER_TIMEOUT };
      const connected = {
        nats,
        js: jetstream(nats, options),
        manager: await jetstreamManager(nats, options),
      };
      await this.#events.prepare(connected);
      this.#connected = connected;
      this.#failure = undefined;
      this.#events.onConnect(connected);
      void this.#watch(nats);
      this.#verifying = this.#verify(connected);
    } catch (error) {
      await nats?.close();
      throw error;
    }
  }

  async #connect(): Promise<NatsConnection> {
    const options = await optionsOf(this.#address);
    this.#heard.first = undefined;
    try {
      return await connect(options);
    } catch (error) {
      // A server's complaint about a certificate may arrive when nobody listens
      // for it.
      throw error instanceof TimeoutError ? this.#heard.first ?? error : error;
    }
  }

  #fail(error: unknown): void {
    this.#failure = storeErrorOf(error, this.servers);
    if (isNoStream(error)) this.#deletion ??= this.#failure;
  }

  /** Takes note of an error that is no answer: of the same one, once. */
  #told(error: unknown): void {
    this.#fail(error);
    const { failure, message = "" } = this.#failure ?? {};
    const isLasting = failure === "denied" || failure === "corrupt";
    if (!isLasting || this.#said.has(message)) return;
    this.#said.add(message);
    logger.error("{reason}", { reason: message });
  }

  /** Looks now and then whether the streams are those that were prepared. */
  async #verify(connected: Connected): Promise<void> {
    const { signal } = this.#closing;
    while (!this.isClosed) {
      const soon = new AbortController();
      this.#verifySoon = () => soon.abort();
      await pause(
        this.#deletion ? GONE_INTERVAL : VERIFY_INTERVAL,
        AbortSignal.any([signal, soon.signal]),
      );
      if (this.isClosed || this.#isLost) continue;
      try {
        if (this.#deletion) await this.#events.verify(connected);
        else await this.ask((connected) => this.#events.verify(connected));
        if (!this.#deletion) continue;
        this.#deletion = undefined;
        logger.warn("The streams of the relay are in NATS at {servers} again", {
          servers: this.servers,
        });
      } catch (error) {
        const isOther = error instanceof StoreError &&
          error.failure === "corrupt";
        if (isOther) this.#deletion = error;
      }
    }
  }

  /** Tells how the connection is, and hears of what NATS does not answer but tells. */
  async #watch(nats: NatsConnection): Promise<void> {
    for await (const status of nats.status()) {
      switch (status.type) {
        case "disconnect":
          this.#isLost = true;
          logger.warn("The connection to NATS at {servers} was lost", {
            servers: this.servers,
          });
          this.#failure = new StoreError(
            "away",
            `The connection to NATS at ${this.servers} was lost`,
          );
          break;
        case "reconnect":
          this.#isLost = false;
          logger.info("NATS is connected again, at {server}", {
            server: status.server,
          });
          this.#failure = undefined;
          this.#said.clear();
          this.#verifySoon();
          this.#events.onReconnect();
          break;
        case "error":
          this.#told(status.error);
          break;
        case "slowConsumer":
          // Messages were dropped: look for them as after a loss of the
          // connection.
          this.#events.onReconnect();
          break;
      }
    }
  }
}

async function optionsOf(
  address: NatsAddress,
): Promise<NodeConnectionOptions> {
  const { user, password, token, credentials, nkey, tls } = address;
  return {
    servers: [...address.servers],
    name: "rivulet relay",
    timeout: ANSWER_TIMEOUT,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    // A server that is gone without a word is noticed within some seconds.
    pingInterval: 1_000,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    // The client makes two errors with stacks for each request, in case it fails: an append
    // takes 123 µs of processor time with them, and 95 without.
    noAsyncTraces: true,
    ...(user !== undefined && { user, pass: password ?? "" }),
    ...(token !== undefined && { token }),
    ...(credentials !== undefined && {
      authenticator: await authenticatorOf(credentials, credsAuthenticator),
    }),
    ...(nkey !== undefined && {
      authenticator: await authenticatorOf(
        nkey,
        (seed) => nkeyAuthenticator(new TextEncoder().encode(textOf(seed))),
      ),
    }),
    ...(tls && {
      tls: {
        ...(tls.ca !== undefined && { ca: textOf(await readFileOf(tls.ca)) }),
        ...(tls.cert !== undefined && {
          cert: textOf(await readFileOf(tls.cert)),
        }),
        ...(tls.key !== undefined && {
          key: textOf(await readFileOf(tls.key)),
        }),
      },
    }),
  };
}

/** Returns what proves who the relay is, from what a file has. */
async function authenticatorOf(
  path: string,
  make: (content: Uint8Array) => Authenticator,
): Promise<Authenticator> {
  const content = await readFileOf(path);
  try {
    const authenticator = make(content);
    // It is read when it is needed, and not before.
    authenticator("a nonce");
    return authenticator;
  } catch {
    // The file's content is a secret, so the message does not quote it.
    throw new StoreError(
      "denied",
      `Expected credentials of NATS in '${path}', which --store names: creds=FILE is for a credentials file, nkey=FILE for the seed of an NKEY`,
    );
  }
}

async function readFileOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new StoreError(
      "denied",
      `Cannot read '${path}', which --store names: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function textOf(content: Uint8Array): string {
  return new TextDecoder().decode(content).trim();
}
