import {
  addressOf,
  EPOLL,
  EPOLL_EVENT,
  EPOLL_EVENT_FD,
  libc,
  MESSAGE,
  SOCKET,
} from "../../net/libc.ts";

const MAX_EVENTS = 1_024;

/** The file descriptor of the standard input. */
const INPUT = 0;

const BUFFER = 256 * 1024;

function refuseClose(): never {
  throw new Error("The server has closed a connection");
}

/**
 * Many sockets in one thread, through the C library.
 *
 * Measured with 1,000 sockets that get 140 bytes each: a read costs 5.2 to 6 µs
 * of processor time this way, 4.9 to 5.3 in C (which is the kernel's part), 5.5
 * to 6.7 with Bun's sockets, 6 to 6.8 with Node's, and 7.3 to 8 with Deno's,
 * which need a buffer each besides. It blocks, so that nothing else is done by
 * this process: what is said on its input comes through here too.
 */
export class Sockets {
  /** The bytes read last. */
  readonly buffer = new Uint8Array(BUFFER);
  readonly #libc = libc().symbols;
  readonly #epoll = this.#libc.epoll_create1(0);
  readonly #events = new Uint32Array(EPOLL_EVENT * MAX_EVENTS);

  /** Makes none yet, and listens to the input. */
  constructor() {
    this.#add(INPUT);
  }

  /**
   * Connects to a port of this machine.
   *
   * @returns The file descriptor.
   */
  connect(port: number): number {
    const { socket, connect, setsockopt } = this.#libc;
    const fd = socket(SOCKET.inet, SOCKET.stream, 0);
    if (fd < 0) {
      throw new Error("Cannot make a socket: are file descriptors left?");
    }
    const address = addressOf(port);
    if (connect(fd, address, address.length) !== 0) {
      throw new Error(`Cannot connect to port ${port}`);
    }
    // A close is a reset: ten thousand ports do not stay behind for a minute.
    setsockopt(fd, SOCKET.level, SOCKET.linger, new Int32Array([1, 0]), 8);
    this.#add(fd);
    return fd;
  }

  /** Sends a few bytes: less than what the socket's buffer takes. */
  send(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
    const sent = this.#libc.send(
      fd,
      bytes,
      BigInt(bytes.length),
      MESSAGE.noSignal,
    );
    if (sent !== bytes.length) throw new Error("Cannot send");
  }

  /** Closes a socket. */
  close(fd: number): void {
    this.#libc.epoll_ctl(this.#epoll, EPOLL.delete, fd, this.#events);
    this.#libc.close(fd);
  }

  /**
   * Waits until something has come, and reads it.
   *
   * @param timeout How long, in milliseconds.
   * @param onRead Called for each socket, with the number of bytes in
   * {@linkcode Sockets.buffer}.
   * @param onClose Called for each socket that the server has closed. Default:
   * throws.
   * @returns Whether there is something on the input.
   */
  poll(
    timeout: number,
    onRead: (fd: number, length: number) => void,
    onClose: (fd: number) => void = refuseClose,
  ): boolean {
    const { epoll_wait, recv } = this.#libc;
    const events = this.#events;
    const count = epoll_wait(this.#epoll, events, MAX_EVENTS, timeout);
    let hasInput = false;
    for (let i = 0; i < count; i++) {
      const fd = events[i * EPOLL_EVENT + EPOLL_EVENT_FD]!; // there are `count` of them
      if (fd === INPUT) {
        hasInput = true;
        continue;
      }
      const length = recv(fd, this.buffer, BigInt(BUFFER), MESSAGE.dontWait);
      if (length > 0) onRead(fd, length);
      else onClose(fd);
    }
    return hasInput;
  }

  /**
   * Reads, and obeys each line of the input; exits when that ends.
   *
   * @param timeout As {@linkcode Sockets.poll} has it.
   * @param onRead As {@linkcode Sockets.poll} has it.
   * @param obey Called for each line.
   */
  serve(
    timeout: number,
    onRead: (fd: number, length: number) => void,
    obey: (line: string) => void,
  ): never {
    const decoder = new TextDecoder();
    let input = "";
    for (const bytes = new Uint8Array(4096);;) {
      if (!this.poll(timeout, onRead)) continue;
      const length = Deno.stdin.readSync(bytes);
      if (length === null) Deno.exit();
      const lines = (input + decoder.decode(bytes.subarray(0, length)))
        .split("\n");
      input = lines.pop() ?? "";
      lines.forEach(obey);
    }
  }

  #add(fd: number): void {
    const event = new Uint32Array(EPOLL_EVENT);
    event[0] = EPOLL.in;
    event[EPOLL_EVENT_FD] = fd;
    if (this.#libc.epoll_ctl(this.#epoll, EPOLL.add, fd, event) !== 0) {
      throw new Error("Cannot watch a file descriptor");
    }
  }
}
