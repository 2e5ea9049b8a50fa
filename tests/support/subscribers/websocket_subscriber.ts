/**
 * A subscriber that checks everything that it is told.
 *
 * @module
 */
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import {
  type ClientKind,
  type ClientSocket,
  openSocket,
} from "../client/client_socket.ts";
import { LIMIT, within } from "../within.ts";
import type {
  Absence,
  SubscribedMessage,
  TopicReader,
} from "./followed_topic.ts";

/** Any message of the relay, which nothing has checked yet. */
interface Message extends SubscribedMessage {
  readonly type: string;
  readonly topic?: string;
  readonly offset: number;
  readonly status: string;
  readonly events: readonly Partial<ServerSentEvent>[];
}

/** The ways of a subscriber. */
export interface WebSocketSubscriberOptions {
  /** `ws://127.0.0.1:PORT` */
  readonly origin: string;
  readonly client: ClientKind;
  /** `/topics/{topic}`, or `/ws`. */
  readonly door: "one" | "many";
  /** Whether it comes back once more after the end. */
  readonly returnsAfterEnd: boolean;
}

/** A WebSocket client of one topic or many. */
export class WebSocketSubscriber {
  readonly who: string;
  readonly readers: readonly TopicReader[];
  readonly #options: WebSocketSubscriberOptions;
  readonly #byTopic: ReadonlyMap<string, TopicReader>;
  readonly #result = Promise.withResolvers<void>();
  /** Every socket that ever was. */
  readonly #sockets: ClientSocket[] = [];
  readonly #present = new Set<TopicReader>();
  #socket: ClientSocket | undefined;
  #isOpen = false;
  #hasReturned = false;

