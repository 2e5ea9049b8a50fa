import {
  addressOf,
  EPOLL,
  EPOLL_EVENT,
  EPOLL_EVENT_FD,
  type LibC,
  libc,
  MESSAGE,
  SOCKET,
} from "./libc.ts";

const MAX_EVENTS = 1_024;
const BUFFER = 256 * 1024;
const BACKLOG = 4_096;

const ONE = new Int32Array([1]);

/** The handlers of a connection. */
export interface Peer {
  /**
   * Takes what has come.
   *
   * @param bytes Not kept.
   * @param end How many of the bytes are meant.
   */
  read(bytes: Uint8Array<ArrayBuffer>, end: number): void;
  /** The other side has closed the connection. */
  closed(): void;
}

/**
 * Connects, listens, reads and writes many sockets in one thread, through the C
 * library. It blocks: nothing else is done by this process.
 */
export class Loop implements Disposable {
  readonly #library: LibC = libc();
  readonly #libc: LibC["symbols"] = this.#library.symbols;
  readonly #epoll: number = this.#libc.epoll_create1(0);
  readonly #events = new Uint32Array(EPOLL_EVENT * MAX_EVENTS);
  readonly #buffer = new Uint8Array(BUFFER);
  readonly #peers = new Map<number, Peer>();
  readonly #listeners = new Map<number, (fd: number) => Peer>();
  /** The bytes that a socket did not take yet. */
  readonly #queues = new Map<number, Uint8Array<ArrayBuffer>[]>();

  /**
   * Connects to a port of this machine.
   *
   * @returns The file descriptor.
   */
  connect(port: number, peer: Peer): number {
    const fd = this.#socket();
    const address = addressOf(port);
    if (this.#libc.connect(fd, address, address.length) !== 0) {
      this.#libc.close(fd);
      throw new Error(`Cannot connect to port ${port}`);
    }
    // A close is a reset: thousands of ports do not stay behind for a minute.
    this.#libc.setsockopt(
      fd,
      SOCKET.level,
      SOCKET.linger,
      new Int32Array([1, 0]),
      8,
    );
    this.#take(fd, peer);
    return fd;
  }

  /**
   * Listens on a port that is free.
   *
   * @returns The port.
   */
  listen(accept: (fd: number) => Peer): number {
    const fd = this.#socket();
    const address = addressOf(0);
    const size = new Uint32Array([address.length]);
    if (
      this.#libc.bind(fd, address, address.length) !== 0 ||
      this.#libc.listen(fd, BACKLOG) !== 0 ||
      this.#libc.getsockname(fd, address, size) !== 0
    ) throw new Error("Cannot listen");
    this.#listeners.set(fd, accept);
    this.#watch(EPOLL.add, fd, EPOLL.in);
    return new DataView(address.buffer).getUint16(2);
  }

  /** Sends bytes, which may be changed afterwards; keeps what the socket does not take. */
  send(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
    const queue = this.#queues.get(fd);
    if (queue) {
      queue.push(bytes.slice());
      return;
    }
    const sent = this.#write(fd, bytes);
    if (sent === bytes.length) return;
    this.#queues.set(fd, [bytes.slice(sent)]);
    this.#watch(EPOLL.modify, fd, EPOLL.in | EPOLL.out);
  }

  /** Closes a connection. */
  close(fd: number): void {
    this.#peers.delete(fd);
    this.#queues.delete(fd);
    this.#libc.close(fd);
  }

  /**
   * Waits until something has come, and reads it.
   *
   * @param timeout How long, in milliseconds.
   */
  turn(timeout: number): void {
    const events = this.#events;
    const count = this.#libc.epoll_wait(
      this.#epoll,
      events,
      MAX_EVENTS,
      timeout,
    );
    for (let i = 0; i < count; i++) {
      const fd = events[i * EPOLL_EVENT + EPOLL_EVENT_FD]!; // there are `count` of them
      const what = events[i * EPOLL_EVENT]!;
      const peer = this.#peers.get(fd);
      if (!peer) this.#accept(fd);
      else {
        if ((what & EPOLL.out) !== 0) this.#flush(fd);
        if ((what & ~EPOLL.out) !== 0) this.#read(fd, peer);
      }
    }
  }

  /** Closes everything. */
  [Symbol.dispose](): void {
    for (const fd of [...this.#peers.keys()]) this.close(fd);
    for (const fd of this.#listeners.keys()) this.#libc.close(fd);
    this.#libc.close(this.#epoll);
    this.#library.close();
  }

  #socket(): number {
    const fd = this.#libc.socket(SOCKET.inet, SOCKET.stream, 0);
    if (fd < 0) {
      throw new Error("Cannot make a socket: are file descriptors left?");
    }
    return fd;
  }

  #take(fd: number, peer: Peer): void {
    // Or an event waits for the acknowledgement of the one before.
    this.#libc.setsockopt(fd, SOCKET.tcp, SOCKET.noDelay, ONE, 4);
    this.#peers.set(fd, peer);
    this.#watch(EPOLL.add, fd, EPOLL.in);
  }

  #accept(listener: number): void {
    const accept = this.#listeners.get(listener);
    if (!accept) return; // closed since epoll told of it
    const fd = this.#libc.accept4(listener, null, null, 0);
    if (fd >= 0) this.#take(fd, accept(fd));
  }

  #read(fd: number, peer: Peer): void {
    const length = this.#libc.recv(
      fd,
      this.#buffer,
      BigInt(BUFFER),
      MESSAGE.dontWait,
    );
    if (length > 0) peer.read(this.#buffer, length);
    else {
      this.close(fd);
      peer.closed();
    }
  }

  #write(fd: number, bytes: Uint8Array<ArrayBuffer>): number {
    const flags = MESSAGE.dontWait | MESSAGE.noSignal;
    // -1 where the socket is full, or broken: epoll tells of that.
    return Math.max(
      0,
      this.#libc.send(fd, bytes, BigInt(bytes.length), flags),
    );
  }

  #flush(fd: number): void {
    const queue = this.#queues.get(fd) ?? [];
    const bytes = new Uint8Array(
      queue.reduce((sum, { length }) => sum + length, 0),
    );
    let at = 0;
    for (const part of queue) {
      bytes.set(part, at);
      at += part.length;
    }
    const sent = this.#write(fd, bytes);
    if (sent < bytes.length) {
      this.#queues.set(fd, [bytes.subarray(sent)]);
      return;
    }
    this.#queues.delete(fd);
    this.#watch(EPOLL.modify, fd, EPOLL.in);
  }

  #watch(operation: number, fd: number, events: number): void {
    const event = new Uint32Array(EPOLL_EVENT);
    event[0] = events;
    event[EPOLL_EVENT_FD] = fd;
    if (this.#libc.epoll_ctl(this.#epoll, operation, fd, event) !== 0) {
      throw new Error("Cannot watch a file descriptor");
    }
  }
}
