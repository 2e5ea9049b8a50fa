// Providers and sources with TLS behind a proxy of HTTP: nothing gets lost on the way
// (field.md C4, D6, D8).
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { TlsConnector } from "../../../relay/upstream/connect_tls.ts";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { makeCertificates } from "../../support/gateway/foreign/certificates.ts";
import { askFramed } from "../../support/http/framed_answer.ts";
import { RawConnection, RawServer } from "../../support/http/raw_server.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const EVENT = "data: a\n\n";
const STREAM =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
  `${EVENT.length.toString(16)}\r\n${EVENT}\r\n`;

const ANSWERS: Readonly<Record<string, string>> = {
  "/v1/models": [
    "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK",
    ...Array.from({ length: 1_000 }, (_, at) => `X-${at}: b`),
    "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
  ].join("\r\n"),
  "/v1/chat/completions": STREAM, // and no last chunk
  "/events": `${STREAM}0\r\n\r\n`,
};

/** Answers each request over TLS, and closes the connection. */
function serve(listener: Deno.TlsListener): Promise<void> {
  return (async () => {
    for await (const conn of listener) {
      const connection = new RawConnection(conn);
      const head = await connection.readHead().catch(() => "");
      const [, target = ""] = head.split(" ");
      await connection.write(ANSWERS[target] ?? "").catch(() => {});
      connection[Symbol.dispose]();
    }
  })();
}

/** A proxy of HTTP; it refuses to connect while it has an answer. */
class Proxy implements Disposable {
  readonly heads: string[] = [];
  refusal: string | undefined;
  readonly #server = new RawServer();
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
    void this.#run().catch(() => {}); // it is closed
  }

  get origin(): string {
    return this.#server.origin;
  }

  async #run(): Promise<void> {
    for (;;) {
      const connection = await this.#server.accept();
      this.heads.push(await connection.readHead());
      if (this.refusal !== undefined) {
        await connection.write(this.refusal);
        connection[Symbol.dispose]();
        continue;
      }
      const upstream = await Deno.connect({
        hostname: "127.0.0.1",
        port: this.#port,
      });
      await connection.write("HTTP/1.1 200 Connection established\r\n\r\n");
      connection.join(upstream);
    }
  }

  [Symbol.dispose](): void {
    this.#server[Symbol.dispose]();
  }
}

Deno.test("A proxy passes on what providers and sources with TLS say, and their cuts (C4, D8)", async () => {
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
    const serving = serve(listener);
    const { port } = listener.addr as Deno.NetAddr; // it listens on TCP
    using proxy = new Proxy(port);
    const site = `https://localhost:${port}`;
    const { host } = new URL(proxy.origin);
    {
      await using relay = await RelayCommand.start({
        args: ["--provider", `far=${site}/v1`, "--source", `s=${site}/events`],
        env: {
          DENO_CERT: `${folder}/ca.pem`,
          HTTPS_PROXY: `http://me:sesame@${host}`,
          NO_PROXY: "",
        },
      });
      // `fetch` takes at most 100 headers.
      const models = await askFramed({
        port: Number(new URL(relay.url).port),
        version: "1.1",
        target: "/v1/models",
      });
      assertEquals([models.status, models.body], [200, "{}"]);
      assertStringIncludes(models.head, "\r\nx-999: b\r\n");
      const response = await fetch(`${relay.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"stream":true}',
      });
      const { text, end } = await new CallerStream(response).rest();
      assertEquals([text, end], [EVENT, "cut"]);
      const page = await until(
        async () => {
          const page = await fetch(`${relay.url}/topics/s`, {
            headers: { accept: "application/json" },
          });
          const { events } = await page.json();
          return events.length > 0 ? events : undefined;
        },
        LIMIT,
        "the event of the source",
      );
      assertEquals(page[0], { data: "a" });
      const [head = ""] = proxy.heads;
      assertStringIncludes(head, `CONNECT localhost:${port} HTTP/1.1\r\n`);
      assertStringIncludes(
        head,
        `proxy-authorization: Basic ${btoa("me:sesame")}\r\n`,
      );
      proxy.refusal =
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
      const refused = await fetch(`${relay.url}/v1/models`);
      assertEquals(refused.status, 502);
      assertStringIncludes(
        (await refused.json()).detail,
        "the proxy has refused to connect, with status 407",
      );
    }
    listener.close();
    await serving.catch(() => {});
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (
  const [how, answer, message] of [
    ["speaks something else", "SSH-2.0-x\r\n\r\n", "something else than HTTP"],
    [
      "sends more",
      "HTTP/1.1 200 OK\r\n\r\nmore",
      "has sent more than an answer",
    ],
    ["has a head without an end", "a".repeat(20_000), "is larger than 16384"],
    ["closes", "", "has closed the connection"],
  ] as const
) {
  Deno.test(`A proxy that ${how} opens no tunnel, and its connection is closed`, async () => {
    using server = new RawServer();
    using connector = new TlsConnector();
    const controller = new AbortController();
    const connecting = connector.connect({
      hostname: "a.test",
      port: 443,
      name: "a.test",
      protocols: ["http/1.1"],
      proxy: new URL(server.origin),
      signal: controller.signal,
    });
    const failed = assertRejects(() => connecting, Error, message);
    const connection = await server.accept();
    await connection.readHead();
    if (answer === "") connection[Symbol.dispose]();
    else await connection.write(answer);
    await failed;
    if (answer !== "") {
      await within(connection.closed(), LIMIT, "the connection to be closed");
    }
  });
}

Deno.test("Connecting through a proxy can be cancelled", async () => {
  using server = new RawServer();
  using connector = new TlsConnector();
  const controller = new AbortController();
  const connecting = connector.connect({
    hostname: "a.test",
    port: 443,
    name: "a.test",
    protocols: ["http/1.1"],
    proxy: new URL(server.origin),
    signal: controller.signal,
  });
  const failed = assertRejects(() => connecting);
  const connection = await server.accept();
  assertStringIncludes(await connection.readHead(), "CONNECT a.test:443 ");
  controller.abort();
  await failed;
  await within(connection.closed(), LIMIT, "the connection to be closed");
});
