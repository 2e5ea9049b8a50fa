/**
 * Every route of the relay x every method x every kind of token, and every frame of a
 * WebSocket: generated from the code, so that a new one without a row fails.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import {
  type EndpointContext,
  listEndpoints,
  type Needs,
} from "../../relay/doors/http/endpoints.ts";
import { parseClientMessage } from "../../relay/doors/websocket/client_message.ts";
import {
  DEFAULT_REQUESTS,
  RESPONSE_REQUESTS,
} from "../../relay/gateway/provider_rights.ts";
import { REFERENCED } from "../../relay/gateway/references.ts";
import type { Topic } from "../../relay/topics/topic.ts";
import { startRelay, type TestRelay } from "../support/relay/relay.ts";
import {
  JWT_KEY,
  mintToken,
  type TokenClaims,
} from "../support/rights/token.ts";
import {
  RawClient,
  RawWebSocket,
  requestUpgrade,
} from "../support/subscribers/raw_websocket.ts";

/** The methods that clients and scanners use. */
const METHODS = [
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PROPFIND",
  "PUT",
];

const PAGE = { headers: { accept: "application/json" } };

/** A route: what is asked for, and the status of the answer to a caller that may. */
interface Row {
  readonly needs: Needs;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | null;
}

/** The row of each route. */
const ROUTES: Readonly<Record<string, Row>> = {
  "GET /": { needs: "nothing", status: 200 },
  "GET /page/script.js": { needs: "nothing", status: 200 },
  "GET /page/style.css": { needs: "nothing", status: 200 },
  "GET /page/icon.svg": { needs: "nothing", status: 200 },
  "GET /healthz": { needs: "nothing", status: 200 },
  "GET /readyz": { needs: "nothing", status: 200 },
  "GET /metrics": { needs: "admin", status: 200 },
  "GET /status": { needs: "admin", status: 200 },
  "GET /ws": { needs: "nothing", status: 426 },
  "GET /topics": { needs: "token", status: 200 },
  // Its stream does not end. The rights of its topics are tested in sse/prefix_test.ts.
  "GET /topics/:prefix\\*": { needs: "token", status: 406, ...PAGE },
  "GET /topics/:topic": { needs: "read", status: 200, ...PAGE },
  "HEAD /topics/:topic": { needs: "read", status: 200 },
  "PUT /topics/:topic": { needs: "write", status: 200 },
  "POST /topics/:topic": {
    needs: "write",
    status: 200,
    headers: { "content-type": "text/plain" },
    body: "new",
  },
  "DELETE /topics/:topic": { needs: "write", status: 204 },
  "GET /topics/:topic/info": { needs: "read", status: 200 },
  "POST /topics/:topic/end": { needs: "write", status: 200 },
  "POST /topics/:topic/cancel": { needs: "cancel", status: 200 },
  // The rights of bodies are tested in tests/relay/gateway/chat/rights_test.ts.
  "POST /chat/:chat": { needs: "token", status: 415 },
  "GET /chat/:chat/:id": { needs: "read", status: 200, ...PAGE },
  "GET /chat/:chat/:id/stream": { needs: "read", status: 204 },
  "POST /chat/:chat/:id/stop": { needs: "cancel", status: 204 },
};

/** The row of each frame: what it needs, and the answer to a caller that may. */
const FRAMES: Readonly<
  Record<string, {
    readonly needs: Needs;
    readonly answer: string;
    /** Besides the type. */
    readonly fields: (topic: string) => Readonly<Record<string, unknown>>;
  }>
> = {
  subscribe: {
    needs: "read",
    answer: "subscribed",
    fields: (topic) => ({ topic }),
  },
  unsubscribe: {
    needs: "token",
    answer: "error not_subscribed",
    fields: (topic) => ({ topic }),
  },
  ack: {
    needs: "token",
    answer: "heartbeat", // it is passed over
    fields: (topic) => ({ topic, offset: 1 }),
  },
  cancel: {
    needs: "cancel",
    answer: "heartbeat", // that of the heartbeat behind it
    fields: (topic) => ({ topic }),
  },
  publish: {
    needs: "write",
    answer: "published",
    fields: (topic) => ({ topic, events: [{ data: "new" }] }),
  },
  auth: {
    needs: "token",
    answer: "error invalid_token",
    fields: () => ({ token: "x.y.z" }),
  },
  heartbeat: { needs: "token", answer: "heartbeat", fields: () => ({}) },
};

const MINE = {
  read: { read: ["mine-*"] },
  write: { write: ["mine-*"] },
  cancel: { cancel: ["mine-*"] },
} as const satisfies Record<string, TokenClaims>;

const ALL: TokenClaims = { ...MINE.read, ...MINE.write, ...MINE.cancel };

/** The kinds of tokens: what a token of each says, for a row that needs this. */
const TOKENS: Readonly<
  Record<string, (needs: Needs) => TokenClaims | undefined>
