import { upgradeRequest } from "../../../tests/support/http/upgrade_request.ts";
import type { Tally } from "../../fanout/generator/tally.ts";
import { WebSocketReader } from "../../fanout/generator/websocket_reader.ts";
import { readContent } from "../event.ts";

const encoder = new TextEncoder();

/** A text frame of a client, with a mask of zeros, which leaves the bytes as they are. */
function textFrame(text: string): Uint8Array<ArrayBuffer> {
  const payload = encoder.encode(text);
  const { length } = payload;
  const size = length < 126 ? [length] : [126, length >> 8, length & 255];
  size[0]! |= 0x80; // there is one
  return Uint8Array.of(0x81, ...size, 0, 0, 0, 0, ...payload);
}

/** Reads what a relay tells a subscriber of runs. */
export class Follower extends WebSocketReader {
  /** The offset that is to come next, by the topic. */
  readonly #next = new Map<string, number>();

  /** The first bytes to send. */
  static readonly request: Uint8Array<ArrayBuffer> = encoder.encode(
    upgradeRequest("/ws"),
  );

  /** Makes one that follows nothing yet. */
  constructor(tally: Tally) {
    super(tally);
  }

  /** Returns the bytes that follow a topic. */
  follow(topic: string): Uint8Array<ArrayBuffer> {
    this.#next.set(topic, 1);
    return textFrame(JSON.stringify({ type: "subscribe", topic }));
  }

  protected override judgeText(): void {
    this.isWanted = true;
  }

  protected override judgeOther(): void {}

  protected override count(): void {}

  protected override readText(payload: Uint8Array, now: number): void {
    const message = JSON.parse(new TextDecoder().decode(payload));
    switch (message.type) {
      case "events": {
        this.tally.messages++;
        let { offset } = message;
        if (offset !== this.#next.get(message.topic)) this.tally.errors++;
        for (const { data } of message.events) {
          this.tally.delivered++;
          const content = readContent(data);
          if (content) {
            this.tally.latencies.add(now - content.sent);
            if (content.sequence !== offset) this.tally.errors++;
          }
          offset++;
        }
        this.#next.set(message.topic, offset);
        break;
      }
      case "end":
        if (message.status !== "complete") this.tally.errors++;
        this.#next.delete(message.topic);
        break;
      case "welcome":
      case "subscribed":
      case "upstream":
      case "live":
      case "heartbeat":
        break;
      default:
        this.tally.errors++;
    }
  }
}
