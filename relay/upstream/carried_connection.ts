/** The size of the buffer of each direction, in bytes: one record of TLS has as many at most. */
const BUFFER_SIZE = 16 * 1024;

/** A connection whose bytes are carried over another one, on the loopback interface. */
export interface CarriedConnection {
  /** The near end, which may be given away. */
  readonly conn: Deno.TcpConn;
  /** Closes the far end: whoever has the near end reads its end. */
  close(): void;
}

/**
 * Puts a connection on the loopback interface before another one. Whoever is given
 * the near end can be made to let go of it: the far end stays here.
 *
 * @param far The connection. It is closed with the carried one.
 * @throws {Error} If there is no descriptor or no permission for it; `far` is closed.
 */
export async function carryConnection(
  far: Deno.TcpConn,
): Promise<CarriedConnection> {
  using stack = new DisposableStack();
  stack.defer(() => closeConn(far));
  const [conn, inner] = await loopback();
  stack.move();
  const close = (): void => {
    closeConn(inner);
    closeConn(far);
  };
  void Promise.all([pass(inner, far), pass(far, inner)]).then(close, close);
  return { conn, close };
}

/** Returns both ends of a connection on the loopback interface. */
async function loopback(): Promise<[Deno.TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    for (;;) {
      const inner = await listener.accept();
      if (portOf(inner.remoteAddr) === portOf(conn.localAddr)) {
        return [conn, inner];
      }
      inner.close(); // somebody else has found the port
    }
  } catch (error) {
    conn.close();
    throw error;
  }
}

function portOf(address: Deno.Addr): number | undefined {
  return "port" in address ? address.port : undefined;
}

/** Passes on the bytes of one direction, and their end. */
async function pass(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(BUFFER_SIZE);
  for (;;) {
    const count = await from.read(buffer);
    if (count === null) return await to.closeWrite();
    for (let rest = buffer.subarray(0, count); rest.length > 0;) {
      rest = rest.subarray(await to.write(rest));
    }
  }
}

function closeConn(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // It is closed already.
  }
}
