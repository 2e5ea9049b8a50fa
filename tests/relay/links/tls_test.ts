// A link over TLS, to a parent whose certificate an authority of its own vouches for.
import { assertEquals, assertMatch } from "@std/assert";
import { makeCertificates } from "../../support/gateway/foreign/certificates.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { isMissing } from "../../support/tools.ts";
import { LIMIT, until } from "../../support/within.ts";

const ignore = isMissing("openssl", "apt-get install openssl", "version");

/** Stands in front of a relay, as a proxy that speaks TLS does. */
class TlsFront implements Disposable {
  readonly #listener: Deno.TlsListener;
  readonly #connections = new Set<Deno.Conn>();

  constructor(folder: string, port: number) {
    this.#listener = Deno.listenTls({
      hostname: "127.0.0.1",
      port: 0,
      cert: Deno.readTextFileSync(`${folder}/site.pem`),
      key: Deno.readTextFileSync(`${folder}/site.key`),
      alpnProtocols: ["http/1.1"],
    });
    void this.#serve(port);
  }

  get url(): string {
    return `https://localhost:${(this.#listener.addr as Deno.NetAddr).port}`; // it listens on TCP
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
  }

  async #serve(port: number): Promise<void> {
    try {
      for await (const from of this.#listener) {
        void this.#join(from, port).catch(() => {}); // one end is gone
      }
    } catch {
      // It was closed.
    }
  }

  async #join(from: Deno.Conn, port: number): Promise<void> {
    this.#connections.add(from);
    const to = await Deno.connect({ hostname: "127.0.0.1", port });
    this.#connections.add(to);
    await Promise.all([
      from.readable.pipeTo(to.writable),
      to.readable.pipeTo(from.writable),
    ]);
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}

Deno.test(
  "An edge is linked over TLS, and trusts the certificates that it is told to",
  {
    ignore,
  },
  async () => {
    await using folder = new TemporaryFolder();
    await makeCertificates(folder.path);
    await using parent = await startRelay({ links: true });
    using front = new TlsFront(folder.path, Number(new URL(parent.url).port));
    const args = ["--store", front.url];
    const env = { DENO_CERT: `${folder.path}/ca.pem` };
    // Rights that are enough without TLS.
    const permissions = ["--allow-net", "--allow-env"];
    await using edge = await RelayCommand.start({ args, env, permissions });
    const isReady = async (): Promise<true | undefined> => {
      const { status, body } = await fetch(`${edge.url}/readyz`);
      await body?.cancel();
      return status === 200 || undefined;
    };
    await until(isReady, LIMIT, "the link");
    const posted = await fetch(`${edge.url}/topics/t`, {
      method: "POST",
      headers: { "Content-Type": "text/plain" },
      body: "hello".repeat(100_000),
    });
    assertEquals((await posted.json()).first, 1);
    const page = await parent.request("/topics/t", {
      headers: { Accept: "application/json" },
    });
    const { events } = await page.json();
    assertEquals(events[0].data.length, 500_000);
  },
);

Deno.test(
  "An edge says so if it does not trust the certificate of its parent",
  {
    ignore,
  },
  async () => {
    await using folder = new TemporaryFolder();
    await makeCertificates(folder.path);
    await using parent = await startRelay({ links: true });
    using front = new TlsFront(folder.path, Number(new URL(parent.url).port));
    await using edge = await RelayCommand.start({
      args: ["--store", front.url],
    });
    const { status, body } = await fetch(`${edge.url}/readyz`);
    const answer = await new Response(body).json();
    assertEquals([status, answer.code, answer.failure], [
      503,
      "store_failed",
      "away",
    ]);
    assertMatch(answer.detail, /certificate/i);
  },
);
