import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { sleep } from "../sleep.ts";

/** The address of the attacker: limits for each address are to leave others alone. */
const ATTACKER = "127.0.0.2";

/** The bytes that a flood writes at once. */
const BLOCK = 64 * 1024;

/** Repeats a text until it fills a block. */
export function block(text: string): Buffer {
  return Buffer.from(text.repeat(Math.ceil(BLOCK / text.length)), "latin1");
}

/** Connects to a port; the errors of a connection are ignored, its end is not. */
export function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: ATTACKER });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
    socket.on("error", () => {});
  });
}

/** Resolves when a socket is closed. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once("close", () => resolve());
  });
}

/**
 * Writes a block again and again, as fast as it is taken.
 *
 * @param port The port to connect to.
 * @param head The bytes before the first block.
 * @param bytes The block.
 * @returns Resolves when the connection is closed.
 */
export async function flood(
  port: number,
  head: string,
  bytes: Uint8Array,
): Promise<void> {
  const socket = await open(port);
  const end = closed(socket);
  socket.resume();
  socket.write(head);
  while (!socket.destroyed) {
    if (socket.write(bytes)) {
      await sleep(0);
    } else {
      const drained = Promise.withResolvers<void>();
      socket.once("drain", drained.resolve);
      await Promise.race([drained.promise, end]);
    }
  }
}

/**
 * Does something again and again in several lanes: when it is over, at once once
 * more.
 *
 * @returns Never resolves.
 */
export async function again(
  lanes: number,
  attack: (lane: number) => Promise<unknown>,
): Promise<void> {
  await Promise.all(Array.from({ length: lanes }, async (_, lane) => {
    for (;;) {
      try {
        await attack(lane);
      } catch {
        // It is refused: that is what the relay should do.
      }
      await sleep(1);
    }
  }));
}
