// The work of peers: one with much of it does not keep the others waiting.
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import { assertEquals } from "@std/assert";
import { ReadPacer } from "../../../relay/limits/read_pacer.ts";
import { rest } from "../../../relay/rest.ts";
import { LIMIT, within } from "../../support/within.ts";

Deno.test("ReadPacer does one piece of each peer's work in turn", async () => {
  using pacer = new ReadPacer();
  const done: string[] = [];
  const over = Promise.withResolvers<void>();
  const work = (peer: string, name: string): void =>
    pacer.run(peer, () => {
      done.push(name);
      if (done.length === 6) over.resolve();
    });
  work("a", "a1");
  work("a", "a2");
  work("a", "a3");
  work("a", "a4");
  work("b", "b1");
  work("b", "b2");
  await within(over.promise, LIMIT, "all work");
  assertEquals(done, ["a1", "b1", "a2", "b2", "a3", "a4"]);
});

Deno.test("ReadPacer lets the event loop go round between two pieces of work", async () => {
  using pacer = new ReadPacer();
  const done: string[] = [];
  const over = Promise.withResolvers<void>();
  pacer.run("a", () => {
    done.push("a1");
    setImmediate(() => done.push("what a1 has set going"));
  });
  pacer.run("a", () => {
    done.push("a2");
    over.resolve();
  });
  await within(over.promise, LIMIT, "both");
  assertEquals(done, ["a1", "what a1 has set going", "a2"]);
});

Deno.test("ReadPacer reads the sockets of one peer in one lane, and lets the lanes take turns", async () => {
  using pacer = new ReadPacer();
  const read: string[] = [];
  const over = Promise.withResolvers<void>();
  const open = (name: string, peer?: string): Duplex => {
    const socket = new Duplex({ read() {}, write: (_, __, done) => done() });
    const onPiece = (): void => {
      read.push(name);
      if (read.length === 6) over.resolve();
    };
    pacer.pace(socket, { peer, onPiece });
    return socket.resume();
  };
  const sockets = [
    ...["a1", "a2", "a3"].map((name) => open(name, "a")),
    open("b1", "b"),
    ...["c", "d"].map((name) => open(name)), // each has a lane of its own
  ];
  await new Promise(setImmediate); // they flow
  pacer.run("e", () => {}); // something waits: so does all that comes
  for (const socket of sockets) socket.push(Buffer.from("x"));
  assertEquals(read, []);
  await within(over.promise, LIMIT, "all pieces");
  assertEquals(read, ["a1", "b1", "c", "d", "a2", "a3"]);
  for (const socket of sockets) socket.destroy();
});

Deno.test("A4: two ReadPacers rest in the same moment", async () => {
  using first = new ReadPacer();
  using second = new ReadPacer();
  const begun = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  first.run("a", () => {
    const end = performance.now() + 10; // more than a turn may take
    while (performance.now() < end);
    begun.resolve();
  });
  await begun.promise;
  while (rest.waiting === 0) await new Promise(setImmediate);
  // Otherwise it would begin, and the loop have something to do.
  second.run("b", over.resolve);
  assertEquals(rest.waiting, 2);
  await within(over.promise, LIMIT, "the turn of the second");
});

Deno.test("A7: ReadPacer does not look at the processor time of pieces that are quick", async () => {
  let looks = 0;
  using pacer = new ReadPacer(0, { now: () => 0, used: () => ++looks });
  const socket = new Duplex({ read() {}, write: (_, __, done) => done() });
  const over = Promise.withResolvers<void>();
  let left = 256 * 1024;
  pacer.pace(socket, {
    onPiece: (bytes) => (left -= bytes) === 0 && over.resolve(),
  });
  socket.resume();
  await new Promise(setImmediate); // it flows
  socket.push(Buffer.alloc(left));
  await within(over.promise, LIMIT, "all pieces");
  assertEquals(looks, 0);
  socket.destroy();
});

/** Pieces of a chunk as a pacer passes them on, each of which costs what it is told. */
async function piecesOf(
  chunk: number,
  cost: { readonly passed: number; readonly used: number },
): Promise<number[]> {
  let now = 0;
  let used = 0;
  using pacer = new ReadPacer(0, { now: () => now, used: () => used });
  const pieces: number[] = [];
  const over = Promise.withResolvers<void>();
  const socket = new Duplex({ read() {}, write: (_, __, done) => done() });
  let left = chunk;
  pacer.pace(socket, {
    onPiece(bytes) {
      pieces.push(bytes);
      now += cost.passed;
      used += cost.used;
      left -= bytes;
      if (left === 0) over.resolve();
    },
  });
  socket.resume();
  await new Promise(setImmediate); // it flows
  socket.push(Buffer.alloc(chunk));
  await within(over.promise, LIMIT, "all pieces");
  socket.destroy();
  return pieces;
}

const KIB = 1_024;

Deno.test("A4: ReadPacer makes pieces smaller that take much of the processor", async () => {
  const pieces = await piecesOf(16 * KIB, { passed: 10, used: 10 });
  // The processor time of the first one was not looked at: few take long.
  assertEquals(pieces, [4, 4, 2, 2, 2, 2].map((kib) => kib * KIB));
});

Deno.test("A4: ReadPacer makes no piece smaller because others have the processor", async () => {
  const pieces = await piecesOf(64 * KIB, { passed: 10, used: 0.5 });
  assertEquals(pieces, [4, 4, 8, 16, 32].map((kib) => kib * KIB));
});

Deno.test("A4: ReadPacer counts nothing that other threads do beside it", async () => {
  const pieces = await piecesOf(60 * KIB, { passed: 0.5, used: 10 });
  assertEquals(pieces, [4, 8, 16, 32].map((kib) => kib * KIB));
});
