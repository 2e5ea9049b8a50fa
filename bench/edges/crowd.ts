import type { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { upgradeRequest } from "../../tests/support/http/upgrade_request.ts";

/** The data of a bench's last event. */
export const LAST = "the last event";

/** A pong without a payload, masked with zeros: a sign of life. */
const PONG = Uint8Array.of(0x8a, 0x80, 0, 0, 0, 0);

/** The time between two signs of life, in milliseconds: two heartbeats may pass without. */
const ALIVE_INTERVAL = 10_000;

/** The longest wait of a member that was not let in, in milliseconds. */
const RETRY = 1_000;

/** Many subscribers of one topic, each of which knows its position and nothing else. */
export class Crowd {
  readonly #members: Member[] = [];
  readonly #life = setInterval(() => {
    for (const member of this.#members) member.live();
  }, ALIVE_INTERVAL);

  /** The number that is connected. */
  get connected(): number {
    return this.#members.filter(({ isSubscribed }) => isSubscribed).length;
  }

  /** The number that has had the last event. */
  get done(): number {
    return this.#members.filter(({ isDone }) => isDone).length;
  }

  /** Adds subscribers, some at a time. */
  async join(url: string, count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const member = new Member();
      this.#members.push(member);
      member.onCut = () => member.connectLater(url, RETRY);
      member.connect(url);
      // More at a time do not fit into the backlog of a relay that is busy.
      if (index % 100 === 99) await new Promise((go) => setTimeout(go, 50));
    }
  }

  /** Has all that are cut off come back at one of some relays, spread over some time. */
  moveTo(urls: readonly string[], spread: number): void {
    for (const [index, member] of this.#members.entries()) {
      member.onCut = () => {
        const url = urls[index % urls.length]!; // there is one at least
        member.onCut = () => member.connectLater(url, RETRY);
        member.connectLater(url, spread);
      };
    }
  }

  /** Cuts all off. */
  leave(): void {
    clearInterval(this.#life);
    for (const member of this.#members) {
      member.onCut = () => {};
      member.leave();
    }
  }
}

class Member {
  onCut: () => void = () => {};
  isDone = false;
  isSubscribed = false;
  #position = "start";
  #socket: Socket | undefined;

  connect(url: string): void {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    this.#socket = socket;
    socket.write(upgradeRequest(`/topics/t?after=${this.#position}`));
    socket.on("data", (data) => this.#read(data));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isSubscribed = false;
      this.onCut();
    });
  }

  /** Connects after a random part of some time, as every client that comes back does. */
  connectLater(url: string, spread: number): void {
    setTimeout(() => this.connect(url), Math.random() * spread);
  }

  /** Gives a sign of life. */
  live(): void {
    if (this.isSubscribed) this.#socket?.write(PONG);
  }

  leave(): void {
    this.#socket?.destroy();
  }

  #read(data: Buffer): void {
    // To parse each message of 20,000 subscribers would be the bench itself.
    const text = data.toString("latin1");
    const subscribed = /"epoch":"([\w-]+)"/.exec(text);
    if (subscribed) {
      this.isSubscribed = true;
      this.#epoch = subscribed[1]!; // the expression has it
    }
    const offset = text.lastIndexOf('"offset":');
    if (offset >= 0 && this.#epoch !== "") {
      const from = /^\d+/.exec(text.slice(offset + 9))?.[0];
      if (from !== undefined) this.#position = `${this.#epoch}:${from}`;
    }
    if (text.includes(LAST)) this.isDone = true;
  }

  #epoch = "";
}
