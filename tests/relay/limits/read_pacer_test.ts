// The work of peers: one with much of it does not keep the others waiting.
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import { assert, assertEquals } from "@std/assert";
import {
  type PaceOptions,
  ReadPacer,
} from "../../../relay/limits/read_pacer.ts";
import { rest } from "../../../relay/rest.ts";
import { LIMIT, within } from "../../support/within.ts";

const KIB = 1_024;

/** Opens a connection that is read in turns, and flows. */
function openSocket(pacer: ReadPacer, options: PaceOptions): Duplex {
  const socket = new Duplex({ read() {}, write: (_, __, done) => done() });
  pacer.pace(socket, options);
  return socket.resume();
}

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
    const onPiece = (): void => {
      read.push(name);
      if (read.length === 6) over.resolve();
    };
    return openSocket(pacer, { peer, onPiece });
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

Deno.test("ReadPacer has work of a peer done while others never stop to send a little", async () => {
  let time = 0;
  let pieces = 0;
  using pacer = new ReadPacer(0, { now: () => time, used: () => time });
  const over = Promise.withResolvers<number>();
  const sockets = Array.from({ length: 4 }, () => {
    const onPiece = (_: number, socket: Duplex): void => {
      time += 1;
      if (++pieces === 100) over.resolve(pieces);
      else if (pieces < 100) setImmediate(() => socket.push(Buffer.from("x")));
    };
    return openSocket(pacer, { onPiece });
  });
  await new Promise(setImmediate); // they flow
  for (const socket of sockets) socket.push(Buffer.from("x"));
  pacer.run("a", () => over.resolve(pieces));
  const before = await within(over.promise, LIMIT, "the work, or many pieces");
  assert(before < 10, `the work was done after ${before} pieces`);
  for (const socket of sockets) socket.destroy();
});

Deno.test("ReadPacer lets sockets that were late catch up while many others send a little", async () => {
  let time = 0;
  using pacer = new ReadPacer(0, { now: () => time, used: () => time });
  const over = Promise.withResolvers<void>();
  const behind = 8 * KIB;
  const owed = 40 * behind;
  let late = 0;
  let little = 0;
  const many = Array.from({ length: 400 }, () =>
    openSocket(pacer, {
      onPiece(bytes, socket) {
        time += 0.1;
        little += bytes;
        if (late < owed) setImmediate(() => socket.push(Buffer.alloc(bytes)));
      },
    }));
  const few = Array.from({ length: 40 }, () =>
    openSocket(pacer, {
      onPiece(bytes) {
        late += bytes;
        if (late === owed) over.resolve();
      },
    }));
  await new Promise(setImmediate); // they flow
  pacer.run("a", () => {}); // something waits: so does all that comes
  for (const socket of many) socket.push(Buffer.alloc(KIB));
  for (const socket of few) socket.push(Buffer.alloc(behind));
  await within(over.promise, LIMIT, "all that was late");
  assert(little <= owed, `meanwhile the others had ${little} of ${owed} bytes`);
  for (const socket of [...many, ...few]) socket.destroy();
});

/** A connection whose bytes the system keeps until it is read. */
class ReadSocket extends Duplex {
  #come: Buffer[] = [];
  #isRead = false;