> = {
  "no token": () => undefined,
  "another tenant's": () => ({
    read: ["theirs-*"],
    write: ["theirs-*"],
    cancel: ["theirs-*"],
  }),
  "every right but this": (needs) =>
    needs in MINE ? { ...ALL, [needs]: [] } : ALL,
  "this right alone": (needs) =>
    needs === "admin"
      ? { admin: true }
      : needs in MINE
      ? MINE[needs as keyof typeof MINE] // it is in it
      : {},
};

/** Whether a token of this kind may have what needs this; `none` if it needs a token. */
function mayHave(kind: string, needs: Needs): "yes" | "no" | "none" {
  if (needs === "nothing") return "yes";
  if (kind === "no token") return "none";
  return needs === "token" || kind === "this right alone" ? "yes" : "no";
}

async function headersOf(
  claims: TokenClaims | undefined,
): Promise<Record<string, string>> {
  return claims ? { authorization: `Bearer ${await mintToken(claims)}` } : {};
}

let made = 0;

/** A chat route whose topics are called as those of the tokens. */
const CHAT = { name: "mine-chat", url: "http://127.0.0.1:1/", shared: true };

/** Makes a topic of its own for each question. */
function createTopic({ relay }: TestRelay, path = ""): Topic {
  const isChat = path.includes(":id");
  const topic = relay.topics.create(
    `mine-${isChat ? "chat:" : ""}${++made}`,
  );
  topic.append([{ event: "message", data: "secret", id: "" }]);
  return topic;
}

function stateOf({ log, state }: Topic): unknown {
  return { next: log.next, state: state.kind };
}

// Nothing of the context is used as nothing is answered.
const endpoints = listEndpoints(
  { publicMetrics: false, page: true } as EndpointContext,
);

Deno.test("Each route of the code has a row, with what it needs", () => {
  assertEquals(
    Object.fromEntries(
      endpoints.map(({ method, path, needs }) => [`${method} ${path}`, needs]),
    ),
    Object.fromEntries(
      Object.entries(ROUTES).map(([route, { needs }]) => [route, needs]),
    ),
  );
});

Deno.test("Each frame of the code has a row", () => {
  const result = parseClientMessage('{"type":"?"}');
  assert(result.kind === "refused");
  const [, types = ""] = /^Expected a type of (.*): got/.exec(result.reason) ??
    [];
  assertEquals(types.split(", ").sort(), Object.keys(FRAMES).sort());
});

for (const path of new Set(endpoints.map(({ path }) => path))) {
  Deno.test(`${path} gives each method and token what its row says`, async () => {
    await using relay = await startRelay({
      rights: { jwtKey: JWT_KEY },
      chats: [CHAT],
    });
    for (const method of METHODS) {
      const row = ROUTES[`${method} ${path}`];
      const { needs, status, headers: own, body = null }: Row = row ??
        { needs: "nothing", status: 405 };
      for (const [kind, claimsOf] of Object.entries(TOKENS)) {
        const topic = createTopic(relay, path);
        // Nothing goes on in it.
        if (path.endsWith("/stream")) topic.end("complete");
        const before = stateOf(topic);
        const headers = {
          ...own,
          ...await headersOf(claimsOf(needs)),
        };
        const answer = await relay.request(
          path.replace(":prefix\\*", "mine-*").replace(":topic", topic.name)
            .replace(":chat", CHAT.name)
            .replace(":id", String(made)),
          { body, method, headers },
        );
        const text = await answer.text();
        const may = mayHave(kind, needs);
        const what = `${method} ${path} with ${kind}: ${text}`;
        assertEquals(
          answer.status,
          { yes: status, no: 403, none: 401 }[may],
          what,
        );
        if (may === "yes" && row) continue;
        assertEquals(stateOf(topic), before, what);
        assert(!text.includes("secret"), what);
      }
    }
  });
}

Deno.test("An upgrade of /v1/responses gives each token what a POST there would", async () => {
  await using relay = await startRelay({
    rights: { jwtKey: JWT_KEY },
    gateway: {
      providers: [{ name: "p", url: "http://127.0.0.1:1/v1", key: "k" }],
    },
  });
  for (const [kind, claimsOf] of Object.entries(TOKENS)) {
    await using client = await RawClient.connect(relay.url);
    const { status, headers } = await requestUpgrade(client, "/v1/responses", {
      ...await headersOf(claimsOf("write")),
      "rivulet-topic": "mine-*",
    });
    const may = mayHave(kind, "write");
    assertEquals(status, { yes: 101, no: 403, none: 401 }[may], kind);
    assertEquals(headers.get("rivulet-topic"), may === "yes" ? "mine-*" : null);
  }
});

