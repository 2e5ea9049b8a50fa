import { setImmediate } from "node:timers";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { joinSmallChunks } from "../../../relay/limits/body_chunks.ts";
import { IncomingReader } from "../../../relay/limits/incoming_reader.ts";
import { LIMIT, within } from "../../support/within.ts";

/** Waits for something of the body. */
function soon<T>(promise: Promise<T>): Promise<T> {
  return within(promise, LIMIT, "the body");
}

/** A request whose head has come, and the socket of its client. */
interface Asked extends AsyncDisposable {
  readonly incoming: IncomingMessage;
  readonly client: Socket;
}

type Ask = (head: string) => Promise<Asked>;

/**
 * Sends the head of a request, and waits until it has come.
 *
 * @param prepare Called with the request at once.
 */
async function send(
  head: string,
  prepare: (incoming: IncomingMessage) => void,
): Promise<Asked> {
  const come = Promise.withResolvers<IncomingMessage>();
  const server: Server = createServer((incoming) => {
    prepare(incoming);
    come.resolve(incoming);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const client = connect(port, "127.0.0.1");
  client.on("error", () => {}); // the server closes it at the end
  client.write(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`);
  return {
    incoming: await soon(come.promise),
    client,
    async [Symbol.asyncDispose]() {
      client.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const WAYS: Readonly<Record<string, Ask>> = {
  "from its stream": (head) => send(head, () => {}),
  "from the parser": (head) =>
    send(head, (incoming) => joinSmallChunks(incoming)),
};

function test(name: string, run: (ask: Ask) => Promise<void>): void {
  for (const [way, ask] of Object.entries(WAYS)) {
    Deno.test(`IncomingReader ${name}, ${way}`, () => run(ask));
  }
}

test("gives the parts of a body as they come, and then the end", async (ask) => {
  await using asked = await ask("Content-Length: 6");
  const reader = new IncomingReader(asked.incoming);
  let text = "";
  for (const part of ["ab", "cd", "ef"]) {
    asked.client.write(part);
    const { done, value } = await soon(reader.read());
    assert(!done);
    text += new TextDecoder().decode(value);
  }
  assertEquals(text, "abcdef");
  assertEquals((await soon(reader.read())).done, true);
});

test("reads a body that came with its head", async (ask) => {
  await using asked = await ask("Content-Length: 2\r\n\r\nab");
  const reader = new IncomingReader(asked.incoming);
  const { value } = await soon(reader.read());
  assertEquals(value && new TextDecoder().decode(value), "ab");
  assertEquals((await soon(reader.read())).done, true);
});

test("rejects when the client leaves within the body", async (ask) => {
  await using asked = await ask("Content-Length: 6");
  const reader = new IncomingReader(asked.incoming);
  asked.client.write("ab");
  await soon(reader.read());
  const next = reader.read();
  asked.client.destroy();
  const error = await assertRejects(() => soon(next), Error);
  assert("code" in error);
  assert(/^(?:ECONNRESET|ERR_STREAM_PREMATURE_CLOSE)$/.test(`${error.code}`));
  await assertRejects(() => soon(reader.read()), Error);
});

test("reads no faster than it is asked for", async (ask) => {
  const size = 32 * 1024 * 1024;
  await using asked = await ask(`Content-Length: ${size}`);
  const { incoming, client } = asked;
  const reader = new IncomingReader(incoming);
  client.write(Buffer.alloc(size));
  const first = await soon(reader.read());
  assert(!first.done);
  // All would come within some rounds of the loop if nothing held it up.
  for (let round = 0; round < 2_000; round++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Nearly all that the client has sent is in its own socket, and in the system.
  assert(incoming.socket.bytesRead < size / 2);
  assert(incoming.readableLength < 1024 * 1024);
  let length = first.value.length;
  for (let part; !(part = await soon(reader.read())).done;) {
    length += part.value.length;
  }
  assertEquals(length, size);
});

test("discards what comes once it is cancelled", async (ask) => {
  await using asked = await ask("Content-Length: 6");
  const reader = new IncomingReader(asked.incoming);
  asked.client.write("ab");
  await soon(reader.read());
  await reader.cancel();
  const ended = new Promise((resolve) => asked.incoming.once("end", resolve));
  asked.client.write("cdef");
  await soon(ended);
});

test("rejects when the server drops the request", async (ask) => {
  await using asked = await ask("Content-Length: 6");
  const reader = new IncomingReader(asked.incoming);
  const next = reader.read();
  asked.incoming.destroy();
  const error = await assertRejects(() => soon(next), Error);
  assert("code" in error);
  assertEquals(error.code, "ERR_STREAM_PREMATURE_CLOSE");
});

test("takes a body at once that has come whole, and no other", async (ask) => {
  await using whole = await ask("Content-Length: 2\r\n\r\nab");
  const bytes = new IncomingReader(whole.incoming).takeWhole();
  assertEquals(bytes && new TextDecoder().decode(bytes), "ab");

  // An empty line follows, which is a part of it.
  await using part = await ask("Content-Length: 8\r\n\r\nab");
  const reader = new IncomingReader(part.incoming);
  assertEquals(reader.takeWhole(), undefined);
  const { value } = await soon(reader.read());
  assertEquals(value && new TextDecoder().decode(value), "ab\r\n\r\n");
  part.client.write("cd");
  await soon(reader.read());
  assertEquals((await soon(reader.read())).done, true);
  // The bytes that were read before would be missing.
  assertEquals(reader.takeWhole(), undefined);
});
