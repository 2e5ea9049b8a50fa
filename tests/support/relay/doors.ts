/**
 * Every door of a relay and every verb there, to be knocked at with any token.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import { Buffer } from "node:buffer";
// @ts-types="../../../relay/ws.d.ts"
import { WebSocket } from "ws";
import { z } from "zod";
import { LIMIT } from "../gateway/gateway_world.ts";
import { within } from "../within.ts";

/** The facts that a request to a door needs. */
export interface Knock {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** The topic that is asked for. */
  readonly topic: string;
  /** A position in that topic. */
  readonly position: string;
  /** The headers that identify the caller. */
  readonly headers: Readonly<Record<string, string>>;
  /** Added to the query. */
  readonly query?: Readonly<Record<string, string>>;
  /** WebSocket subprotocols that are offered. */
  readonly protocols?: readonly string[];
}

/** A door, with what is wanted there. */
export interface Door {
  readonly name: string;
  /** The right that it requires. */
  readonly needs: "nothing" | "token" | "read" | "write" | "cancel" | "admin";
  /** The claim that it takes besides, where it is not to be had by default. */
  readonly provider?: readonly string[];
  /** The outcome if the caller has the right. */
  readonly allowed: string;
  /** Returns what came of it: `200`, `403 forbidden`, `frame subscribed`, `frame error forbidden`. */
  knock(knock: Knock): Promise<string>;
}

const problem = z.looseObject({ code: z.string() });

function urlOf({ url, query }: Knock, path: string): string {
  const target = new URL(path, url);
  for (const [name, value] of Object.entries(query ?? {})) {
    target.searchParams.set(name, value);
  }
  return target.href;
}

async function http(
  knock: Knock,
  path: string,
  init: RequestInit = {},
): Promise<string> {
  const response = await within(
    fetch(urlOf(knock, path), {
      ...init,
      headers: { ...knock.headers, ...init.headers as Record<string, string> },
    }),
    LIMIT,
    path,
  );
  const { status } = response;
  if (status < 400) {
    await response.body?.cancel();
    return String(status);
  }
  const text = await response.text();
  return text === ""
    ? String(status)
    : `${status} ${problem.parse(JSON.parse(text)).code}`;
}

function codeOf(response: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    const parts: Uint8Array[] = [];
    response.on("data", (part: Uint8Array) => parts.push(part));
    response.on("end", () => {
      const text = Buffer.concat(parts).toString();
      const { code } = problem.parse(JSON.parse(text));
      resolve(`${response.statusCode} ${code}`);
    });
  });
}

const message = z.looseObject({
  type: z.string(),
  code: z.string().optional(),
});

/** Connects, says something, and returns the first answer that is no greeting. */
function websocket(
  knock: Knock,
  path: string,
  said: readonly unknown[] = [],
): Promise<string> {
  const socket = new WebSocket(
    urlOf(knock, path).replace("http", "ws"),
    [...knock.protocols ?? []],
    { headers: knock.headers },
  );
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const closed = Promise.withResolvers<void>();
  socket.on("close", () => closed.resolve());
  // It does not count as open, and so is never closed.
  socket.on("unexpected-response", (request, response) => {
    request.on("close", () => closed.resolve());
    void codeOf(response).then(resolve, reject)
      .finally(() => request.destroy());
  });
  socket.on("error", reject);
  socket.on("open", () => {
    for (const frame of said) socket.send(JSON.stringify(frame));
  });
  socket.on("message", (data) => {
    const { type, code } = message.parse(JSON.parse(String(data)));
    if (type === "welcome") return;
    resolve(`frame ${type}${code === undefined ? "" : ` ${code}`}`);
    socket.close();
  });
  return within(promise, LIMIT, path).then(async (came) => {
    await within(closed.promise, LIMIT, "close");
    return came;
  });
}

const EVENT_STREAM = { accept: "text/event-stream" };
const JSON_PAGE = { accept: "application/json" };
const JSON_BODY = { "content-type": "application/json" };

