import type { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import process from "node:process";
import { clearImmediate, setImmediate } from "node:timers";
import { rest } from "../rest.ts";

/**
 * The pieces that are passed on before any time is counted. A request of 150 bytes may
 * begin a run, which takes 2 ms: 16 KiB of such requests took 200 ms.
 */
const FREE = 4;

/** The time of a turn that goes to reading, in milliseconds. */
const SLICE = 4;

/** The sizes of the pieces in which a chunk is passed on, in bytes. */
const LEAST_PIECE = 2 * 1024;
const FIRST_PIECE = 4 * 1024;
const LARGEST_PIECE = 64 * 1024;

/**
 * A piece that costs less processor time may be larger; one that costs more has to be
 * smaller. In milliseconds.
 */
const CHEAP = 1;
const DEAR = 3;

/** A socket with fewer bytes than this within {@linkcode RECENT} goes before others. */
const LIGHT = 4 * 1024;
const RECENT = 100;

/** The clocks of a {@linkcode ReadPacer}, in milliseconds. */
export interface PacerClocks {
  /** The time that passes: others wait for as long, whoever has the processor. */
  now(): number;
  /** The processor time of this process. */
  used(): number;
}

const CLOCKS: PacerClocks = {
  now: () => performance.now(),
  used() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
};

/** Options of {@linkcode ReadPacer.pace}. */
export interface PaceOptions {
  /** The name of the peer: all its sockets wait in one lane. Default: the socket has a lane of its own. */
  readonly peer?: string | undefined;
  /**
   * Called with the number of bytes that are about to be passed on, and with the socket:
   * one function for all sockets. Default: not called.
   */
  readonly onPiece?: ((bytes: number, socket: Duplex) => void) | undefined;
}

/** A read that waits for its turn. */
interface Waiting {
  /** The lane in which it waits. */
  readonly lane: unknown;
  /** Whether the last piece has taken so long that the next one's processor time counts. */
  readonly isDear: boolean;
  /** Does one piece of its work. */
  passOn(): void;
  /**
   * Learns what the piece has cost, in milliseconds.
   *
   * @param passed The time that has passed.
   * @param used The processor time of the process, if it was looked at.
   */
  cost(passed: number, used: number | undefined): void;
}

/** The reads that wait, in a lane for each peer: the lanes take turns. */
class Lanes {
  readonly #lanes = new Map<unknown, Waiting[]>();

  get isEmpty(): boolean {
    return this.#lanes.size === 0;
  }

  add(waiting: Waiting): void {
    const lane = this.#lanes.get(waiting.lane);
    if (lane) lane.push(waiting);
    else this.#lanes.set(waiting.lane, [waiting]);
  }

  /** Takes the first of the first lane, which comes last then. */
  take(): Waiting | undefined {
    for (const [name, lane] of this.#lanes) {
      const first = lane.shift();
      this.#lanes.delete(name);
      if (lane.length > 0) this.#lanes.set(name, lane);
      return first;
    }
    return undefined;
  }

  clear(): void {
    this.#lanes.clear();
  }
}

/**
 * Shares the time of the process among the sockets that it reads.
 *
 * The runtime reads a socket on and on, within one turn of the event loop, as long
 * as there are bytes. A peer that sends faster than its bytes can be worked on would
 * keep everybody else from being served, for as long as it likes: pings at 3 MB/s
 * did. Here a turn reads for some milliseconds. What is left waits for the next
 * turn, in small pieces if its bytes cost much, while its socket is not read. The
 * sockets of one peer wait in one lane, and the lanes take turns: a peer with a
 * thousand connections holds up another by one piece.
 */
export class ReadPacer implements Disposable {
  readonly #light = new Lanes();
  readonly #heavy = new Lanes();
  #immediate: ReturnType<typeof setImmediate> | undefined;
  #pieces = 0;
  /** The start of the turn whose time is counted; `undefined` while none is. */
  #start: number | undefined;
  #isRunning = false;
  /** Ends the work of a turn, once it has begun. */
  #endWork: (() => void) | undefined;
  /** Waits no more for the end of the turn; `undefined` while nothing waits for that. */
  #cancelRest: (() => void) | undefined;
  #isDisposed = false;
  /** The bytes that a socket may have sent lately for its next ones to be passed on at once. */
  readonly free: number;
  /** The clocks. */
  readonly clocks: PacerClocks;

  /**
   * Paces nothing yet.
   *
   * @param free The number of bytes that a socket may send in 100 ms before it waits
   * for a turn. Default: 0, as a client can open many sockets.
   * @param clocks The clocks. Default: those of the process.
   */
  constructor(free = 0, clocks: PacerClocks = CLOCKS) {
    this.free = free;
    this.clocks = clocks;
  }

  /**
   * Reads a socket in turns from now on.
   *
   * @param socket A connection that was not read yet.
   * @param options The peer, and what hears of its bytes.
   */
  pace(socket: Duplex, { onPiece, peer }: PaceOptions = {}): void {
    readInJavaScript(socket);
    const reading = new PacedReading(socket, this, { onPiece, peer });
    Object.assign(socket, { [READING]: reading }, PACED);
  }

  /** Whether bytes of a socket wait for their turn. */
  isHolding(socket: Duplex): boolean {
    return (socket as Partial<PacedSocket>)[READING]?.isHolding ?? false;
  }

  /** Stops counting: what waits is no longer passed on. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearImmediate(this.#immediate);
    this.#cancelRest?.();
    this.#stopWork();
    this.#light.clear();
    this.#heavy.clear();
  }

  /** Whether bytes that have come may be passed on at once. */
  mayPass(): boolean {
    if (this.#start === undefined) {
      if (++this.#pieces < FREE) return true;
      this.#begin();
      this.#rest();
    }
    return !this.#isSomethingWaiting && this.#hasTime();
  }

  /** Lets a socket wait for its next piece. */
  add(reading: PacedReading): void {
    this.#add(reading, reading.isLight ? this.#light : this.#heavy);
  }

  /**
   * Does what a peer has asked for in the turn of its sockets: what it has sent
   * before, and was not done at once.
   *
   * @param peer The name of the peer.
   * @param work The work; it is not done once the pacer is disposed of.
   */
  run(peer: string, work: () => void): void {
    this.#add(
      { lane: peer, isDear: false, passOn: work, cost() {} },
      this.#heavy,
    );
  }

  #add(waiting: Waiting, lanes: Lanes): void {
    if (this.#isDisposed) return;
    lanes.add(waiting);
    if (this.#isRunning) return;
    if (this.#start === undefined) this.#begin();
    this.#goOn();
  }

  get #isSomethingWaiting(): boolean {
    return !this.#light.isEmpty || !this.#heavy.isEmpty;
  }

  #hasTime(): boolean {
    return this.#start !== undefined &&
      this.clocks.now() - this.#start < SLICE;
  }

  #begin(): void {
    this.#start = this.clocks.now();
    this.#pieces = 0;
  }

  #goOn(): void {
    if (this.#isSomethingWaiting && this.#hasTime() && this.#mayWork) {
      return this.#run();
    }
    this.#rest();
    this.#stopWork();
  }

  /** Whether the turn is not over for others: all rest in the same moment. */
  get #mayWork(): boolean {
    return this.#endWork !== undefined ||
      rest.waiting === (this.#cancelRest ? 1 : 0);
  }

  /** Passes on one piece. */
  #run(): void {
    this.#isRunning = true;
    this.#endWork ??= rest.work();
    // By then all that the last bytes have set going has been done.
    this.#immediate = setImmediate(() => {
      const { clocks } = this;
      const start = clocks.now();
      // Of light sockets several: what each has sent costs little.
      while (!this.#light.isEmpty && clocks.now() - start < CHEAP) {
        this.#light.take()?.passOn();
      }
      const reading = this.#light.isEmpty ? this.#heavy.take() : undefined;
      const before = reading?.isDear ? clocks.used() : undefined;
      const begun = clocks.now();
      reading?.passOn();
      this.#immediate = setImmediate(() => {
        if (reading) {
          // A process that waits for its processor uses none of it, and its other
          // threads may use another.
          const passed = clocks.now() - begun;
          reading.cost(
            passed,
            before === undefined ? undefined : clocks.used() - before,
          );
        }
        this.#isRunning = false;
        this.#goOn();
      });
    });
  }

  /** Ends the turn when the runtime has looked at its sockets. */
  #rest(): void {
    if (this.#isDisposed) return;
    this.#cancelRest ??= rest.wait(() => {
      this.#cancelRest = undefined;
      this.#start = undefined;
      if (!this.#isSomethingWaiting) return;
      this.#begin();
      this.#run();
    });
  }

  #stopWork(): void {
    this.#endWork?.();
    this.#endWork = undefined;
  }
}

