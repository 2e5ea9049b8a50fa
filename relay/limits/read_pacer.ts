import type { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { clearImmediate, setImmediate } from "node:timers";

/** The bytes that are read in one turn of the event loop before any time is counted. */
const FREE = 16 * 1024;

/** The time of a turn that goes to reading, in milliseconds. */
const SLICE = 4;

/** The time between two turns, in milliseconds: the runtime looks at its sockets when it has nothing else to do. */
const REST = 1;

/** The sizes of the pieces in which a chunk is passed on, in bytes. */
const LEAST_PIECE = 2 * 1024;
const FIRST_PIECE = 4 * 1024;
const LARGEST_PIECE = 64 * 1024;

/** A piece that costs less time may be larger; one that costs more has to be smaller. In milliseconds. */
const CHEAP = 1;
const DEAR = 3;

/** A socket with fewer bytes than this within {@linkcode RECENT} goes before others. */
const LIGHT = 4 * 1024;
const RECENT = 100;

/**
 * Shares the time of the process among the sockets that it reads.
 *
 * The runtime reads a socket on and on, within one turn of the event loop, as long
 * as there are bytes. A peer that sends faster than its bytes can be worked on would
 * keep everybody else from being served, for as long as it likes: pings at 3 MB/s
 * did. Here a turn reads for some milliseconds. What is left waits for the next
 * turn, in small pieces if its bytes cost much, while its socket is not read.
 */
export class ReadPacer implements Disposable {
  readonly #light: PacedReading[] = [];
  readonly #heavy: PacedReading[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #immediate: ReturnType<typeof setImmediate> | undefined;
  #bytes = 0;
  /** When the turn began whose time is counted; `undefined` while no time is. */
  #start: number | undefined;
  #isRunning = false;
  #isResting = false;
  #isDisposed = false;
  /** The bytes that a socket may have sent lately for its next ones to be passed on at once. */
  readonly free: number;

  /**
   * Paces nothing yet.
   *
   * @param free The number of bytes that a socket may send in 100 ms before it waits
   * for a turn. Default: 0, as a client can open many sockets.
   */
  constructor(free = 0) {
    this.free = free;
  }

  /**
   * Reads a socket in turns from now on.
   *
   * @param socket A connection that was not read yet.
   * @param onPiece Called with the number of bytes that are about to be passed
   * on. Default: not called.
   */
  pace(socket: Duplex, onPiece?: (bytes: number) => void): void {
    readInJavaScript(socket);
    new PacedReading(socket, this, onPiece);
  }

  /** Stops counting: what waits is no longer passed on. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#cancelRest();
    this.#light.length = 0;
    this.#heavy.length = 0;
  }

  /** Whether bytes that have come may be passed on at once. */
  mayPass(size: number): boolean {
    if (this.#start === undefined) {
      this.#bytes += size;
      if (this.#bytes < FREE) return true;
      this.#begin();
      this.#rest();
    }
    return !this.#isSomethingWaiting && this.#hasTime();
  }

  /** Lets a socket wait for its next piece. */
  add(reading: PacedReading): void {
    if (this.#isDisposed) return;
    (reading.isLight ? this.#light : this.#heavy).push(reading);
    if (this.#isRunning) return;
    if (this.#start === undefined) this.#begin();
    this.#goOn();
  }

  get #isSomethingWaiting(): boolean {
    return this.#light.length + this.#heavy.length > 0;
  }

  #hasTime(): boolean {
    return this.#start !== undefined &&
      performance.now() - this.#start < SLICE;
  }

  #begin(): void {
    this.#start = performance.now();
    this.#bytes = 0;
  }

  #goOn(): void {
    if (this.#isSomethingWaiting && this.#hasTime()) this.#run();
    else if (!this.#isResting) this.#rest();
  }

  /** Passes on one piece. */
  #run(): void {
    this.#isRunning = true;
    this.#cancelRest();
    // By then all that the last bytes have set going has been done.
    this.#immediate = setImmediate(() => {
      const start = performance.now();
      // Of light sockets several: what each has sent costs little.
      while (this.#light.length > 0 && performance.now() - start < CHEAP) {
        this.#light.shift()?.passOn();
      }
      const reading = this.#light.length > 0 ? undefined : this.#heavy.shift();
      reading?.passOn();
      this.#immediate = setImmediate(() => {
        reading?.took(performance.now() - start);
        this.#isRunning = false;
        this.#goOn();
      });
    });
  }

  /**
   * Ends the turn when the runtime has looked at its sockets.
   *
   * A loop that always has something to do looks at them only every 61st time: after
   * 60 ms of pieces that take 1 ms each. So it is given nothing to do for a moment.
   */
  #rest(): void {
    if (this.#isDisposed) return;
    this.#isResting = true;
    // Timers count from the beginning of a round of the loop: this is a new one.
    this.#immediate = setImmediate(() => {
      this.#timer = setTimeout(() => {
        this.#isResting = false;
        this.#start = undefined;
        if (!this.#isSomethingWaiting) return;
        this.#begin();
        this.#run();
      }, REST);
    });
  }

  #cancelRest(): void {
    this.#isResting = false;
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
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

