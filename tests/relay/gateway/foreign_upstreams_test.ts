// The relay in front of servers that are not ours: Python's http.server, nginx, Node's http with
// a strict reader of bodies, and Node's http2 (D1, D6, D8). Each is a process of its own.
import { assert, assertEquals } from "@std/assert";
import { makeCertificates } from "../../support/gateway/foreign/certificates.ts";
import { ForeignServer } from "../../support/gateway/foreign/foreign_server.ts";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { LIMIT } from "../../support/gateway/gateway_world.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { within } from "../../support/within.ts";

/** A server's report of a request. */
interface Told {
  readonly method: string;
  readonly version?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

async function told(url: string, init: RequestInit): Promise<Told> {
  const response = await within(fetch(url, init), LIMIT, "an answer");
  const text = await response.text();
  assertEquals(response.status, 200, text);
  return JSON.parse(text);
}

const JSON_TYPE = { "content-type": "application/json" };

function form(): FormData {
  const form = new FormData();
  form.set("purpose", "batch");
  form.set("file", new Blob(["a".repeat(100_000)]), "a.jsonl");
  return form;
}

/** Sends every kind of request, and looks at what the server says of each. */
async function assertTakesAll(url: string): Promise<void> {
  for (const method of ["POST", "PUT", "PATCH"]) {
    const { headers, body, ...request } = await told(`${url}/embeddings`, {
      method,
      headers: JSON_TYPE,
      body: '{"input":"a"}',
    });
    assertEquals(request.method, method);
    assertEquals(body, '{"input":"a"}');
    assertEquals(headers["content-length"], "13");
    assertEquals(headers["transfer-encoding"], undefined);
  }
  // As a `File` is sent from a disk: with its length.
  const encoded = new Request("http://a", { method: "POST", body: form() });
  const upload = await told(`${url}/files`, {
    method: "POST",
    headers: { "content-type": encoded.headers.get("content-type")! }, // it is a form
    body: await encoded.arrayBuffer(),
  });
  assertEquals(upload.headers["content-length"], String(upload.body.length));
  assert(upload.body.length > 100_000);
  for (const method of ["GET", "DELETE"]) {
    const { headers } = await told(`${url}/files/f`, { method });
    assertEquals(headers["content-length"], undefined);
    assertEquals(headers["transfer-encoding"], undefined);
  }
}

/** Makes a run, which its caller gets whole. */
async function assertRuns(url: string): Promise<void> {
  const response = await fetch(`${url}/chat/completions`, {
    method: "POST",
    headers: { ...JSON_TYPE, "rivulet-topic": `t-${crypto.randomUUID()}` },
    body: '{"stream":true}',
  });
  const { text, end } = await new CallerStream(response).rest();
  assert(text.endsWith("data: [DONE]\n\n"), text);
  assertEquals(end, "whole");
}

Deno.test("Python's http.server takes what the relay forwards (D1, D8)", async () => {
  await using server = await ForeignServer.python();
  await using relay = await startRelay({
    gateway: {
      providers: [{
        name: "python",
        url: `http://127.0.0.1:${server.port}/v1`,
      }],
    },
  });
  await assertTakesAll(`${relay.url}/v1`);
  await assertRuns(`${relay.url}/v1`);
});

Deno.test("A server of Node with a strict reader of bodies takes what the relay forwards (D1)", async () => {
  await using server = await ForeignServer.node();
  await using relay = await startRelay({
    gateway: {
      providers: [{ name: "node", url: `http://127.0.0.1:${server.port}/v1` }],
    },
  });
  await assertTakesAll(`${relay.url}/v1`);
  await assertRuns(`${relay.url}/v1`);
});

Deno.test("nginx takes what the relay forwards, refuses by length, and passes on (D1)", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using server = await ForeignServer.node();
    await using nginx = await ForeignServer.nginx(
      folder,
      `location /small/ { client_max_body_size 10; return 200 '{}'; }
       location / { proxy_pass http://127.0.0.1:${server.port}; proxy_request_buffering off; }`,
    );
    const url = `http://127.0.0.1:${nginx.port}`;
    await using relay = await startRelay({
      gateway: {
        providers: [
          { name: "nginx", url: `${url}/v1` },
          { name: "small", url: `${url}/small/v1` },
        ],
      },
    });
    await assertTakesAll(`${relay.url}/v1`);
    await assertRuns(`${relay.url}/v1`);
    for (const [body, status] of [['{"a":1}', 200], ['{"a":12345}', 413]]) {
      const response = await fetch(`${relay.url}/small/v1/embeddings`, {
        method: "POST",
        headers: JSON_TYPE,
        body: String(body),
      });
      await response.text();
      assertEquals(response.status, status);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("A server that speaks HTTP/2 alone is spoken to over HTTP/2, and its cuts are cuts", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await makeCertificates(folder);
    await using server = await ForeignServer.http2(
      `${folder}/site.key`,
      `${folder}/site.pem`,
    );
    await using relay = await RelayCommand.start({
      args: ["--provider", `h2=https://localhost:${server.port}/v1`],
      env: { DENO_CERT: `${folder}/ca.pem` },
    });
    const url = `${relay.url}/v1`;
    for (let i = 0; i < 2; i++) {
      const { version, body } = await told(`${url}/files`, {
        method: "POST",
        headers: { "content-type": "text/plain" },
        body: "an upload",
      });
      assertEquals([version, body], ["2.0", "an upload"]);
    }
    await told(`${url}/files/f`, { method: "DELETE" });
    await assertRuns(url);
    for (const model of ["break off", "end early"]) {
      const response = await fetch(`${url}/chat/completions`, {
        method: "POST",
        headers: JSON_TYPE,
        body: `{"stream":true,"model":"${model}"}`,
      });
      const { text, end } = await new CallerStream(response).rest();
      assert(text.includes('"hi"'), text);
      assertEquals(end, "cut", model);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