  constructor(
    who: string,
    readers: readonly TopicReader[],
    options: WebSocketSubscriberOptions,
  ) {
    this.who = who;
    this.readers = readers;
    this.#options = options;
    this.#byTopic = new Map(
      readers.map((reader) => [reader.topic.name, reader]),
    );
  }

  /** Resolves when every topic was read to its end, and rejects at the first wrong message. */
  get done(): Promise<void> {
    return this.#result.promise;
  }

  /** The missing events, for the message of a wait that failed. */
  get state(): string {
    return `${this.who} ${this.#options.client} ${this.#options.door} (${
      this.readers.map(({ topic, seen, hasEnded, visits }) =>
        `${topic.name} ${seen}/${topic.events.length}${
          hasEnded ? " ended" : ""
        } visits=${visits}`
      ).join(", ")
    })`;
  }

  /** Begins to follow a topic. */
  join(reader: TopicReader): void {
    if (reader.topic.isAbandoned) return;
    reader.arrive();
    this.#present.add(reader);
    if (!this.#socket) this.#open();
    else if (this.#isOpen && this.#options.door === "many") {
      this.#subscribe(reader);
    }
  }

  /** Cuts what is open, and resolves when all that ever was has closed. */
  async dispose(): Promise<void> {
    for (const { topic } of this.readers) topic.abandon();
    // Also one that has closed, and waits for the relay to close it, too.
    for (const socket of this.#sockets) socket.destroy();
    await within(
      Promise.all(this.#sockets.map(({ closed }) => closed)),
      LIMIT,
      () => `the sockets of ${this.state} to be closed`,
    );
  }

  #open(): void {
    const { origin, client, door } = this.#options;
    let url = `${origin}/ws`;
    if (door === "one") {
      const [reader] = this.readers;
      const after = reader?.position;
      url = `${origin}/topics/${reader?.topic.name}${
        after === undefined ? "" : `?after=${encodeURIComponent(after)}`
      }`;
    }
    this.#isOpen = false;
    let messages = 0;
    const isCurrent = () => this.#socket === socket;
    const socket: ClientSocket = openSocket(client, url, {
      onOpen: () =>
        this.#guard(() => {
          if (!isCurrent()) return;
          this.#isOpen = true;
          if (door === "one") return;
          for (const reader of this.#present) {
            // A reader that has the end already comes back for nothing but that.
            if (!reader.hasEnded) this.#subscribe(reader);
          }
        }),
      onText: (text) =>
        this.#guard(() => {
          // A subscriber that has left reads no more.
          if (isCurrent()) this.#onMessage(JSON.parse(text), messages++);
        }),
      onClose: (code) =>
        this.#guard(() => {
          if (!isCurrent()) return;
          this.#socket = undefined;
          this.#onClosed(code);
        }),
    });
    this.#socket = socket;
    this.#sockets.push(socket);
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#result.reject(error);
    }
  }

  #subscribe(reader: TopicReader): void {
    this.#socket?.send(JSON.stringify({
      type: "subscribe",
      topic: reader.topic.name,
      ...(reader.position !== undefined && { after: reader.position }),
    }));
  }

  #onMessage(message: Message, index: number): void {
    const { type } = message;
    if ((type === "welcome") !== (index === 0)) {
      throw new Error(`${this.who}: message ${index} is of type ${type}`);
    }
    if (type === "welcome" || type === "heartbeat") return;
    const reader = this.#byTopic.get(message.topic ?? "");
    if (!reader) {
      throw new Error(`${this.who} did not ask: ${JSON.stringify(message)}`);
    }
    if (!this.#present.has(reader)) return; // it was on its way when the reader left
    if (type === "subscribed") return reader.onSubscribed(message);
    // The rest of the last subscription.
    if (!reader.isSubscribed && reader.visits > 1) return;
    reader.expect(reader.isSubscribed, () => `${type} came before subscribed`);
    switch (type) {
      case "events":
        reader.expect(message.events.length > 0, () => "no events came");
        for (const [index, event] of message.events.entries()) {
          const { event: name = "message", id = "", data } = event;
          // data has to be there, or it is not equal
          reader.onEvent(message.offset + index, {
            event: name,
            id,
            ...(data !== undefined && { data }),
          });
          const absence = reader.takeAbsence();
          if (absence) return this.#leave(reader, absence);
        }
        return;
      case "live":
        return reader.onLive(message.next);
      case "end":
        reader.onEnd(message);
        return this.#onEnd();
      default:
        reader.fail(`did not expect ${JSON.stringify(message)}`);
    }
  }

  #leave(reader: TopicReader, { how, for: events }: Absence): void {
    const { topic } = reader;
    const back = topic.reached(topic.seen + events);
    if (how === "unsubscribe" && this.#options.door === "many") {
      this.#present.delete(reader);
      this.#socket?.send(
        JSON.stringify({ type: "unsubscribe", topic: topic.name }),
      );
      void back.then(() => this.#guard(() => this.join(reader)));
      return;
    }
    const socket = this.#socket;
    this.#socket = undefined;
    if (how === "destroy") socket?.destroy();
    else socket?.close();
    const together = [...this.#present].filter(({ hasEnded }) => !hasEnded);
    for (const gone of together) this.#present.delete(gone);
    void back.then(() =>
      this.#guard(() => {
        for (const gone of together) this.join(gone);
      })
    );
  }

  #onEnd(): void {
    if (!this.readers.every(({ hasEnded }) => hasEnded)) return;
    // The relay closes the other door itself.
    if (this.#options.door === "many") this.#socket?.close();
  }

  #onClosed(code: number): void {
    if (!this.readers.every(({ hasEnded }) => hasEnded)) {
      throw new Error(`${this.state}: closed with ${code} before the end`);
    }
    const { client, door } = this.#options;
    // Deno 2.9.6 reports 1005 if a ping arrives between its own close frame and the relay's.
    const isClosedHere = client === "native" && door === "many";
    if (code !== 1000 && !(isClosedHere && code === 1005)) {
      throw new Error(`${this.state}: closed with ${code}`);
    }
    if (this.#options.returnsAfterEnd && !this.#hasReturned) {
      this.#hasReturned = true;
      this.#returnAfterEnd();
    } else {
      this.#result.resolve();
    }
  }

  /**
   * Checks that a subscriber that resumes after the end is told the end again,
   * and nothing else.
   */
  #returnAfterEnd(): void {
    const [reader] = this.readers;
    const topic = reader!.topic; // every subscriber reads one at least
    const types: string[] = [];
    const socket = openSocket(
      this.#options.client,
      `${this.#options.origin}/topics/${topic.name}?after=${topic.endPosition}`,
      {
        onOpen: () => {},
        onText: (text) => types.push(JSON.parse(text).type),
        onClose: () => {
          if (types.join() === "welcome,subscribed,end") {
            return this.#result.resolve();
          }
          this.#result.reject(
            new Error(`${this.state}: after the end came ${types}`),
          );
        },
      },
    );
    this.#sockets.push(socket);
  }
}
