import {
  createInbox,
  type Msg,
  type Subscription,
} from "@nats-io/transport-node";
import { StoreError } from "../../topics/store.ts";
import type { Connected, Connection } from "./connection.ts";
import { isNoMessage } from "./failures.ts";

/** A message of a stream. */
export interface StreamMessage {
  readonly subject: string;
  /** Its place in the stream. */
  readonly seq: number;
  readonly data: Uint8Array;
  /** The value of a header; empty if it is not there. */
  header(name: string): string;
  /** The number of messages that follow now. */
  readonly pending: number;
}

/** The part of a stream to read, and the calls to make. */
export interface ConsumeOptions {
  readonly stream: string;
  /** The subject, or a pattern of subjects. */
  readonly filter: string;
  /** All messages from a place on, or the last one of each subject. */
  readonly from: number | "last of each";
  /** Whether messages come without their bodies. Default: with them. */
  readonly isBodiless?: boolean;
  /** Called with each message in order. */
  readonly onMessage: (message: StreamMessage) => void;
  /**
   * Called when the server has had nothing to send for a second: all is read. The last of
   * what there was at the beginning may have been removed before it was sent.
   */
  readonly onIdle?: () => void;
  /** Called when a message was lost, or the server is gone: nothing comes any more. */
  readonly onBroken: (error: Error) => void;
}

/**
 * The time between two heartbeats of a server that has nothing to send, in
 * nanoseconds.
 */
const HEARTBEAT = 1_000_000_000;

/** The silence after which a server is gone, in milliseconds. */
const SILENCE = 4_000;

/** The time that a server may lag behind the leader, in milliseconds. */
const LAG = 2_000;

const STATUS_OF_SERVER = 100;

/** Reads a stream: what there is, and then what comes, until it is disposed of. */
export class Consumption implements Disposable {
  /** The number of messages that there were at the beginning. */
  readonly waiting: number;
  readonly #connected: Connected;
  readonly #options: ConsumeOptions;
  readonly #subscription: Subscription;
  readonly #name: string;
  #received = 0;
  #heardAt = performance.now();
  #timer: ReturnType<typeof setInterval>;

  private constructor(
    connected: Connected,
    options: ConsumeOptions,
    subscription: Subscription,
    consumer: { readonly name: string; readonly waiting: number },
  ) {
    this.#connected = connected;
    this.#options = options;
    this.#subscription = subscription;
    this.#name = consumer.name;
    this.waiting = consumer.waiting;
    this.#timer = setInterval(() => {
      if (performance.now() - this.#heardAt < SILENCE) return;
      this.#break(
        new StoreError("away", `The stream ${options.stream} says nothing`),
      );
    }, SILENCE / 4);
  }

  /** Begins to read. */
  static async start(
    connected: Connected,
    options: ConsumeOptions,
  ): Promise<Consumption> {
    const { nats, manager } = connected;
    const { stream, filter, from, isBodiless = false } = options;
    const inbox = createInbox();
    let early: Msg[] | undefined = [];
    let consumption: Consumption | undefined;
    const subscription = nats.subscribe(inbox, {
      callback: (error, message) => {
        if (error) return consumption && consumption.#break(error);
        if (early) early.push(message);
        else if (consumption) consumption.#onMessage(message);
      },
    });
    try {
      const { name, num_pending } = await manager.consumers.add(stream, {
        deliver_subject: inbox,
        filter_subject: filter,
        ack_policy: "none",
        ...(from === "last of each"
          ? { deliver_policy: "last_per_subject" }
          : { deliver_policy: "by_start_sequence", opt_start_seq: from }),
        headers_only: isBodiless,
        mem_storage: true,
        num_replicas: 1,
        flow_control: true,
        idle_heartbeat: HEARTBEAT,
        inactive_threshold: 5 * HEARTBEAT,
      });
      consumption = new Consumption(connected, options, subscription, {
        name,
        // Messages that came early are not pending any more.
        waiting: num_pending + early.filter(({ reply }) => reply).length,
      });
      for (const message of early) consumption.#onMessage(message);
      early = undefined;
      return consumption;
    } catch (error) {
      subscription.unsubscribe();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#subscription.unsubscribe();
    const { manager, nats } = this.#connected;
    if (nats.isClosed()) return;
    // One that is not deleted is gone some seconds later.
    manager.consumers.delete(this.#options.stream, this.#name).catch(() => {});
  }

  #onMessage(message: Msg): void {
    this.#heardAt = performance.now();
    const { headers, reply = "" } = message;
    if (headers?.code === STATUS_OF_SERVER) {
      // Flow control asks for an answer; a heartbeat does not.
      if (reply) this.#connected.nats.publish(reply);
      const last = Number(headers.get("Nats-Last-Consumer") || this.#received);
      if (last !== this.#received) this.#break(lost());
      // One that is stalled waits for an answer to its flow control.
      else if (!reply && !headers.has("Nats-Consumer-Stalled")) {
        this.#options.onIdle?.();
      }
      return;
    }
    const place = placeOf(reply);
    if (!place) return;
    if (place.number !== this.#received + 1) {
      return this.#break(lost());
    }
    this.#received++;
    this.#options.onMessage({
      subject: message.subject,
      seq: place.seq,
      data: message.data,
      header: (name) => headers?.get(name) ?? "",
      pending: place.pending,
    });
  }

  #break(error: Error): void {
    this[Symbol.dispose]();
    this.#options.onBroken(error);
  }
}

