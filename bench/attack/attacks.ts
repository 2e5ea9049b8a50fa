import { Buffer } from "node:buffer";
import { upgradeRequest } from "../../tests/support/http/upgrade_request.ts";
import { again, block, closed, flood, open } from "./flood.ts";
import { sleep } from "../sleep.ts";

/** An attack on a relay, by a process of its own. */
export interface Attack {
  /** The name, which `--attack` takes. */
  readonly name: string;
  /** The input, in a few words. */
  readonly input: string;
  /** The flags of the relay, besides the defaults. */
  readonly flags?: readonly string[];
  /** The most descriptors of the relay; as many as there are, if it is left out. */
  readonly descriptors?: number;
  /** The program that the relay follows or asks, by its name in `upstreams.ts`. */
  readonly upstream?: string;
  /** Attacks; never resolves. */
  run(port: number): Promise<unknown>;
}

/** The connections of an attack that floods. */
const LANES = 4;

const MEGABYTE = 1024 * 1024;

function post(path: string, type: string, framing: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n${framing}\r\n\r\n`;
}

const CHUNKED = "Transfer-Encoding: chunked";

/** Sends a body in chunks of one byte each, without an end. */
function byteByByte(path: string, type: string, body: string) {
  const chunks = block(
    [...body].map((character) => `1\r\n${character}\r\n`).join(""),
  );
  return (port: number) =>
    again(LANES, () => flood(port, post(path, type, CHUNKED), chunks));
}

/** Sends a body again and again, and waits for each answer. */
function bodies(path: string, type: string, body: string) {
  const bytes = Buffer.from(
    post(path, type, `Content-Length: ${body.length}`) + body,
  );
  return (port: number) =>
    again(LANES, async () => {
      const socket = await open(port);
      socket.write(bytes);
      const end = closed(socket);
      const answered = new Promise<void>((resolve) =>
        socket.once("data", () => resolve())
      );
      await Promise.race([answered, end]);
      socket.destroy();
    });
}

function frame(first: number, payload: string): string {
  return String.fromCharCode(first, 0x80 | payload.length, 0, 0, 0, 0) +
    payload;
}

/** Floods WebSockets with frames. */
function frames(first: string, repeated: string) {
  const bytes = block(repeated);
  const head = upgradeRequest("/ws");
  return (port: number) =>
    again(LANES, async () => {
      const socket = await open(port);
      socket.write(head);
      await new Promise<void>((resolve) =>
        socket.once("data", () => resolve())
      );
      socket.resume();
      socket.write(Buffer.from(first, "latin1"));
      while (!socket.destroyed) {
        if (!socket.write(bytes)) {
          await Promise.race([
            new Promise<void>((resolve) =>
              socket.once("drain", () => resolve())
            ),
            closed(socket),
          ]);
        } else await sleep(0);
      }
    });
}

function nested(depth: number): string {
  return `{"type":"response.output_text.delta","delta":"a","x":${
    '{"0":'.repeat(depth)
  }1${"}".repeat(depth)}}`;
}

/** Opens subscriptions that are never read. */
async function unread(port: number, count: number, request: string) {
  for (let opened = 0; opened < count; opened++) {
    const socket = await open(port);
    socket.write(request);
    socket.pause();
  }
}

function get(path: string, ...headers: string[]): string {
  return [`GET ${path} HTTP/1.1`, "Host: localhost", ...headers, "", ""]
    .join("\r\n");
}

/** The attacks, in the order of the rows of field.md. */
export const ATTACKS: readonly Attack[] = [
  {
    name: "none",
    input: "nothing: what the machine takes by itself",
    run: () => new Promise(() => {}),
  },
  {
    name: "a1-depth",
    input: "deltas nested 5,000 deep, a subscriber with mode=merge",
    async run(port) {
      const socket = await open(port);
      socket.write(upgradeRequest("/topics/t?mode=merge"));
      socket.resume();
      await bodies(
        "/topics/t",
        "application/json",
        JSON.stringify({ data: nested(5_000) }),
      )(port);
    },
  },
  {
    name: "a2-zeros",
    input: "[0,0,0,...] of 15 MiB",
    run: bodies(
      "/topics/t",
      "application/json",
      `[${"0,".repeat(7.5 * MEGABYTE)}0]`,
    ),
  },
  {
    name: "a2-objects",
    input: "a 15 MiB array of events",
    run: bodies(
      "/topics/t",
      "application/json",
      `[${'{"data":""},'.repeat(65_000)}{"data":"${
        "x".repeat(14 * MEGABYTE)
      }"}]`,
    ),
  },
  {
    name: "a3-unread-sockets",
    input: "100 WebSockets that do not read, an event of 8 MiB",
    async run(port) {
      await unread(port, 100, upgradeRequest("/topics/t"));
      await bodies("/topics/t", "text/plain", "\x01".repeat(8 * MEGABYTE))(
        port,
      );
    },
  },
  {
    name: "a3-unread-streams",
    input: "100 event streams that are not read, an event of 8 MiB",
    async run(port) {
      await unread(
        port,
        100,
        get("/topics/t", "Accept: text/event-stream"),
      );
      await bodies("/topics/t", "text/plain", "\n".repeat(8 * MEGABYTE))(port);
    },
  },
  {
    name: "a3-unread-pages",
    input: "100 pages that are not read, an event of 8 MiB",
    async run(port) {
      const body = "\x01".repeat(8 * MEGABYTE);
      const socket = await open(port);
      socket.write(
        post("/topics/t", "text/plain", `Content-Length: ${body.length}`) +
          body,
      );
      socket.resume();
      await sleep(500);
      await unread(port, 100, get("/topics/t", "Accept: application/json"));
    },
  },
  {
    name: "a4-comments",
    input: "an event stream in chunks of one byte, comments only",
    run: byteByByte("/topics/t", "text/event-stream", ":\n"),
  },
  {
    name: "a4-events",
    input: "an event stream in chunks of one byte, the smallest events",
    run: byteByByte("/topics/t", "text/event-stream", "data\n\n"),
  },
  {
    name: "a4-lines",
    input: "an event stream at full speed, comments only",
    run: (port) =>
      again(LANES, () =>
        flood(
          port,
          post(
            "/topics/t",
            "text/event-stream",
            "Content-Length: 1000000000000",
          ),
          block(":\n"),
        )),
  },
  {
    name: "a4-text",
    input: "text in chunks of one byte",
    run: byteByByte("/topics/t", "text/plain", "a"),
  },
  {
    name: "a4-json",
    input: "JSON in chunks of one byte",
    run: byteByByte("/topics/t", "application/json", " "),
  },
  {
    name: "a4-end",
    input: "the body of an end in chunks of one byte",
    run: byteByByte("/topics/t/end", "application/json", " "),
  },
  {
    name: "a4-run",
    input: "a request for a provider in chunks of one byte",
    upstream: "provider",
    run: byteByByte("/v1/responses", "application/json", " "),
  },
  {
    name: "a4-upload",
    input: "an upload for a provider in chunks of one byte",
    upstream: "provider",
    run: byteByByte(
      "/v1/audio/transcriptions",
      "multipart/form-data; boundary=b",
      "a",
    ),
  },
  {
    name: "a4-source",
    input: "a source in chunks of one byte",
    upstream: "source",
    run: () => new Promise(() => {}),
  },
  {
    name: "a4-answer",
    input: "a provider's event stream in chunks of one byte",
    upstream: "provider",
    run: bodies("/v1/responses", "application/json", '{"stream":true}'),
  },
  {
    name: "a5-extension",
    input: "a chunk extension without an end",
    run: (port) =>
      again(LANES, () =>
        flood(
          port,
          `${post("/topics/t", "text/plain", CHUNKED)}1;`,
          block("a"),
        )),
  },
  {
    name: "a5-extensions",
    input: "chunks of one byte with extensions of 8 KiB",
    run: (port) =>
      again(LANES, () =>
        flood(
          port,
          post("/topics/t", "text/plain", CHUNKED),
          block(`1;${"a".repeat(8_000)}\r\na\r\n`),
        )),
  },
  {
    name: "a5-trailers",
    input: "trailers without an end",
    run: (port) =>
      again(LANES, () =>
        flood(
          port,
          `${post("/topics/t", "text/plain", CHUNKED)}1\r\na\r\n0\r\n`,
          block("a: b\r\n"),
        )),
  },
  {
    name: "a5-zeros",
    input: "a chunk size of zeros without an end",
    run: (port) =>
      again(
        LANES,
        () => flood(port, post("/topics/t", "text/plain", CHUNKED), block("0")),
      ),
  },
  {
    name: "a6-descriptors",
    input: "300 connections against 200 descriptors",
    descriptors: 200,
    async run(port) {
      await Promise.allSettled(Array.from({ length: 300 }, () => open(port)));
    },
  },
  {
    name: "a7-runs",
    input: "runs whose caller hangs up",
    upstream: "provider",
    run: (port) =>
      again(16, async () => {
        const socket = await open(port);
        const body = '{"stream":true}';
        socket.write(
          post(
            "/v1/responses",
            "application/json",
            `Content-Length: ${body.length}`,
          ) + body,
        );
        await sleep(20);
        socket.destroy();
      }),
  },
  {
    name: "a8-tokens",
    input: "tokens with wrong signatures",
    flags: ["--jwt-key", "a-key-of-the-benchmark-of-32-bytes-or-more"],
    run: (port) => {
      const claims = btoa(
        JSON.stringify({ sub: "a", rivulet: { read: ["*"] } }),
      );
      return again(8, (lane) =>
        flood(
          port,
          "",
          block(get(
            "/topics/t",
            `Authorization: Bearer ${
              btoa('{"alg":"HS256"}').replaceAll("=", "")
            }.${claims.replaceAll("=", "")}.${"A".repeat(42)}${lane}`,
          )),
        ));
    },
  },
  {
    name: "head-dribble",
    input: "2,000 requests whose heads come byte by byte",
    async run(port) {
      const head = get("/healthz", ...Array(50).fill("X: y"));
      await again(1_000, async () => {
        const socket = await open(port);
        socket.resume();
        for (const byte of head) {
          if (socket.destroyed) return;
          socket.write(byte);
          await sleep(50);
        }
        socket.destroy();
      });
    },
  },
  {
    name: "head-fold",
    input: "a head of folded lines without an end",
    run: (port) =>
      again(
        LANES,
        () =>
          flood(
            port,
            "GET / HTTP/1.1\r\nHost: localhost\r\nX: y\r\n",
            block(" \r\n"),
          ),
      ),
  },
  {
    name: "pipeline",
    input: "small requests without waiting for answers",
    run: (port) => again(LANES, () => flood(port, "", block(get("/healthz")))),
  },
  {
    name: "empty-lines",
    input: "empty lines before a request, without an end",
    run: (port) => again(LANES, () => flood(port, "", block("\r\n"))),
  },
  {
    name: "churn",
    input: "connections that are closed at once",
    run: (port) =>
      again(64, async () => {
        const socket = await open(port);
        socket.destroy();
      }),
  },
  {
    name: "upgrades",
    input: "WebSockets that are opened and cut",
    run: (port) =>
      again(16, async () => {
        const socket = await open(port);
        socket.write(upgradeRequest("/ws"));
        await Promise.race([
          new Promise<void>((resolve) => socket.once("data", () => resolve())),
          closed(socket),
        ]);
        socket.destroy();
      }),
  },
  {
    name: "pings",
    input: "pings at full speed",
    run: frames("", frame(0x89, "")),
  },
  {
    name: "pongs",
    input: "pongs at full speed",
    run: frames("", frame(0x8a, "")),
  },
  {
    name: "fragments",
    input: "empty fragments of one message at full speed",
    run: frames(frame(0x01, ""), frame(0x00, "")),
  },
  {
    name: "messages",
    input: "the smallest messages at full speed",
    run: frames("", frame(0x81, "{}")),
  },
];
