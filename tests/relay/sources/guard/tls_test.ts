import { createServer, type TLSSocket } from "node:tls";
import type { AddressInfo } from "node:net";
import { assertEquals } from "@std/assert";

async function openssl(...args: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("openssl", {
      args,
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false; // it is not there
  }
}

/** Makes a certificate for `good.test`, and the one that vouches for it. */
async function makeCertificates(folder: string): Promise<void> {
  const key = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await Deno.writeTextFile(`${folder}/names`, "subjectAltName=DNS:good.test\n");
  // deno-fmt-ignore
  const made = await openssl(
    "req", "-x509", "-newkey", ...key, "-days", "2", "-subj", "/CN=Test",
    "-keyout", `${folder}/ca.key`, "-out", `${folder}/ca.pem`,
  ) && await openssl(
    "req", "-newkey", ...key, "-subj", "/CN=good.test",
    "-keyout", `${folder}/site.key`, "-out", `${folder}/site.csr`,
  ) && await openssl(
    "x509", "-req", "-in", `${folder}/site.csr`, "-days", "2", "-extfile", `${folder}/names`,
    "-CA", `${folder}/ca.pem`, "-CAkey", `${folder}/ca.key`, "-CAcreateserial", "-out", `${folder}/site.pem`,
  );
  if (!made) throw new Error("openssl has made no certificate");
}

/** Runs the program, which trusts the certificates in a file besides those of all. */
async function ask(urls: string[], trusted?: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "tests/support/upstreams/guarded_fetch_program.ts",
      ...urls,
    ],
    cwd: new URL("../../../../", import.meta.url),
    env: trusted === undefined ? {} : { NODE_EXTRA_CA_CERTS: trusted },
    stderr: "inherit",
  }).output();
  return new TextDecoder().decode(stdout).trim().split("\n");
}

const hasOpenssl = await openssl("version");
if (!hasOpenssl) {
  console.log("No openssl: a guarded fetch is not tested over TLS");
}

Deno.test({
  name:
    "A guarded fetch over TLS asks for the host by name, and believes its certificate alone",
  ignore: !hasOpenssl,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      await makeCertificates(folder);
      const asked: [unknown, string | undefined][] = [];
      const server = createServer({
        key: await Deno.readTextFile(`${folder}/site.key`),
        cert: await Deno.readTextFile(`${folder}/site.pem`),
      }, (socket: TLSSocket & { readonly servername?: unknown }) => {
        socket.on("error", () => {});
        socket.once("data", (data: Uint8Array) => {
          const head = new TextDecoder().decode(data);
          const [, host] = /^host: (.*)\r$/im.exec(head) ?? [];
          asked.push([socket.servername, host]);
          const location = /^GET \/to=(.*) /.exec(head)?.[1];
          socket.end(
            location === undefined
              ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
              : `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`,
          );
        });
      });
      server.on("tlsClientError", () => {}); // its caller says why
      await new Promise<void>((resolve) =>
        server.listen(0, "127.0.0.1", () => resolve())
      );
      const { port } = server.address() as AddressInfo; // it listens on TCP
      const good = `https://good.test:${port}`;
      const urls = [
        `${good}/`,
        `https://bad.test:${port}/`,
        `https://127.0.0.1:${port}/`,
        `${good}/to=${good}/`,
        `${good}/to=http://good.test:${port}/`,
        `${good}/to=https://bad.test:${port}/`,
      ];
      const notAllowed =
        "the operator has not allowed topics to be made from there (--allow-source)";
      const wrongName = "the connection failed (ERR_TLS_CERT_ALTNAME_INVALID)";
      assertEquals(await ask(urls, `${folder}/ca.pem`), [
        "hello, 0 timers",
        wrongName,
        wrongName,
        "hello, 0 timers",
        notAllowed,
        wrongName,
      ]);
      const host = `good.test:${port}`;
      assertEquals(asked, Array.from({ length: 5 }, () => ["good.test", host]));
      // Nobody vouches for it.
      const [unknown = ""] = await ask([`${good}/`]);
      assertEquals(
        /^the connection failed \([A-Z_]+\)$/.test(unknown),
        true,
        unknown,
      );
      assertEquals(asked.length, 5);
      await new Promise<void>((resolve) => server.close(() => resolve()));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