/**
 * Has the bytes of a connection come by its socket.
 *
 * The server lets its parser, which is native, read the connection beside the
 * socket. The two properties are those by which the server itself takes a
 * connection back for an upgrade; the types do not know of them.
 */
function readInJavaScript(socket: Duplex): void {
  const { parser, _handle: handle } = socket as Duplex & {
    readonly parser?: { unconsume?(): void };
    readonly _handle?: { _consumed?: boolean };
  };
  if (!handle?._consumed) return;
  parser?.unconsume?.();
  handle._consumed = false;
}

/** An empty list that all readings share. Nothing is ever added to it. */
const NONE: never[] = [];

/** The property of a socket that is read in turns: its reading. */
const READING = Symbol("reading");

/** A socket that is read in turns. */
type PacedSocket = Duplex & { readonly [READING]: PacedReading };

/**
 * The methods of a socket that is read in turns: all that fills it, and reads it, is behind
 * them. Functions of its own for each socket, and listeners for its events, took 0.9 KB of
 * an idle connection.
 */
const PACED: OwnMethods = {
  push(this: PacedSocket, chunk: Buffer | null): boolean {
    return this[READING].take(chunk);
  },
  _read(this: PacedSocket, size: number): void {
    this[READING].readMore(size);
  },
  destroy(this: PacedSocket, error?: Error): Duplex {
    return this[READING].destroy(error);
  },
  resume(this: PacedSocket): Duplex {
    return this[READING].resume();
  },
};