/** All of them. */
export const doors: readonly Door[] = [
  {
    name: "GET /healthz",
    needs: "nothing",
    allowed: "200",
    knock: (knock) => http(knock, "/healthz"),
  },
  {
    name: "GET /readyz",
    needs: "nothing",
    allowed: "200",
    knock: (knock) => http(knock, "/readyz"),
  },
  {
    name: "GET /metrics",
    needs: "admin",
    allowed: "200",
    knock: (knock) => http(knock, "/metrics"),
  },
  {
    name: "GET /topics",
    needs: "token",
    allowed: "200",
    knock: (knock) => http(knock, "/topics"),
  },
  {
    name: "a page",
    needs: "read",
    allowed: "200",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}`, { headers: JSON_PAGE }),
  },
  {
    name: "a page after a position",
    needs: "read",
    allowed: "200",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}?after=${knock.position}`, {
        headers: JSON_PAGE,
      }),
  },
  {
    name: "HEAD",
    needs: "read",
    allowed: "200",
    knock: (knock) => http(knock, `/topics/${knock.topic}`, { method: "HEAD" }),
  },
  {
    name: "an event stream",
    needs: "read",
    allowed: "200",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}`, { headers: EVENT_STREAM }),
  },
  {
    name: "a raw event stream",
    needs: "read",
    allowed: "200",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}?raw`, { headers: EVENT_STREAM }),
  },
  {
    name: "an event stream that is resumed",
    needs: "read",
    allowed: "200",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}`, {
        headers: { ...EVENT_STREAM, "last-event-id": knock.position },
      }),
  },
  {
    name: "an event stream after a position",
    needs: "read",
    allowed: "200",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}?after=${knock.position}`, {
        headers: EVENT_STREAM,
      }),
  },
  {
    name: "a WebSocket of the topic",
    needs: "read",
    allowed: "frame subscribed",
    knock: (knock) => websocket(knock, `/topics/${knock.topic}`),
  },
  {
    name: "a WebSocket of the topic after a position",
    needs: "read",
    allowed: "frame subscribed",
    knock: (knock) =>
      websocket(knock, `/topics/${knock.topic}?after=${knock.position}`),
  },
  {
    name: "the frame subscribe",
    needs: "read",
    allowed: "frame subscribed",
    knock: (knock) =>
      websocket(knock, "/ws", [{ type: "subscribe", topic: knock.topic }]),
  },
  {
    name: "the frame subscribe after a position",
    needs: "read",
    allowed: "frame subscribed",
    knock: ({ position: after, ...knock }) =>
      websocket({ ...knock, position: after }, "/ws", [
        { type: "subscribe", topic: knock.topic, after },
      ]),
  },
  {
    name: "PUT",
    needs: "write",
    allowed: "200",
    knock: (knock) => http(knock, `/topics/${knock.topic}`, { method: "PUT" }),
  },
  {
    name: "PUT with a source",
    needs: "write",
    allowed: "403 source_not_allowed",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}`, {
        method: "PUT",
        headers: JSON_BODY,
        body: JSON.stringify({ source: { url: "http://example.com/" } }),
      }),
  },
  ...["text/plain", "application/json", "text/event-stream"].map((
    type,
  ): Door => ({
    name: `POST of ${type}`,
    needs: "write",
    allowed: "200",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}`, {
        method: "POST",
        headers: { "content-type": type },
        body: type === "application/json"
          ? '{"data":"new"}'
          : type === "text/plain"
          ? "new"
          : "data: new\n\n",
      }),
  })),
  {
    name: "the frame publish",
    needs: "write",
    allowed: "frame published",
    knock: (knock) =>
      websocket(knock, "/ws", [
        { type: "publish", topic: knock.topic, events: [{ data: "new" }] },
      ]),
  },
  {
    name: "POST to /end",
    needs: "write",
    allowed: "200",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}/end`, { method: "POST" }),
  },
  {
    name: "DELETE",
    needs: "write",
    allowed: "204",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}`, { method: "DELETE" }),
  },
  {
    name: "POST to /cancel",
    needs: "cancel",
    allowed: "200",
    knock: (knock) =>
      http(knock, `/topics/${knock.topic}/cancel`, { method: "POST" }),
  },
  {
    name: "the frame cancel",
    needs: "cancel",
    allowed: "frame heartbeat", // to be told that it was done is the topic's matter
    knock: (knock) =>
      websocket(knock, "/ws", [
        { type: "cancel", topic: knock.topic },
        { type: "heartbeat", time: 0 },
      ]),
  },
  {
    name: "a run",
    needs: "write",
    allowed: "200",
    knock: (knock) =>
      http(knock, "/v1/chat/completions", {
        method: "POST",
        headers: { ...JSON_BODY, "rivulet-topic": `${knock.topic}-run` },
        body: JSON.stringify({ stream: true }),
      }),
  },
  {
    name: "a proxied call that is no run",
    needs: "write",
    provider: ["*:POST embeddings"],
    allowed: "200",
    knock: (knock) =>
      http(knock, "/v1/embeddings", {
        method: "POST",
        headers: { ...JSON_BODY, "rivulet-topic": knock.topic },
        body: "{}",
      }),
  },
  {
    name: "a proxied GET",
    needs: "write",
    allowed: "200",
    knock: (knock) =>
      http(knock, "/v1/models", {
        headers: { "rivulet-topic": knock.topic },
      }),
  },
];