  /** Has bytes come. */
  come(bytes: Buffer): void {
    this.#come.push(bytes);
    if (this.#isRead) setImmediate(() => this.#give());
  }

  override _read(): void {
    this.#isRead = true;
    if (this.#come.length > 0) setImmediate(() => this.#give());
  }

  override _write(_: unknown, __: string, done: () => void): void {
    done();
  }

  #give(): void {
    if (!this.#isRead || this.#come.length === 0) return;
    const bytes = Buffer.concat(this.#come);
    this.#come = [];
    // The runtime reads on until `push` returns false.
    this.#isRead = this.push(bytes);
  }
}

Deno.test("ReadPacer passes on all that has come, in order, and what is new in a turn", async () => {
  let time = 0;
  using pacer = new ReadPacer(0, { now: () => time, used: () => time });
  const count = 40;
  const events = 200;
  const over = Promise.withResolvers<void>();
  let event = 0;
  let left = count * events;
  const ages: number[] = [];
  const sockets = Array.from({ length: count }, () => {
    let next = 0;
    const socket = new ReadSocket();
    pacer.pace(socket, { onPiece: () => time += 0.25 });
    socket.on("data", (bytes: Buffer) => {
      for (const byte of bytes) assertEquals(byte, next++);
      ages.push(event - next);
      left -= bytes.length;
      if (left === 0) over.resolve();
    });
    return socket;
  });
  await new Promise(setImmediate); // they flow
  while (event < events) {
    for (const socket of sockets) socket.come(Buffer.from([event]));
    event++;
    await new Promise(setImmediate);
  }
  await within(over.promise, LIMIT, "all bytes");
  for (const socket of sockets) socket.destroy();
  // While more came: the first pieces passed at once, and the last ones waited for nothing.
  const pieces = ages.slice(count, ages.length / 2);
  const fresh = pieces.filter((age) => age <= 1).length;
  assert(fresh >= pieces.length / 4, `${fresh} of ${pieces.length} were new`);
});

Deno.test("ReadPacer has sockets that it reads in their turn take no more time than a turn has", async () => {
  let time = 0;
  using pacer = new ReadPacer(0, { now: () => time, used: () => time });
  let pieces = 0;
  const sockets = Array.from({ length: 40 }, () => {
    const socket = new ReadSocket();
    pacer.pace(socket, {
      onPiece() {
        pieces++;
        time += 3;
      },
    });
    return socket.resume();
  });
  await new Promise(setImmediate); // they flow
  let longest = 0;
  for (let round = 0; pieces < 400; round++) {
    for (const socket of sockets) socket.come(Buffer.from("x"));
    const before = time;
    await new Promise(setImmediate);
    // The first ones that come pass before any time is counted.
    if (round > 2) longest = Math.max(longest, time - before);
  }
  for (const socket of sockets) socket.destroy();
  // All of them at once would take 120.
  assert(longest <= 40, `the loop stood still for ${longest} ms`);
});

Deno.test("ReadPacer does one piece of dear work in a turn, however much others send", async () => {
  let time = 0;
  using pacer = new ReadPacer(0, { now: () => time, used: () => time });
  let read = 0;
  let done = 0;
  const over = Promise.withResolvers<void>();
  const sockets = Array.from({ length: 100 }, () => {
    const onPiece = (bytes: number, socket: Duplex): void => {
      time += 0.01;
      read += bytes;
      if (done < 20) setImmediate(() => socket.push(Buffer.alloc(bytes)));
    };
    return openSocket(pacer, { onPiece });
  });
  await new Promise(setImmediate); // they flow
  for (const socket of sockets) socket.push(Buffer.alloc(100));
  const reads: number[] = [];
  for (let work = 0; work < 20; work++) {
    pacer.run(`peer ${work}`, () => {
      time += 30;
      reads.push(read);
      if (++done === 20) over.resolve();
    });
  }
  await within(over.promise, LIMIT, "all work");
  // The others had their turn between each two.
  assertEquals(new Set(reads).size, reads.length);
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
  const over = Promise.withResolvers<void>();
  let left = 256 * 1024;
  const socket = openSocket(pacer, {
    onPiece: (bytes) => (left -= bytes) === 0 && over.resolve(),
  });
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
  let left = chunk;
  const socket = openSocket(pacer, {
    onPiece(bytes) {
      pieces.push(bytes);
      now += cost.passed;
      used += cost.used;
      left -= bytes;
      if (left === 0) over.resolve();
    },
  });
  await new Promise(setImmediate); // it flows
  socket.push(Buffer.alloc(chunk));
  await within(over.promise, LIMIT, "all pieces");
  socket.destroy();
  return pieces;
}

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
