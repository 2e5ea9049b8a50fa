/** Operations and events of epoll (`EPOLL_CTL_ADD` and so on). */
export const EPOLL = {
  add: 1,
  delete: 2,
  modify: 3,
  in: 1,
  out: 4,
} as const;

/** Addresses and kinds of sockets, and their options. */
export const SOCKET = {
  inet: 2,
  stream: 1,
  level: 1,
  reuseAddress: 2,
  linger: 13,
  tcp: 6,
  noDelay: 1,
  nonBlocking: 0o4000,
} as const;

/** Flags of a read or a write: `MSG_DONTWAIT`, `MSG_NOSIGNAL`. */
export const MESSAGE = { dontWait: 0x40, noSignal: 0x4000 } as const;

/** The words of a `struct epoll_event`: it has no padding on x86-64, and there alone (epoll_ctl(2)). */
export const EPOLL_EVENT: number = Deno.build.arch === "x86_64" ? 3 : 4;

/** The word of a `struct epoll_event` that has the file descriptor. */
export const EPOLL_EVENT_FD: number = EPOLL_EVENT - 2;

const I32 = "i32";
const SYMBOLS = {
  socket: { parameters: [I32, I32, I32], result: I32 },
  connect: { parameters: [I32, "buffer", "u32"], result: I32 },
  bind: { parameters: [I32, "buffer", "u32"], result: I32 },
  listen: { parameters: [I32, I32], result: I32 },
  accept4: { parameters: [I32, "buffer", "buffer", I32], result: I32 },
  getsockname: { parameters: [I32, "buffer", "buffer"], result: I32 },
  setsockopt: { parameters: [I32, I32, I32, "buffer", "u32"], result: I32 },
  recv: { parameters: [I32, "buffer", "usize", I32], result: I32 },
  send: { parameters: [I32, "buffer", "usize", I32], result: I32 },
  close: { parameters: [I32], result: I32 },
  epoll_create1: { parameters: [I32], result: I32 },
  epoll_ctl: { parameters: [I32, I32, I32, "buffer"], result: I32 },
  epoll_wait: { parameters: [I32, "buffer", I32, I32], result: I32 },
} as const;

/** The C library, with the functions that the load generators use. */
export type LibC = Deno.DynamicLibrary<typeof SYMBOLS>;

/**
 * Opens the C library.
 *
 * @throws {Error} Elsewhere than on Linux.
 */
export function libc(): LibC {
  if (Deno.build.os !== "linux") {
    throw new Error("The load generator needs Linux: it uses epoll");
  }
  return Deno.dlopen("libc.so.6", SYMBOLS);
}

/** Writes the `struct sockaddr_in` of a port of this machine. */
export function addressOf(port: number): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(16);
  new Uint16Array(address.buffer)[0] = SOCKET.inet; // in the machine's byte order
  new DataView(address.buffer).setUint16(2, port);
  address.set([127, 0, 0, 1], 4);
  return address;
}