/** The methods that {@linkcode PACED} takes the place of. */
interface OwnMethods {
  push(this: Duplex, chunk: Buffer | null): boolean;
  _read(this: Duplex, size: number): void;
  destroy(this: Duplex, error?: Error): Duplex;
  resume(this: Duplex): Duplex;
}

/** The methods of the socket that was last asked for: most sockets have the same. */
let latest: OwnMethods | undefined;

/** Returns the methods of a socket that was not read yet. */
function ownMethodsOf({ push, _read, destroy, resume }: Duplex): OwnMethods {
  const isSame = latest?.push === push && latest._read === _read &&
    latest.destroy === destroy && latest.resume === resume;
  if (!latest || !isSame) latest = { push, _read, destroy, resume };
  return latest;
}

/** The reading of one socket. */
class PacedReading {
  /** The lane in which the socket waits. */
  readonly lane: unknown;
  readonly #socket: Duplex;
  readonly #pacer: ReadPacer;
  readonly #onPiece: PaceOptions["onPiece"];
  readonly #own: OwnMethods;
  #held: Buffer[] = NONE;
  #hasEnded = false;
  #isWaiting = false;
  #piece = FIRST_PIECE;
  /**
   * Whether the last piece has taken long. Only then is the processor time of the next
   * one looked at: with 500 sockets, that took a tenth of the processor.
   */
  isDear = false;
  #recent = 0;
  #recentAt = 0;