/** Returns the error of a reader that broke off and can begin again. */
export function lost(): StoreError {
  return new StoreError("away", "A message of NATS was lost on its way");
}

/** Reads where a message stands: the reply subject of JetStream says so. */
function placeOf(
  reply: string,
):
  | { readonly seq: number; readonly number: number; readonly pending: number }
  | undefined {
  const tokens = reply.split(".");
  // With a domain and an account, there are two tokens more in front, and one behind.
  const at = tokens.length >= 11 ? 7 : 5;
  if (tokens[0] !== "$JS" || tokens.length < 9) return undefined;
  const [seq, number, , pending] = tokens.slice(at).map(Number);
  if (seq === undefined || number === undefined || pending === undefined) {
    return undefined;
  }
  return { seq, number, pending };
}

/**
 * Reads all messages of a subject that there are from a place on, up to the last one.
 *
 * @param last The place of the last one, which is there: less than that is not all.
 * @param onMessage Called with each message in order.
 * @throws {StoreError} `away`, if it does not come: the server that tells of them lags
 * behind, or they were removed meanwhile.
 */
export async function readSubject(
  connected: Connected,
  { last, onMessage, ...what }: {
    readonly stream: string;
    readonly filter: string;
    readonly from: number;
    readonly last: number;
    readonly isBodiless?: boolean;
    readonly onMessage: (message: StreamMessage) => void;
  },
): Promise<void> {
  const done = Promise.withResolvers<void>();
  let cameAt = performance.now();
  using _consumption = await Consumption.start(connected, {
    ...what,
    onMessage: (message) => {
      cameAt = performance.now();
      try {
        if (message.seq <= last) onMessage(message);
        if (message.seq >= last) done.resolve();
      } catch (error) {
        done.reject(error);
      }
    },
    onBroken: done.reject,
  });
  const timer = setInterval(() => {
    // It says that it is there, and has no more to tell.
    if (performance.now() - cameAt >= LAG) done.reject(lost());
  }, LAG / 4);
  try {
    await done.promise;
  } finally {
    clearInterval(timer);
  }
}

/** Returns the place of the last message of a subject, as the leader has it. */
export function lastOf(
  connection: Connection,
  stream: string,
  subject: string,
): Promise<number | undefined> {
  return placeAt(connection, stream, { last_by_subj: subject });
}

/** Returns the place of the first message of a subject from a place on, as the leader has it. */
export function firstOf(
  connection: Connection,
  stream: string,
  subject: string,
  from: number,
): Promise<number | undefined> {
  return placeAt(connection, stream, { seq: from, next_by_subj: subject });
}

async function placeAt(
  connection: Connection,
  stream: string,
  query:
    | { readonly last_by_subj: string }
    | { readonly seq: number; readonly next_by_subj: string },
): Promise<number | undefined> {
  try {
    const message = await connection.ask(
      ({ manager }) => manager.streams.getMessage(stream, query),
      { passes: isNoMessage },
    );
    return message?.seq;
  } catch (error) {
    if (isNoMessage(error)) return undefined;
    throw error;
  }
}
