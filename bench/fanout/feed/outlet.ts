/** The destination of events: a server takes them in one of several ways. */
export interface Outlet {
  /** The number of events sent at a time, at full speed. */
  readonly batch: number;
  /** Sends events, each by its data; resolves when the server can be sent more. */
  send(events: readonly string[]): Promise<void>;
}

const encoder = new TextEncoder();

/** Writes text, all of it. */
export async function writeText(
  connection: Deno.Conn,
  text: string,
): Promise<void> {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) {
    bytes = bytes.subarray(await connection.write(bytes));
  }
}
