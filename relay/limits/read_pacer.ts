import type { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import process from "node:process";
import { clearImmediate, setImmediate } from "node:timers";
import { Line, Place } from "../line.ts";
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
  /** The peer in whose lane it waits; `undefined` if it has a lane of its own. */
  readonly peer: string | undefined;
  /** Its place in that lane. */
  readonly place: Place<Waiting>;
  /** Whether the last piece has taken so long that the next one's processor time counts. */
  readonly isDear: boolean;
  /** Does one piece of its work; returns the number of its bytes. */
  passOn(): number;
  /**
   * Learns what the piece has cost, in milliseconds.
   *
   * @param passed The time that has passed.
   * @param used The processor time of the process, if it was looked at.
   */
  cost(passed: number, used: number | undefined): void;
}

/** The reads of one peer that wait. */
class PeerLane {
  readonly name: string;
  readonly place: Place<PeerLane> = new Place<PeerLane>(this);
  readonly reads = new Line<Waiting>();

  constructor(name: string) {
    this.name = name;
  }
}

/** The most lanes that are kept for peers of which no read waits. */
const MOST_KEPT = 1_024;

/** The reads that wait, in a lane for each peer: the lanes take turns. */
class Lanes {
  readonly #ofPeers = new Map<string, PeerLane>();
  /** The lanes in which a read waits, and the reads that have a lane of their own. */
  readonly #turns = new Line<PeerLane | Waiting>();

  get isEmpty(): boolean {
    return this.#turns.size === 0;
  }

  add(waiting: Waiting): void {
    const { peer } = waiting;
    if (peer === undefined) return this.#turns.push(waiting.place);
    let lane = this.#ofPeers.get(peer);
    if (!lane) this.#ofPeers.set(peer, lane = new PeerLane(peer));
    lane.reads.push(waiting.place);
    this.#turns.push(lane.place);
  }