for (const [type, { needs, answer, fields }] of Object.entries(FRAMES)) {
  Deno.test(`The frame ${type} gives each token what its row says`, async () => {
    await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
    for (const [kind, claimsOf] of Object.entries(TOKENS)) {
      const claims = claimsOf(needs);
      if (!claims) continue; // the upgrade is refused, as the next test has it
      const topic = createTopic(relay);
      const before = stateOf(topic);
      await using socket = await RawWebSocket.open(
        relay.url,
        "/ws",
        await headersOf(claims),
      );
      await socket.say({ type, ...fields(topic.name) });
      await socket.say({ type: "heartbeat", time: 0 });
      const [expected = "", code] = mayHave(kind, needs) === "yes"
        ? answer.split(" ")
        : ["error", "forbidden"];
      const message = await socket.message(expected);
      assertEquals(message["code"], code, `${type} with ${kind}`);
      if (expected !== "heartbeat") await socket.message("heartbeat");
      if (expected === "error") assertEquals(stateOf(topic), before);
      else assertEquals(topic.state.kind === "ended", type === "cancel");
    }
  });
}

for (const target of ["/ws", "/topics/mine"]) {
  Deno.test(`A WebSocket at ${target} gives each token what its row says`, async () => {
    await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
    const needs = target === "/ws" ? "token" : "read";
    const upgrade = {
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    for (const [kind, claimsOf] of Object.entries(TOKENS)) {
      const topic = createTopic(relay);
      const path = target.replace("mine", topic.name);
      const headers = await headersOf(claimsOf(needs));
      const may = mayHave(kind, needs);
      if (may === "yes") {
        await using socket = await RawWebSocket.open(relay.url, path, headers);
        await socket.message(target === "/ws" ? "welcome" : "subscribed");
        continue;
      }
      const status = await upgradeStatus(relay, path, {
        ...upgrade,
        ...headers,
      });
      assertEquals(status, may === "no" ? 403 : 401, `${target} with ${kind}`);
    }
  });
}

/** Asks for an upgrade; returns the status of the answer. */
async function upgradeStatus(
  { port }: TestRelay,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const lines = Object.entries({ host: "localhost", ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`);
  await connection.write(
    new TextEncoder().encode(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`),
  );
  const text = await new Response(connection.readable).text();
  return Number(text.split(" ")[1]);
}

/** The kinds of tokens at the gateway: each has a topic to write, but for the first two. */
const CALLERS: Readonly<
  Record<string, (request: string) => TokenClaims | undefined>
> = {
  "no token": () => undefined,
  "another tenant's": () => ({ write: ["theirs-*"] }),
  "the topic alone": () => MINE.write,
  "another right at the provider": () => ({
    ...MINE.write,
    provider: ["p:GET other"],
  }),
  "this right at another provider": (request) => ({
    ...MINE.write,
    provider: [`other:${request}`],
  }),
  "this right": (request) => ({ ...MINE.write, provider: [`p:${request}`] }),
};

/** The requests to a provider: those of the code's own lists, and every method of others. */
const AT_PROVIDER: readonly string[] = [
  ...DEFAULT_REQUESTS.map((request) => request.replace("*", "m")),
  ...Object.keys(RESPONSE_REQUESTS)
    .map((request) => request.replace("{id}", "resp_unknown")),
  ...[...REFERENCED, "organization/projects", "batches", "models/m"].flatMap(
    (path) =>
      METHODS.flatMap((method) => [`${method} ${path}`, `${method} ${path}/x`]),
  ),
];

/** Whether a token that says nothing of providers may make a request. */
function isDefault(request: string): boolean {
  const asked = request.replace(/^HEAD /, "GET ");
  return DEFAULT_REQUESTS.some((allowed) =>
    allowed === asked ||
    allowed.endsWith("*") && asked.startsWith(allowed.slice(0, -1))
  );
}

for (const [kind, claimsOf] of Object.entries(CALLERS)) {
  Deno.test(`The gateway gives each request with ${kind} what its row says (B1, B2)`, async () => {
    let asked = 0;
    const provider = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      () => {
        asked++;
        return Response.json({});
      },
    );
    {
      await using relay = await startRelay({
        rights: { jwtKey: JWT_KEY },
        gateway: {
          providers: [{
            name: "p",
            url: `http://127.0.0.1:${provider.addr.port}/v1`,
            key: "sk-of-the-provider-0123456789",
          }],
        },
      });
      for (const request of new Set(AT_PROVIDER)) {
        const [method = "", path = ""] = request.split(" ");
        const right = request.replace(/^HEAD /, "GET ");
        const headers = {
          ...await headersOf(claimsOf(right)),
          "rivulet-topic": "mine-run",
          connection: "close",
        };
        const expected = kind === "no token" ? 401 : kind === "this right" ||
            kind === "the topic alone" && isDefault(request)
          ? 200
          : 403;
        for (const prefix of ["/v1/", "/p/v1/"]) {
          const before = asked;
          const answer = await relay.request(`${prefix}${path}`, {
            method,
            headers,
          });
          await answer.body?.cancel();
          const what = `${method} ${prefix}${path} with ${kind}`;
          assertEquals(answer.status, expected, what);
          assertEquals(asked - before, expected === 200 ? 1 : 0, what);
        }
      }
    }
    await provider.shutdown();
  });
}
