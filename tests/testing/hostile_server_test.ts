/**
 * The effects of the hostile provider on real sockets, byte by byte.
 *
 * Not for Node and Bun: the server is one for tests of the relay, which run on Deno.
 */
import { assert, assertEquals } from "@std/assert";
import {
  type HostileServer,
  startHostileServer,
} from "../../relay/commands/hostile_server.ts";
import { LIMIT, until, within } from "../support/within.ts";

/** The answer to a request. */
interface Received {
  /** All bytes, as text. */
  readonly text: string;
  /** The chunks of the body, as HTTP has them. */
  readonly chunks: readonly string[];
  /**
   * The end of the answer: HTTP says that it is whole, or not; or there is more
   * to come.
   */
  readonly end: "whole" | "cut" | "reset" | "open";
}

/** A connection that is a client's. */
class RawClient implements Disposable {
  readonly #conn: Deno.Conn;
  #text = "";

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Asks, and reads nothing yet. */
  static async ask(
    server: HostileServer,
    plan: string,
    body = '{"model":"m","input":"one two","stream":true}',
  ): Promise<RawClient> {
    const conn = await Deno.connect({
      hostname: "127.0.0.1",
      port: server.port,
    });
    const request =
      `POST /v1/responses HTTP/1.1\r\nHost: test\r\nHostile: ${plan}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    await conn.write(new TextEncoder().encode(request));
    return new RawClient(conn);
  }

  /** Reads until this has come, or everything. */
  async read(until?: string): Promise<Received> {
    let end: Received["end"] = "open";
    while (until === undefined || !this.#text.includes(until)) {
      if (this.#text.endsWith("\r\n0\r\n\r\n")) {
        end = "whole";
        break;
      }
      const buffer = new Uint8Array(65_536);
      let count;
      try {
        count = await this.#conn.read(buffer);
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
        end = "reset";
        break;
      }
      if (count === null) {
        end = "cut";
        break;
      }
      this.#text += new TextDecoder().decode(buffer.subarray(0, count));
    }
    return { text: this.#text, chunks: chunksOf(this.#text), end };
  }

  /** Leaves. */
  [Symbol.dispose](): void {
    this.#conn.close();
  }
}

function chunksOf(text: string): string[] {
  const head = text.indexOf("\r\n\r\n");
  const chunks: string[] = [];
  let at = head < 0 ? text.length : head + 4;
  while (at < text.length) {
    const line = text.indexOf("\r\n", at);
    const length = parseInt(text.slice(at, line), 16);
    if (!(length > 0)) break;
    chunks.push(text.slice(line + 2, line + 2 + length));
    at = line + 2 + length + 2;
  }
  return chunks;
}

const BODY = "body=data%3A1%0A%0Adata%3A2%0A%0A";
const [ONE, TWO] = ["data:1\n\n", "data:2\n\n"];

const CASES: {
  plan: string;
  chunks: string[];
  end: Received["end"];
  /** Whether there is a head. */
  answers?: boolean;
}[] = [
  { plan: "", chunks: [ONE, TWO], end: "whole" },
  { plan: "pace=5", chunks: [ONE, TWO], end: "whole" },
  { plan: "chunk=1", chunks: [...ONE, ...TWO], end: "whole" },
  { plan: "chunk=whole", chunks: [ONE + TWO], end: "whole" },
  {
    plan: "chunk=3,5",
    chunks: ["dat", "a:1\n\n", "dat", "a:2\n\n"],
    end: "whole",
  },
  { plan: "reset", chunks: [], end: "reset", answers: false },
  { plan: "reset; at=head", chunks: [], end: "reset" },
  { plan: "reset; after=1", chunks: [ONE], end: "reset" },
  { plan: "reset; within=2", chunks: [ONE, "data"], end: "reset" },
  { plan: "reset; at=end", chunks: [ONE, TWO], end: "reset" },
  { plan: "cut", chunks: [], end: "cut", answers: false },
  { plan: "cut; at=head", chunks: [], end: "cut" },
  { plan: "cut; after=1", chunks: [ONE], end: "cut" },
  { plan: "cut; within=2", chunks: [ONE, "data"], end: "cut" },
  { plan: "truncate; after=1", chunks: [ONE], end: "whole" },
  { plan: "truncate; within=1", chunks: ["data"], end: "whole" },
  { plan: "truncate", chunks: [], end: "whole" },
];

for (const { plan, chunks, end, answers = true } of CASES) {
  Deno.test(`HostileServer does '${plan}' to the socket`, async () => {
    await using server = await startHostileServer();
    using client = await RawClient.ask(server, `${BODY}; ${plan}`);
    const received = await within(client.read(), LIMIT, "the end");
    assertEquals(received.chunks, chunks);
    assertEquals(received.end, end);
    assertEquals(received.text.startsWith("HTTP/1.1 200 OK\r\n"), answers);
    const [request] = server.provider.requests;
    const outcome = end === "whole" ? "ended" : "broken";
    assertEquals(await request?.done, outcome);
  });
}

const SILENT: [plan: string, until: string, events: number][] = [
  ["stall; at=head", "\r\n\r\n", 0],
  ["stall; after=1", ONE, 1],
  ["stall; within=2", `${ONE}\r\n4\r\ndata`, 1],
  ["hold", TWO, 2],
  ["pace=86400000", ONE, 1],
];

for (const [plan, last, events] of SILENT) {
  Deno.test(`HostileServer keeps the socket open with '${plan}', until the client leaves`, async () => {
    await using server = await startHostileServer();
    {
      using client = await RawClient.ask(server, `${BODY}; ${plan}`);
      const { end } = await within(client.read(last), LIMIT, "what is sent");
      assertEquals(end, "open");
      assertEquals(server.provider.requests[0]?.outcome, "pending");
    }
    const [request] = server.provider.requests;
    const outcome = within(request!.done, LIMIT, "the server to see it"); // it has read one
    assertEquals(await outcome, "aborted");
    assertEquals(request?.events, events);
  });
}

Deno.test("HostileServer sees that the client leaves before the head", async () => {
  await using server = await startHostileServer({ plan: "stall" });
  {
    using _client = await RawClient.ask(server, "stall");
    await server.provider.requested(1);
  }
  const [request] = server.provider.requests;
  assertEquals(await within(request!.done, LIMIT, "it"), "aborted"); // it was made
});

Deno.test("HostileServer sees that the client leaves within its own body", async () => {
  await using server = await startHostileServer();
  {
    using conn = await Deno.connect({
      hostname: "127.0.0.1",
      port: server.port,
    });
    const head =
      "POST /v1/files HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n1";
    await conn.write(new TextEncoder().encode(head));
    await until(
      () => server.provider.requests[0],
      LIMIT,
      "the request to arrive",
    );
  }
  const [request] = server.provider.requests;
  assertEquals(await within(request!.done, LIMIT, "it"), "aborted"); // it was made
});

Deno.test("HostileServer closes held sockets when it is disposed of", async () => {
  const server = await startHostileServer();
  using client = await RawClient.ask(server, `${BODY}; hold`);
  await client.read(TWO);
  const [request] = server.provider.requests;
  await server[Symbol.asyncDispose]();
  assertEquals(await request?.done, "aborted");
  const { end } = await client.read();
  assert(end === "cut" || end === "reset");
});

Deno.test("HostileServer sends JSON with its length, unless it is cut short", async () => {
  await using server = await startHostileServer();
  const url = `${server.url}/v1/models`;
  const whole = await fetch(url);
  const text = await whole.text();
  assertEquals(whole.headers.get("Content-Length"), `${text.length}`);
  const short = await fetch(url, {
    headers: { Hostile: "truncate; within=1" },
  });
  assertEquals(await short.text(), text.slice(0, text.length >> 1));
});

Deno.test("HostileServer answers twice 500, and then 200, on one connection", async () => {
  await using server = await startHostileServer();
  server.provider.enqueue("status=500", "status=500");
  const statuses: number[] = [];
  for (let index = 0; index < 3; index++) {
    const response = await fetch(`${server.url}/v1/models`);
    statuses.push(response.status);
    await response.body?.cancel();
  }
  assertEquals(statuses, [500, 500, 200]);
});

Deno.test("HostileServer takes a file as it comes", async () => {
  await using server = await startHostileServer();
  const content = new Uint8Array(3 * 1024 * 1024).fill(0xE9);
  const form = new FormData();
  form.set("purpose", "batch");
  form.set("file", new Blob([content]), "big.bin");
  const response = await fetch(`${server.url}/v1/files`, {
    method: "POST",
    body: form,
  });
  const { bytes, sha256 } = await response.json();
  const digest = await crypto.subtle.digest("SHA-256", content);
  assertEquals(bytes, content.length);
  assertEquals(sha256, new Uint8Array(digest).toHex());
});

Deno.test("HostileServer serves 500 streams at once, and loses nothing", async () => {
  await using server = await startHostileServer({ plan: "deltas=40; pace=20" });
  const events = await Promise.all(
    Array.from({ length: 500 }, async () => {
      const response = await fetch(`${server.url}/v1/responses`, {
        method: "POST",
        body: '{"model":"m","input":"word","stream":true}',
      });
      return (await response.text()).match(/^event: /gm)?.length;
    }),
  );
  assertEquals(new Set(events), new Set([48]));
  assert(server.provider.requests.every(({ outcome }) => outcome === "ended"));
});
