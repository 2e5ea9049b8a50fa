/**
 * The streams of a relay in a nats-server, behind a connection of which a test says what
 * becomes of messages.
 *
 * @module
 */
import { headers } from "@nats-io/transport-node";
import {
  type Connected,
  Connection,
} from "../../../relay/stores/jetstream/connection.ts";
import { HEADER } from "../../../relay/stores/jetstream/log_message.ts";
import {
  isWrongSequence,
  storeErrorOf,
} from "../../../relay/stores/jetstream/failures.ts";
import { type Names, namesOf } from "../../../relay/stores/jetstream/names.ts";
import { parseNatsAddress } from "../../../relay/stores/jetstream/nats_address.ts";
import type {
  LogSummary,
  RecordedLog,
} from "../../../relay/stores/jetstream/record.ts";
import { SharedLog } from "../../../relay/stores/jetstream/shared_log.ts";
import { prepareStreams } from "../../../relay/stores/jetstream/streams.ts";
import { History } from "../../../relay/stores/history.ts";
import { Windows } from "../../../relay/stores/window.ts";
import type { Retention } from "../../../relay/topics/log.ts";
import { StoreError } from "../../../relay/topics/store.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { NatsServer } from "./nats_server.ts";

type Ask = <T>(
  what: (connected: Connected) => Promise<T>,
  options?: Parameters<Connection["ask"]>[1],
) => Promise<T>;

const RETENTION: Retention = {
  maxEvents: 100,
  maxBytes: 1_000_000,
  maxAge: 1_000_000,
};

/** A connection over which messages may be lost and late. */
class PoorConnection extends Connection {
  /** The fate of the next message that is written. */
  next: "heard" | "not answered" | "late" | "twice" = "heard";
  #late: (() => Promise<unknown>) | undefined;

  /** Called before each read. */
  onRead: (() => Promise<void>) | undefined;

  override ask: Ask = async (what, options) => {
    if (options?.passes !== isWrongSequence) {
      const { onRead } = this;
      this.onRead = undefined;
      await onRead?.();
      this.onRead = onRead;
      return await super.ask(what, options);
    }
    const { next } = this;
    this.next = "heard";
    switch (next) {
      case "late":
        this.#late = () => super.ask(what, options);
        // As the server says of one that it has seen, and not stored yet.
        return undefined as Awaited<ReturnType<typeof what>>;
      case "twice":
        // The answer to the first attempt was lost.
        await super.ask(what, options);
        return await super.ask(what, options);
      case "not answered":
        await super.ask(what, options);
        throw new StoreError("away", "No answer");
      case "heard": {
        const late = this.#late;
        this.#late = undefined;
        await late?.();
        return await super.ask(what, options);
      }
    }
  };
}

/** A server with the streams of a relay, and logs in it. */
export class StreamWorld implements AsyncDisposable {
  readonly connection: PoorConnection;
  readonly #server: NatsServer;
  readonly #hearing = new DisposableStack();
  readonly names: Names = namesOf("rivulet");
  /** The number of times that messages were missed. */
  missed = 0;
  /** The events in memory of all logs. */
  readonly windows: Windows = new Windows(1_000_000);
  readonly #recorded: RecordedLog = {
    epoch: "abcdefghijkl",
    createdAt: 1_000_000,
    since: 0,
    facts: { isOpen: false, isAwaited: true },
  };

  private constructor(server: NatsServer) {
    this.#server = server;
    const address = parseNatsAddress(`nats://${server.host}`)!; // it is an address
    this.connection = new PoorConnection(address, {
      prepare: async (connected) => {
        await prepareStreams(connected, this.names, address);
      },
      verify: () => Promise.resolve(),
      onConnect: () => {},
      onReconnect: () => {},
    });
  }

  /** Starts a server. */
  static async start(): Promise<StreamWorld> {
    const world = new StreamWorld(await NatsServer.start());
    await world.connection.open();
    return world;
  }

  /** Takes up the log, as another relay each time. */
  log(
    { made, isDeaf = false, retention = RETENTION, summary, since = 0 }: {
      /** Resolves once the log is its name's. Default: it is. */
      readonly made?: Promise<void>;
      /** Whether it hears of no message, and has to look. Default: no. */
      readonly isDeaf?: boolean;
      /** Default: a hundred events. */
      readonly retention?: Retention;
      /** The summary of its end in the record of its name. Default: none. */
      readonly summary?: LogSummary;
      /** The place that its relay knew when it was made. Default: the beginning. */
      readonly since?: number;
    } = {},
  ): SharedLog {
    const store = {
      connection: this.connection,
      stream: this.names.stream,
      retention,
      clock: new FakeClock(1_000_000),
      windows: this.windows,
      isPaced: false,
      history: new History<SharedLog>({
        name: this.names.stream,
        load: (log, from, bytes) => log.fetch(from, bytes),
        errorOf: (error) => storeErrorOf(error, "the server"),
      }),
      onEnded: () => {},
      isDeleted: () => Promise.resolve(summary === undefined),
      onPlace: () => {},
      onWritten: () => {},
      onFailed: () => {},
      onMissed: () => void this.missed++,
    };
    const subject = this.names.log("t", this.#recorded.epoch);
    const recorded = {
      ...this.#recorded,
      since,
      ...(summary && { summary }),
    };
    const log = new SharedLog(store, "t", subject, recorded, made);
    if (isDeaf) return log;
    const live = `${this.names.liveOf("t")}.*`;
    this.#hearing.use(this.connection.hear(live, (message) => {
      const { data } = message;
      const of = (name: string): string => message.headers?.get(name) ?? "";
      log.heard({
        seq: Number(of("Nats-Sequence")),
        header: of(HEADER),
        data,
        id: of("Nats-Msg-Id"),
      }, Number(of("Nats-Last-Sequence")));
    }));
    return log;
  }

  /** All messages of the log, as the stream has them. */
  async messages(): Promise<
    readonly { readonly seq: number; readonly header: string }[]
  > {
    const { manager } = this.connection.connected;
    const { stream } = this.names;
    const { state } = await manager.streams.info(stream);
    const messages = [];
    for (let seq = 1; seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage(stream, { seq });
      if (!message) continue;
      messages.push({ seq, header: message.header.get(HEADER) });
    }
    return messages;
  }

  /** Has the stream keep a message that no relay would write now, whatever is before it. */
  async put(header: string, body: string): Promise<void> {
    const all = headers();
    all.set(HEADER, header);
    const subject = this.names.log("t", this.#recorded.epoch);
    await this.connection.connected.js.publish(subject, body, { headers: all });
  }

  /** Tells a log of the message at a place, as the stream does of one that is stored. */
  async tell(log: SharedLog, seq: number): Promise<void> {
    const { stream } = this.names;
    const { manager } = this.connection.connected;
    const message = await manager.streams.getMessage(stream, { seq });
    if (!message) throw new Error(`There is no message at ${seq}`);
    const { header, data } = message;
    const told = { seq, header: header.get(HEADER), data };
    log.heard({ ...told, id: header.get("Nats-Msg-Id") }, seq - 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hearing.dispose();
    await this.connection[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}
