import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

const FIN_TEXT = 0x81;
const LENGTH_16 = 126;

const ACCEPTED = "HTTP/1.1 101 Switching Protocols\r\n" +
  "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/** The beginning of a relay's message with events. */
const EVENTS = Buffer.from(`{"type":"events"`);

/** Puts parts into one WebSocket frame of less than 64 KiB (RFC 6455, section 5.2). */
function frameOf(...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = length < LENGTH_16 ? 2 : 4;
  const frame = Buffer.allocUnsafe(header + length);
  frame[0] = FIN_TEXT;
  if (header === 2) frame[1] = length;
  else {
    frame[1] = LENGTH_16;
    frame.writeUInt16BE(length, 2);
  }
  let at = header;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

const SUBSCRIBED = frameOf(Buffer.from(`{"type":"subscribed"}`));
const END = frameOf(Buffer.from(`{"type":"end","status":"complete"}`));

/**
 * Followers of topics that get the bytes as they come, each piece in a frame, and
 * nothing else: no event is parsed or kept. It is what the runtime takes to read a piece
 * and to write it to each follower.
 */
export class BareTopics {
  readonly #followers = new Map<string, Duplex[]>();

  /** Takes a follower in, of the topic that its path names. */
  follow({ url = "" }: IncomingMessage, socket: Duplex): void {
    const topic = nameIn(url);
    socket.on("error", () => {});
    socket.resume();
    socket.write(ACCEPTED);
    socket.write(SUBSCRIBED);
    const followers = this.#followers.get(topic);
    if (followers) followers.push(socket);
    else this.#followers.set(topic, [socket]);
  }

  /** Takes a publication, or the end of a topic. Returns whether the request is one. */
  take(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
    const { url = "" } = incoming;
    if (!url.startsWith("/topics/")) return false;
    const topic = nameIn(url);
    const isEnd = url.endsWith("/end");
    incoming.on("data", (bytes: Uint8Array) => {
      if (!isEnd) this.write(topic, bytes);
    });
    incoming.on("end", () => {
      if (isEnd) this.end(topic);
      outgoing.end("{}");
    });
    return true;
  }

  /** Gives the followers of a topic bytes of its events. */
  write(topic: string, bytes: Uint8Array): void {
    const followers = this.#followers.get(topic);
    if (!followers) return;
    const frame = frameOf(EVENTS, bytes);
    for (const socket of followers) socket.write(frame);
  }

  /** Tells the followers of a topic that there is no more. */
  end(topic: string): void {
    for (const socket of this.#followers.get(topic) ?? []) socket.write(END);
  }
}

function nameIn(url: string): string {
  return /^\/topics\/([^/?]+)/.exec(url)?.[1] ?? "";
}
