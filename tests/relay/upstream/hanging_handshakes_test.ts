// An upstream with TLS that accepts connections and says nothing: what it costs is bounded.
import { assertEquals, assertRejects } from "@std/assert";
import { TlsConnector } from "../../../relay/upstream/connect_tls.ts";
import { makeCertificates } from "../../support/gateway/foreign/certificates.ts";
import { RawConnection, RawServer } from "../../support/http/raw_server.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import { LIMIT, within } from "../../support/within.ts";

/** The number of handshakes that are waited for. */
const HANGING = 4;

const GIVEN_UP = new Error("enough");

/** Gives up a handshake that has begun; returns the server's side. */
async function giveUp(
  connector: TlsConnector,
  server: RawServer,
): Promise<RawConnection> {
  const controller = new AbortController();
  const connecting = connector.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(server.origin).port),
    name: "a.test",
    protocols: ["http/1.1"],
    signal: controller.signal,
  });
  const failed = assertRejects(() => connecting);
  const connection = await within(server.accept(), LIMIT, "a connection");
  // The type of a record of the handshake: it has begun.
  assertEquals(await connection.readBytes(1), "\x16");
  controller.abort(GIVEN_UP);
  assertEquals(await failed, GIVEN_UP);
  return connection;
}

Deno.test("An upstream that says nothing within its handshakes holds four connections, and no more", async () => {
  using server = new RawServer();
  using connector = new TlsConnector();
  for (let round = 0; round < 2; round++) {
    const held: RawConnection[] = [];
    for (let i = 0; i < HANGING; i++) {
      held.push(await giveUp(connector, server));
    }
    for (let i = 0; i < 3; i++) {
      const further = await giveUp(connector, server);
      await within(further.closed(), LIMIT, "the connection to be closed");
    }
    // Once it lets go of them, they count no more.
    for (const connection of held) {
      await connection.write("no TLS\r\n\r\n");
      await within(connection.closed(), LIMIT, "the held to be closed");
    }
  }
});

Deno.test("A TlsConnector that is disposed of keeps nothing", async () => {
  using server = new RawServer();
  const connector = new TlsConnector();
  const held = await giveUp(connector, server);
  connector[Symbol.dispose]();
  // The sanitizers would find the handshake that goes on.
  await held.write("no TLS\r\n\r\n");
  await within(held.closed(), LIMIT, "the connection to be closed");
});

Deno.test("A provider whose handshakes hang answers as soon as it takes one", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await makeCertificates(folder);
    using listener = Deno.listenTls({
      hostname: "127.0.0.1",
      port: 0,
      key: await Deno.readTextFile(`${folder}/site.key`),
      cert: await Deno.readTextFile(`${folder}/site.pem`),
      alpnProtocols: ["http/1.1"],
    });
    const { port } = listener.addr as Deno.NetAddr; // it listens on TCP
    using front = new RawServer();
    await using relay = await RelayCommand.start({
      args: [
        "--provider",
        `far=https://localhost:${new URL(front.origin).port}/v1`,
      ],
      env: { DENO_CERT: `${folder}/ca.pem` },
    });
    const ask = (signal?: AbortSignal): Promise<Response> =>
      fetch(`${relay.url}/v1/models`, signal ? { signal } : {});
    const hung: RawConnection[] = [];
    for (let i = 0; i < HANGING + 1; i++) {
      const controller = new AbortController();
      const left = assertRejects(() => ask(controller.signal));
      const connection = await within(front.accept(), LIMIT, "a connection");
      await connection.readBytes(1);
      controller.abort();
      await left;
      hung.push(connection);
    }
    await within(hung.at(-1)!.closed(), LIMIT, "the last to be closed"); // there are five
    const answer = ask();
    const connection = await within(front.accept(), LIMIT, "a connection");
    connection.join(await Deno.connect({ hostname: "127.0.0.1", port }));
    using asked = new RawConnection(
      await within(listener.accept(), LIMIT, "the request"),
    );
    await asked.readHead();
    const body = "a".repeat(1_000_000);
    await asked.write(
      `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    assertEquals(await (await answer).text(), body);
    // The relay closes it, through what carries it.
    await within(asked.closed(), LIMIT, "the connection to be closed");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
