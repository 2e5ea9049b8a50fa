// A body without its proper end is no whole stream, whatever reads it: sources, guarded
// sources, and publications (field.md C4).
import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { assertEquals } from "@std/assert";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const EVENT = "data: a\n\n";
const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const CHUNK = `${EVENT.length.toString(16)}\r\n${EVENT}\r\n`;

/**
 * The death of an upstream: what it sends, and how it closes; and the end of
 * its topic.
 */
interface Death {
  readonly sends: string;
  readonly closes: "end" | "destroy" | "reset";
  readonly status: "complete" | "truncated";
}

const DEATHS: Readonly<Record<string, Death>> = {
  "a last chunk": {
    sends: `${CHUNKED}${CHUNK}0\r\n\r\n`,
    closes: "end",
    status: "complete",
  },
  "its length": {
    sends: `${HEAD}Content-Length: ${EVENT.length}\r\n\r\n${EVENT}`,
    closes: "end",
    status: "complete",
  },
  // Nothing else ends such a body.
  "a closed connection over HTTP/1.0": {
    sends: `${HEAD.replace("1.1", "1.0")}\r\n${EVENT}`,
    closes: "end",
    status: "complete",
  },
  "no last chunk": {
    sends: CHUNKED + CHUNK,
    closes: "end",
    status: "truncated",
  },
  "half a last chunk": {
    sends: `${CHUNKED}${CHUNK}0\r\n`,
    closes: "end",
    status: "truncated",
  },
  "half a chunk": {
    sends: `${CHUNKED}${CHUNK}ff\r\n: more`,
    closes: "end",
    status: "truncated",
  },
  "too little": {
    sends: `${HEAD}Content-Length: 99\r\n\r\n${EVENT}`,
    closes: "end",
    status: "truncated",
  },
  "a reset within chunks": {
    sends: CHUNKED + CHUNK,
    closes: "reset",
    status: "truncated",
  },
  "a reset within its length": {
    sends: `${HEAD}Content-Length: 99\r\n\r\n${EVENT}`,
    closes: "reset",
    status: "truncated",
  },
  "a reset over HTTP/1.0": {
    sends: `${HEAD.replace("1.1", "1.0")}\r\n${EVENT}`,
    closes: "reset",
    status: "truncated",
  },
};

/** A server that dies in this way; it closes once the test lets it. */
async function serve(
  { sends, closes }: Death,
): Promise<{ url: string; die(): void } & AsyncDisposable> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", () => socket.write(sends));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}/`,
    die() {
      for (const socket of sockets) {
        if (closes === "end") socket.end();
        else if (closes === "reset") socket.resetAndDestroy();
        else socket.destroy();
      }
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const GUARD: RelayOptions = {
  rights: { allowSources: ["*"], allowAddresses: ["127.0.0.0/8"] },
};

for (const kind of ["source", "guarded source"] as const) {
  for (const [how, death] of Object.entries(DEATHS)) {
    Deno.test(`The ${kind} of a body that ends with ${how} ends ${death.status} (C4)`, async () => {
      await using upstream = await serve(death);
      const source = { url: upstream.url, reconnect: false } as const;
      await using relay = await startRelay(
        kind === "source" ? { sources: [{ name: "t", ...source }] } : GUARD,
      );
      if (kind === "guarded source") {
        const made = await relay.request("/topics/t", {
          method: "PUT",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ source }),
        });
        assertEquals(made.status, 201);
        await made.body?.cancel();
      }
      const topic = relay.relay.topics.get("t")!; // made above
      await until(() => topic.log.next === 2 || undefined, LIMIT, "the event");
      upstream.die();
      const { status } = await within(topic.ended, LIMIT, "the end");
      assertEquals(status, death.status);
    });
  }
}

const BODIES: Readonly<Record<string, string>> = {
  "text/plain": "abc",
  "application/json": '{"data":"a"}',
  "text/event-stream": EVENT,
};

for (const [type, body] of Object.entries(BODIES)) {
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n`;
  for (
    const [how, framing, sent] of [
      ["too little", `Content-Length: ${body.length + 9}`, body],
      ["no last chunk", "Transfer-Encoding: chunked", chunk],
      ["half a last chunk", "Transfer-Encoding: chunked", `${chunk}0\r\n`],
    ] as const
  ) {
    for (const closes of ["end", "reset"] as const) {
      Deno.test(`A publication of ${type} that ends with ${how} (${closes}) is not taken for whole (C4)`, async () => {
        await using relay = await startRelay();
        const topic = relay.relay.topics.create("t");
        const connection = await Deno.connect({
          hostname: "127.0.0.1",
          port: relay.port,
        });
        await connection.write(
          new TextEncoder().encode(
            `POST /topics/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n${framing}\r\n\r\n${sent}`,
          ),
        );
        const isStream = type === "text/event-stream";
        if (isStream) {
          await until(
            () => topic.log.next === 2 || undefined,
            LIMIT,
            "the event",
          );
        }
        if (closes === "end") await connection.closeWrite();
        else connection.close();
        if (closes === "end") {
          const answer = await new Response(connection.readable).text()
            .catch(() => "");
          assertEquals(/^HTTP\/1.1 200/.test(answer), false, answer);
        }
        // Answered after it: the relay has seen the end of the other.
        const health = await relay.request("/healthz");
        await health.body?.cancel();
        assertEquals(topic.log.next, isStream ? 2 : 1);
        assertEquals(topic.state.kind, isStream ? "open" : "pending");
      });
    }
  }
}
