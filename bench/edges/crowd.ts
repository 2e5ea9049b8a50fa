import type { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { upgradeRequest } from "../../tests/support/http/upgrade_request.ts";

/** The data of a bench's last event. */
export const LAST = "the last event";

/** Many subscribers of one topic, each of which knows its position and nothing else. */
export class Crowd {
  readonly #members: Member[] = [];

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
      member.connect(url);
      if (index % 200 === 199) await new Promise((go) => setTimeout(go, 20));
    }
  }

  /** Has all that are cut off come back at one of some relays, spread over some time. */
  moveTo(urls: readonly string[], spread: number): void {
    for (const [index, member] of this.#members.entries()) {
      member.onCut = () => {
        const url = urls[index % urls.length]!; // there is one at least
        setTimeout(() => member.connect(url), Math.random() * spread);
      };
    }
  }

  /** Cuts all off. */
  leave(): void {
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