/** The reading of one socket. */
class PacedReading {
  readonly #socket: Duplex;
  readonly #pacer: ReadPacer;
  readonly #push: (chunk: Buffer | null) => boolean;
  readonly #read: (size: number) => void;
  readonly #held: Buffer[] = [];
  #hasEnded = false;
  #isWaiting = false;
  #piece = FIRST_PIECE;
  #recent = 0;
  #recentAt = 0;

  constructor(
    socket: Duplex,
    pacer: ReadPacer,
    onPiece: ((bytes: number) => void) | undefined,
  ) {
    this.#socket = socket;
    this.#pacer = pacer;
    // The two by which a Readable is filled: all that reads the socket is behind them.
    const push = socket.push.bind(socket);
    this.#push = (chunk) => {
      if (chunk) onPiece?.(chunk.length);
      return push(chunk);
    };
    this.#read = socket._read.bind(socket);
    socket.push = (chunk: Buffer | null) => this.#take(chunk);
    socket._read = (size) => {
      // It goes on when what is held has been passed on.
      if (this.#held.length === 0) this.#read(size);
    };
    // What came before a reset counts: the end of an answer may be in it.
    const destroy = socket.destroy.bind(socket);
    socket.destroy = (error) => {
      if (error && !socket.destroyed) this.#passOnAll();
      return destroy(error);
    };
    socket.on("resume", () => this.#wait());
    socket.on("close", () => this.#held.length = 0);
  }

  /** Whether the socket has had little to read lately. */
  get isLight(): boolean {
    return this.#recent < LIGHT;
  }

  /** Passes on the next piece. */
  passOn(): void {
    this.#isWaiting = false;
    const [chunk] = this.#held;
    if (!chunk || this.#socket.destroyed || this.#socket.isPaused()) return;
    if (chunk.length > this.#piece) {
      this.#held[0] = chunk.subarray(this.#piece);
      this.#push(chunk.subarray(0, this.#piece));
      return this.#wait();
    }
    this.#held.shift();
    this.#push(chunk);
    if (this.#held.length > 0) return this.#wait();
    if (this.#hasEnded) return void this.#push(null);
    this.#read(this.#socket.readableHighWaterMark);
  }

  /** Passes on everything that is held: the socket is not read again. */
  #passOnAll(): void {
    for (const chunk of this.#held.splice(0)) this.#push(chunk);
  }

  /** Learns how long the last piece has kept everybody. */
  took(milliseconds: number): void {
    if (milliseconds < CHEAP) {
      this.#piece = Math.min(LARGEST_PIECE, this.#piece * 2);
    } else if (milliseconds > DEAR) {
      this.#piece = Math.max(LEAST_PIECE, this.#piece / 2);
    }
  }

  /** Takes what was read; returns whether more may be. */
  #take(chunk: Buffer | null): boolean {
    if (!chunk || chunk.length === 0) {
      if (this.#held.length === 0) return this.#push(chunk);
      this.#hasEnded ||= !chunk;
      return false;
    }
    this.#count(chunk.length);
    if (
      this.#held.length === 0 && chunk.length <= this.#piece &&
      !this.#socket.isPaused() &&
      (this.#recent < this.#pacer.free || this.#pacer.mayPass(chunk.length))
    ) return this.#push(chunk);
    this.#held.push(chunk);
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
    const now = performance.now();
    if (now - this.#recentAt > RECENT) {
      this.#recent = 0;
      this.#recentAt = now;
    }
    this.#recent += bytes;
  }
}
