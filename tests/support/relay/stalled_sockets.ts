/**
 * Peers that ask, and then read nothing.
 *
 * @module
 */

const AF_INET = 2;
const SOCK_STREAM_CLOEXEC = 0o2000001;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const IPPROTO_TCP = 6;
const TCP_MAXSEG = 2;
const MSG_NOSIGNAL = 0x4000;

const encoder = new TextEncoder();

/** Sockets that nobody reads. */
export interface StalledSockets extends Disposable {
  /** Connects one, and sends what it has to say. */
  open(request: string): Promise<void>;
}

/**
 * Over loopback a kernel holds some 4 MiB for a peer that does not read: a
 * thousand of them would take all that it has. Small segments and a small
 * buffer, which have to be asked for before connecting, make it 85 KiB.
 */
class LinuxSockets implements StalledSockets {
  readonly #libc = Deno.dlopen("libc.so.6", {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    setsockopt: {
      parameters: ["i32", "i32", "i32", "buffer", "u32"],
      result: "i32",
    },
    connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
    close: { parameters: ["i32"], result: "i32" },
  });
  readonly #address: Uint8Array<ArrayBuffer>;
  readonly #sockets: number[] = [];

  constructor(port: number) {
    this.#address = Uint8Array.of(
      ...new Uint8Array(Uint16Array.of(AF_INET).buffer),
      port >> 8,
      port & 0xFF,
      ...[127, 0, 0, 1],
      ...new Array(8).fill(0),
    );
  }

  async open(request: string): Promise<void> {
    const { socket, setsockopt, connect, send } = this.#libc.symbols;
    const fd = socket(AF_INET, SOCK_STREAM_CLOEXEC, 0);
    if (fd < 0) throw new Error("Cannot make a socket");
    this.#sockets.push(fd);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, Uint32Array.of(4_096), 4);
    setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, Uint32Array.of(1_000), 4);
    if (connect(fd, this.#address, this.#address.length) < 0) {
      throw new Error("Cannot connect");
    }
    const bytes = encoder.encode(request);
    send(fd, bytes, BigInt(bytes.length), MSG_NOSIGNAL);
    // They come one after the other, as the queue of a listener is short.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  [Symbol.dispose](): void {
    for (const fd of this.#sockets) this.#libc.symbols.close(fd);
    this.#libc.close();
  }
}

/** Elsewhere the kernel's own measure has to do. */
class PlainSockets implements StalledSockets {
  readonly #port: number;
  readonly #connections: Deno.Conn[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  async open(request: string): Promise<void> {
    const connection = await Deno.connect({
      hostname: "127.0.0.1",
      port: this.#port,
    });
    this.#connections.push(connection);
    await connection.write(encoder.encode(request));
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.close();
  }
}

/** Makes peers of a server on the loopback interface. */
export function stalledSockets(port: number): StalledSockets {
  return Deno.build.os === "linux" && Deno.build.target.endsWith("gnu")
    ? new LinuxSockets(port)
    : new PlainSockets(port);
}