  constructor(
    socket: Duplex,
    pacer: ReadPacer,
    { onPiece, peer }: PaceOptions,
  ) {
    this.#socket = socket;
    this.lane = peer ?? this;
    this.#pacer = pacer;
    this.#onPiece = onPiece;
    this.#own = ownMethodsOf(socket);
  }

  #push(chunk: Buffer | null): boolean {
    if (chunk) this.#onPiece?.(chunk.length, this.#socket);
    return this.#own.push.call(this.#socket, chunk);
  }

  /** Reads the socket, unless something is held: it goes on when that has been passed on. */
  readMore(size: number): void {
    if (this.#held.length === 0) this.#read(size);
  }

  /** Destroys the socket. Bytes from before a reset count: they may hold the end of an answer. */
  destroy(error?: Error): Duplex {
    const socket = this.#socket;
    if (error && !socket.destroyed) this.#passOnAll();
    return this.#own.destroy.call(socket, error);
  }

  /** Lets the socket flow, and what is held wait for its turn again. */
  resume(): Duplex {
    this.#own.resume.call(this.#socket);
    this.#wait();
    return this.#socket;
  }

  #read(size: number): void {
    this.#own._read.call(this.#socket, size);
  }

  /** Whether the socket has had little to read lately. */
  get isLight(): boolean {
    return this.#recent < LIGHT;
  }

  /** Whether bytes have come that were not passed on. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  /** Passes on the next piece. */
  passOn(): void {
    this.#isWaiting = false;
    if (this.#socket.destroyed) this.#held = NONE;
    const [chunk] = this.#held;
    if (!chunk || this.#socket.isPaused()) return;
    if (chunk.length > this.#piece) {
      this.#held[0] = chunk.subarray(this.#piece);
      this.#push(chunk.subarray(0, this.#piece));
      return this.#wait();
    }
    if (this.#held.length === 1) this.#held = NONE;
    else this.#held.shift();
    this.#push(chunk);
    if (this.#held.length > 0) return this.#wait();
    if (this.#hasEnded) return void this.#push(null);
    this.#read(this.#socket.readableHighWaterMark);
  }

  /** Passes on everything that is held: the socket is not read again. */
  #passOnAll(): void {
    const held = this.#held;
    this.#held = NONE;
    for (const chunk of held) this.#push(chunk);
  }

  /** Learns what the last piece has cost. */
  cost(passed: number, used: number | undefined): void {
    const cost = Math.min(passed, used ?? Infinity);
    this.isDear = passed > DEAR;
    if (cost < CHEAP) {
      this.#piece = Math.min(LARGEST_PIECE, this.#piece * 2);
    } else if (used !== undefined && cost > DEAR) {
      this.#piece = Math.max(LEAST_PIECE, this.#piece / 2);
    }
  }

  /** Takes what was read; returns whether more may be. */
  take(chunk: Buffer | null): boolean {
    if (!chunk || chunk.length === 0) {
      if (this.#held.length === 0) return this.#push(chunk);
      this.#hasEnded ||= !chunk;
      return false;
    }
    this.#count(chunk.length);
    if (
      this.#held.length === 0 && chunk.length <= this.#piece &&
      !this.#socket.isPaused() &&
      (this.#recent < this.#pacer.free || this.#pacer.mayPass())
    ) return this.#push(chunk);
    if (this.#held.length === 0) this.#held = [chunk];
    else this.#held.push(chunk);
    this.#wait();
    return false;
  }

  #wait(): void {
    if (this.#isWaiting || this.#held.length === 0) return;
    if (this.#socket.isPaused()) return; // until `resume`
    this.#isWaiting = true;
    this.#pacer.add(this);
  }

  #count(bytes: number): void {
    const now = this.#pacer.clocks.now();
    if (now - this.#recentAt > RECENT) {
      this.#recent = 0;
      this.#recentAt = now;
    }
    this.#recent += bytes;
  }
}