  /** Takes the first of the first lane, which comes last then. */
  take(): Waiting | undefined {
    const first = this.#turns.shift();
    if (!(first instanceof PeerLane)) return first;
    const { reads, place, name } = first;
    const waiting = reads.shift();
    if (reads.size > 0) this.#turns.push(place);
    // Most of those who have sent something send more.
    else if (this.#ofPeers.size > MOST_KEPT) this.#ofPeers.delete(name);
    return waiting;
  }

  clear(): void {
    for (const { reads } of this.#ofPeers.values()) reads.clear();
    this.#ofPeers.clear();
    this.#turns.clear();
  }
}

/**
 * Shares the time of the process among the sockets that it reads.
 *
 * The runtime reads a socket on and on, within one turn of the event loop, as long
 * as there are bytes. A peer that sends faster than its bytes can be worked on would
 * keep everybody else from being served, for as long as it likes: pings at 3 MB/s
 * did. Here a turn reads for some milliseconds. What is left waits for the next
 * turn, in small pieces if its bytes cost much, while its socket is not read. A light
 * socket, which has sent little lately, is read in its turn: what it has sent by then is
 * passed on at once. The
 * sockets of one peer wait in one lane, and the lanes take turns: a peer with a
 * thousand connections holds up another by one piece.
 */
export class ReadPacer implements Disposable {
  readonly #light = new Lanes();
  readonly #heavy = new Lanes();
  #immediate: ReturnType<typeof setImmediate> | undefined;
  #pieces = 0;
  /** The bytes of light sockets that were passed on since heavy ones had their turn. */
  #lightBytes = 0;
  #turns = 0;
  /** The time at which this turn's first read brought bytes; `undefined` before that. */
  #firstRead: number | undefined;
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

  /** The number of the current turn. */
  get turn(): number {
    return this.#turns;
  }

  /** Whether a socket waits for its turn. */
  get isBusy(): boolean {
    return !this.#light.isEmpty || !this.#heavy.isEmpty;
  }

  /**
   * Whether a light socket may pass on bytes that were read in its turn. They arrive when
   * the runtime looks at its sockets, outside of the turn's own loop, so that this bounds
   * their time.
   */
  mayPassInTurn(bytes: number): boolean {
    const now = this.clocks.now();
    this.#firstRead ??= now;
    if (now - this.#firstRead >= SLICE) return false;
    this.#lightBytes += bytes;
    return true;
  }

  /** Whether bytes that have come may be passed on at once. */
  mayPass(): boolean {
    if (this.#start === undefined) {
      if (++this.#pieces < FREE) return true;
      this.#begin();
      this.#rest();
    }
    return !this.isBusy && this.#hasTime();
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
    this.#add(new PacedWork(peer, work), this.#heavy);
  }

  #add(waiting: Waiting, lanes: Lanes): void {
    if (this.#isDisposed) return;
    lanes.add(waiting);
    if (this.#isRunning) return;
    if (this.#start === undefined) this.#begin();
    this.#goOn();
  }

  #hasTime(): boolean {
    return this.#start !== undefined &&
      this.clocks.now() - this.#start < SLICE;
  }

  #begin(): void {
    this.#start = this.clocks.now();
    this.#pieces = 0;
    this.#turns++;
    this.#firstRead = undefined;
  }

  #goOn(): void {
    if (this.isBusy && this.#hasTime() && this.#mayWork) {
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

  /** Passes on pieces of the sockets whose turn it is: light ones, then heavy ones. */
  #run(): void {
    this.#isRunning = true;
    this.#endWork ??= rest.work();
    // By then all that the last bytes have set going has been done.
    this.#immediate = setImmediate(() => {
      const { clocks } = this;
      const start = clocks.now();
      // Several light sockets have their turn, as what each has sent costs little.
      while (!this.#light.isEmpty && clocks.now() - start < CHEAP) {
        this.#lightBytes += this.#light.take()?.passOn() ?? 0;
      }
      // Heavy sockets pass on one piece at least, and as many bytes as the light ones if
      // those cost as little. A socket that was late once is heavy until it has caught up:
      // with less than its share, it would stay late for as long as the others send.
      const begun = clocks.now();
      let before: number | undefined;
      const heavy: Waiting[] = [];
      const light = this.#lightBytes;
      this.#lightBytes = 0;
      let bytes = 0;
      while (
        heavy.length === 0 || bytes < light && clocks.now() - begun < CHEAP
      ) {
        const waiting = this.#heavy.take();
        if (!waiting) break;
        if (waiting.isDear) before ??= clocks.used();
        bytes += waiting.passOn();
        heavy.push(waiting);
      }
      this.#immediate = setImmediate(() => {
        if (heavy.length > 0) {
          // A process that waits for its processor uses none of it, and its other
          // threads may use another.
          const passed = (clocks.now() - begun) / heavy.length;
          const used = before === undefined
            ? undefined
            : (clocks.used() - before) / heavy.length;
          for (const waiting of heavy) waiting.cost(passed, used);
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
      if (!this.isBusy) return;
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

/** Work that a peer has asked for. */
class PacedWork implements Waiting {
  readonly peer: string;
  readonly place: Place<Waiting> = new Place<Waiting>(this);
  readonly isDear = false;
  readonly #work: () => void;

  constructor(peer: string, work: () => void) {
    this.peer = peer;
    this.#work = work;
  }

  passOn(): number {
    this.#work();
    return FIRST_PIECE;
  }

  cost(): void {}
}

/** The reading of one socket. */
class PacedReading implements Waiting {
  readonly peer: string | undefined;
  #place: Place<Waiting> | undefined;
  readonly #socket: Duplex;
  readonly #pacer: ReadPacer;
  readonly #onPiece: PaceOptions["onPiece"];
  readonly #own: OwnMethods;
  #held: Buffer[] = NONE;
  #hasEnded = false;
  #isWaiting = false;
  /**
   * Whether the socket is not read until its turn. With 400 publishers, bytes that were
   * read right after a turn were 40 ms old in the next one.
   */
  #isToRead = false;
  /** The number of the turn in which the socket was read as a light one; -1 for none. */
  #turn = -1;
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
    this.peer = peer;
    this.#pacer = pacer;
    this.#onPiece = onPiece;
    this.#own = ownMethodsOf(socket);
  }

  #push(chunk: Buffer | null): boolean {
    if (chunk) this.#onPiece?.(chunk.length, this.#socket);
    return this.#own.push.call(this.#socket, chunk);
  }

  /** Reads the socket, unless bytes are held, or the socket is not read until its turn. */
  readMore(size: number): void {
    if (this.#held.length === 0 && !this.#isToRead) this.#read(size);
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

  get place(): Place<Waiting> {
    return this.#place ??= new Place<Waiting>(this);
  }

  /** Whether the socket has had little to read lately. */
  get isLight(): boolean {
    return this.#recent < LIGHT;
  }

  /** Whether bytes have come that were not passed on, or may have come unread. */
  get isHolding(): boolean {
    return this.#held.length > 0 || this.#isToRead;
  }

  /** Passes on the next piece; returns its bytes. */
  passOn(): number {
    this.#isWaiting = false;
    if (this.#socket.destroyed) {
      this.#held = NONE;
      this.#isToRead = false;
      return 0;
    }
    if (this.#socket.isPaused()) return 0;
    const [chunk] = this.#held;
    if (!chunk) {
      this.#readInTurn();
      return 0;
    }
    if (chunk.length > this.#piece) {
      const piece = chunk.subarray(0, this.#piece);
      this.#held[0] = chunk.subarray(this.#piece);
      this.#push(piece);
      this.#wait();
      return piece.length;
    }
    if (this.#held.length === 1) this.#held = NONE;
    else this.#held.shift();
    this.#push(chunk);
    if (this.#held.length > 0) this.#wait();
    else if (this.#hasEnded) this.#push(null);
    else this.#readInTurn();
    return chunk.length;
  }

  /** Reads the socket. What a light one has sent is passed on in this turn. */
  #readInTurn(): void {
    this.#isToRead = false;
    this.#turn = this.isLight ? this.#pacer.turn : -1;
    this.#read(this.#socket.readableHighWaterMark);
  }

  /** Passes on a chunk that was read in the turn; returns whether more may be read now. */
  #passInTurn(chunk: Buffer): boolean {
    this.#turn = -1;
    const goesOn = this.#push(chunk);
    if (!this.#pacer.isBusy) return goesOn;
    this.#isToRead = true;
    this.#wait();
    return false;
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
      !this.#socket.isPaused()
    ) {
      const isTurn = this.#turn === this.#pacer.turn && this.isLight &&
        this.#pacer.mayPassInTurn(chunk.length);
      if (isTurn) return this.#passInTurn(chunk);
      if (this.#recent < this.#pacer.free || this.#pacer.mayPass()) {
        return this.#push(chunk);
      }
    }
    if (this.#held.length === 0) this.#held = [chunk];
    else this.#held.push(chunk);
    this.#wait();
    return false;
  }

  #wait(): void {
    if (this.#isWaiting || !this.isHolding) return;
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
