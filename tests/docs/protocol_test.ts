// PROTOCOL.md agrees with the code: its tables have what the code has and nothing
// else, and a relay answers its examples as they are written.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { STATUS_CODE } from "@std/http/status";
import { SUBSCRIBE_FIELDS } from "../../relay/doors/websocket/client_message.ts";
import { CLOSINGS } from "../../relay/doors/websocket/close_codes.ts";
import { REFUSAL_REASONS } from "../../relay/metrics/refusal_reason.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import {
  type Block,
  blocksOf,
  codeIn,
  sectionOf,
  tableOf,
  tablesOf,
} from "../support/docs/markdown.ts";
import { relayHelp } from "../support/docs/relay_help.ts";
import { startRelay, type TestRelay } from "../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../support/rights/token.ts";
import { OPCODE, RawWebSocket } from "../support/subscribers/raw_websocket.ts";
import { LIMIT, within } from "../support/within.ts";

const root = new URL("../../", import.meta.url);

const protocol = await Deno.readTextFile(new URL("PROTOCOL.md", root));

/** Returns the source text below a folder of the repository. */
async function sourceBelow(folder: string): Promise<string> {
  const texts: string[] = [];
  for await (const entry of Deno.readDir(new URL(folder, root))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) texts.push(await sourceBelow(`${path}/`));
    else if (entry.name.endsWith(".ts")) {
      texts.push(await Deno.readTextFile(new URL(path, root)));
    }
  }
  return texts.join("\n");
}

function capturesOf(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name = ""]) => name))]
    .sort();
}

/** The sections that have the tables. */
const sections = {
  websocket: sectionOf(protocol, "## 2. WebSocket"),
  http: sectionOf(protocol, "## 4. HTTP"),
  errors: sectionOf(protocol, "## 6. Error codes"),
  limits: sectionOf(protocol, "## 7. Limits"),
};

function firstColumn(section: string, heading: string): string[] {
  return tableOf(section, heading)
    .flatMap((row) => codeIn(row[heading])).sort();
}

/** The types of messages: the relay's, then the client's. */
function messageTypes(): [relay: string[], client: string[]] {
  const [relay, client, ...others] = tablesOf(sections.websocket)
    .filter(([row]) => row?.["type"] !== undefined)
    .map((rows) => rows.flatMap((row) => codeIn(row["type"])).sort());
  assert(relay && client && others.length === 0, "there are two tables");
  return [relay, client];
}

Deno.test("PROTOCOL.md has each error code of the code, and no other", () => {
  const codes = REFUSAL_REASONS.filter((code) => code !== "other");
  assertEquals(firstColumn(sections.errors, "code"), [...codes].sort());
});

Deno.test("PROTOCOL.md has the status of each error code", async () => {
  const source = await sourceBelow("relay/");
  const inCode = [
    ...source.matchAll(
      /new Problem\(\s*STATUS_CODE\.(\w+),\s*"(\w+)"/g,
    ),
  ].map(([, status = "", code = ""]) =>
    `${code} ${STATUS_CODE[status as keyof typeof STATUS_CODE]}` // a key, or it would not compile
  );
  assert(inCode.length > 15, "the code says what statuses are");
  // A connection that is cut is told nothing.
  const untold = tableOf(sections.errors, "code")
    .filter((row) => row["meaning"]?.startsWith("Only in metrics and logs"))
    .flatMap((row) => codeIn(row["code"]));
  const inPage = new Set(
    tableOf(sections.errors, "code").map((row) =>
      `${codeIn(row["code"])} ${row["HTTP"]}`
    ),
  );
  assertEquals(
    inCode.filter((pair) =>
      !inPage.has(pair) && !untold.includes(pair.split(" ")[0]!)
    ),
    [],
  );
});

Deno.test("PROTOCOL.md has each close code of the code, and no other", () => {
  const inCode = Object.values(CLOSINGS)
    .map(({ code, reconnect }) => `${code} ${reconnect ? "yes" : "no"}`);
  const inPage = tableOf(sections.websocket, "code")
    .map((row) => `${codeIn(row["code"])} ${row["resume"]}`);
  assertEquals(inPage.sort(), [...new Set(inCode)].sort());
});

Deno.test("PROTOCOL.md has each message of the code, and no other", async () => {
  const doors = await sourceBelow("relay/doors/websocket/");
  const delivery = await sourceBelow("relay/delivery/");
  const client = capturesOf(doors, /type: z\.literal\("(\w+)"\)/g);
  const relay = capturesOf(
    doors + delivery,
    /\{\s*"?type"?:\s*"(\w+)"/g,
  );
  const declared = capturesOf(delivery, /readonly type: "(\w+)"/g);
  assertEquals(messageTypes(), [
    [...new Set([...relay, ...declared])].sort(),
    client,
  ]);
});

Deno.test("PROTOCOL.md has an example of each message, with the fields of its table", () => {
  const [relay = [], client = []] = tablesOf(sections.websocket)
    .filter(([row]) => row?.["type"] !== undefined);
  const examples = blocksOf(protocol).filter(({ language }) =>
    language === "text"
  ).flatMap(({ text }) => text.split("\n"));
  for (const [rows, mark] of [[relay, "< {"], [client, "> {"]] as const) {
    const messages: Record<string, unknown>[] = examples
      .filter((line) => line.startsWith(mark))
      .map((line) => JSON.parse(line.slice(2)));
    for (const row of rows) {
      const [type = ""] = codeIn(row["type"]);
      // `limits: {...}` is the field `limits`, and `reason?` one that may be left out.
      const fields = codeIn(row["fields"]).map((code) => code.split(":")[0]!);
      const required = fields.filter((field) => !field.endsWith("?"));
      const known = fields.map((field) => field.replace("?", ""));
      const found = messages.filter((message) => message["type"] === type);
      assert(found.length > 0, `there is no example of '${type}'`);
      for (const { type: _type, ...message } of found) {
        const names = Object.keys(message);
        assertEquals(names.filter((name) => !known.includes(name)), [], type);
        assertEquals(
          required.filter((name) => !names.includes(name)),
          [],
          type,
        );
      }
    }
  }
});

Deno.test("PROTOCOL.md has each field of the message subscribe, and no other", () => {
  const rows = tablesOf(sections.websocket).flat();
  const row = rows.find((row) => codeIn(row["type"])[0] === "subscribe");
  const inCode = SUBSCRIBE_FIELDS.filter((name) => name !== "type")
    .map((name) => name === "topic" ? name : `${name}?`);
  assertEquals(codeIn(row?.["fields"]).sort(), inCode.sort());
});

Deno.test("PROTOCOL.md has the sections that comments cite", async () => {
  const sources = await Promise.all(
    ["src/", "relay/", "tests/", "bench/"].map(sourceBelow),
  );
  const cited = sources.join("\n")
    .matchAll(/protocol(\.md)?,? \(?sections? (\d)(?: and (\d))?/gi);
  let count = 0;
  for (const [text, extension, ...numbers] of cited) {
    assert(extension, `'${text}' names no file`);
    for (const number of numbers) {
      if (number === undefined) continue;
      assertMatch(protocol, new RegExp(`^## ${number}\\. `, "m"), text);
      count++;
    }
  }
  assert(count > 20, "comments cite PROTOCOL.md");
});

Deno.test("PROTOCOL.md has each route of the code, with its methods", async () => {
  const routes = new Map<string, string[]>();
  for (const row of tableOf(sections.http, "request")) {
    const [request = ""] = codeIn(row["request"]);
    const [method = "", path = ""] = request.split(" ");
    // Behind the gateway every path and method is the provider's.
    if (method === "*") continue;
    routes.set(path, [...routes.get(path) ?? [], method]);
  }
  await using relay = await startRelay();
  for (const [path, methods] of routes) {
    const response = await relay.request(path.replace("{topic}", "t"), {
      method: "PROPFIND",
    });
    const { allowed } = await response.json();
    assertEquals(response.status, 405, path);
    assertEquals(allowed.sort(), methods.sort(), path);
  }
  const source = (await sourceBelow("relay/doors/http/"))
    .replaceAll("${TOPIC}", "/topics/:topic")
    .replaceAll("${CHAT}", "/chat/:chat");
  const inCode = capturesOf(
    source,
    /["`](\/[a-z]+(?:\/:?[a-z]+)*)["`]/g,
  ).map((path) => path.replaceAll(/:([a-z]+)/g, "{$1}"));
  assert(inCode.length > 5, "the code says where routes are");
  assertEquals(inCode.filter((path) => !routes.has(path)), []);
});

Deno.test("PROTOCOL.md has the default of each limit", async () => {
  const help = (await relayHelp()).replaceAll(/\s+/g, " ");
  const rows = tableOf(sections.limits, "limit");
  assert(rows.length > 10);
  for (const row of rows) {
    const [flag = ""] = codeIn(row["option"]);
    const [, inHelp] =
      new RegExp(`${flag} [A-Z]+ .*?default:? ([^\\s;]+)`).exec(help) ?? [];
    // "16 KiB" is 16KiB there, and "10,000" 10000.
    assertEquals(row["default"]?.replaceAll(/[ ,]/g, ""), inHelp, flag);
  }
});

/** Fields whose value is another each time: only their type is compared. */
const VOLATILE = new Set([
  "connection",
  "time",
  "position",
  "retryIn",
  "expires",
  "createdAt",
  "firstEventAt",
  "lastEventAt",
  "endedAt",
]);

/** Sends what a page says, and compares what comes with what it says. */
class Reader {
  readonly #relay: TestRelay;
  readonly #token: string;
  readonly #acts: Readonly<Record<string, () => unknown>>;
  /** The epochs of this relay, by those of the page. */
  readonly #epochs = new Map<string, string>();

  /**
   * Begins to read a page.
   *
   * @param relay What answers.
   * @param token What stands for `TOKEN`.
   * @param acts What the lines with `#` do.
   */
  constructor(
    relay: TestRelay,
    token = "",
    acts: Readonly<Record<string, () => unknown>> = {},
  ) {
    this.#relay = relay;
    this.#token = token;
    this.#acts = acts;
  }

  /** Plays a transcript of a WebSocket. */
  async transcript({ text, line }: Block): Promise<void> {
    const [first = "", ...lines] = text.trimEnd().split("\n");
    const target = this.#translate(first.replace(/^GET /, ""));
    await using socket = await RawWebSocket.open(
      this.#relay.url,
      target,
      this.#token ? { Authorization: `Bearer ${this.#token}` } : {},
    );
    for (const [index, said] of lines.entries()) {
      const where = `PROTOCOL.md:${line + 2 + index}`;
      const rest = said.slice(2);
      if (said.startsWith("> ")) {
        const message = JSON.parse(this.#translate(rest));
        if (message.token === "TOKEN") message.token = this.#token;
        await socket.say(message);
      } else if (said.startsWith("# ")) {
        const act = this.#acts[rest];
        assert(act, `${where}: nobody does that`);
        await act();
      } else if (said.startsWith("< close ")) {
        assertEquals(await socket.closeCode(), Number(rest.slice(6)), where);
      } else {
        assert(said.startsWith("< "), where);
        this.#compare(await nextMessage(socket), JSON.parse(rest), where);
      }
    }
  }

  /** Makes a request, and compares its answer. */
  async exchange(request: Block, answer: Block): Promise<void> {
    const where = `PROTOCOL.md:${request.line}`;
    const asked = parseMessage(this.#translate(request.text));
    const [method = "", path = ""] = asked.first.split(" ");
    const response = await this.#relay.request(path, {
      method,
      headers: asked.headers.map(([name, value]): [string, string] => [
        name,
        value.replace("TOKEN", this.#token),
      ]),
      ...(asked.body !== "" && { body: asked.body }),
    });
    const got = await within(response.text(), LIMIT, `the answer of ${where}`);
    const { first, headers, body } = parseMessage(answer.text);
    assertEquals(response.status, Number(first), `${where}: ${got}`);
    for (const [name, value] of headers) {
      const actual = response.headers.get(name) ?? "";
      if (name === "Rivulet-Epoch") this.#epochs.set(value, actual);
      assertEquals(actual, this.#translate(value), where);
    }
    if (body.startsWith("{")) {
      this.#compare(JSON.parse(got), JSON.parse(body), where);
    } else {
      assertEquals(got, this.#translate(body), where);
    }
  }

  #compare(actual: unknown, written: unknown, where: string): void {
    const found = isRecord(actual) ? actual["epoch"] : undefined;
    const named = isRecord(written) ? written["epoch"] : undefined;
    if (typeof found === "string" && typeof named === "string") {
      assertMatch(found, /^[\w-]{8,22}$/);
      this.#epochs.set(named, found);
    }
    const expected = JSON.parse(this.#translate(JSON.stringify(written)));
    assertEquals(stable(actual), stable(expected), where);
  }

  #translate(text: string): string {
    let translated = text;
    for (const [written, actual] of this.#epochs) {
      translated = translated.replaceAll(written, actual);
    }
    return translated;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** The types of the fields that are another each time, and the others as they are. */
function stable(value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, value]) => [
      name,
      VOLATILE.has(name) ? typeof value : value,
    ]),
  );
}

async function nextMessage(socket: RawWebSocket): Promise<unknown> {
  for (;;) {
    const frame = await socket.frame();
    assert(frame, "the connection has ended");
    if (frame.opcode !== OPCODE.text) {
      assertEquals(frame.opcode, OPCODE.ping);
      continue;
    }
    return JSON.parse(new TextDecoder().decode(frame.payload));
  }
}

/** A request or an answer as a page writes it: one line, headers, an empty line, a body. */
function parseMessage(text: string): {
  first: string;
  headers: [string, string][];
  body: string;
} {
  const [head = "", ...rest] = text.split("\n\n");
  const [first = "", ...lines] = head.trimEnd().split("\n");
  const body = rest.join("\n\n");
  return {
    first,
    headers: lines.map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
    // The empty line that ends an event is cut off at the end of a block.
    body: /^(?:id|event|data): /m.test(body)
      ? `${body.trimEnd()}\n\n`
      : body.trimEnd(),
  };
}

/** Plays all examples of a section, in order. */
async function play(heading: string, reader: Reader): Promise<number> {
  const blocks = blocksOf(protocol);
  const lines = protocol.split("\n");
  const first = lines.indexOf(heading) + 1;
  assert(first > 0, `there is no section '${heading}'`);
  const last = first + sectionOf(protocol, heading).split("\n").length;
  let played = 0;
  let request: Block | undefined;
  for (const block of blocks) {
    if (block.line < first || block.line >= last) continue;
    if (block.language === "text") {
      await reader.transcript(block);
      played++;
    } else if (request) {
      await reader.exchange(request, block);
      request = undefined;
      played++;
    } else {
      assertEquals(block.language, "http", `line ${block.line}`);
      request = block;
    }
  }
  assertEquals(request, undefined, `an answer to ${request?.text}`);
  return played;
}

/** An event stream that breaks off, and is then refused, each when it is told to. */
class FragileSource implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #refusal: PromiseWithResolvers<void> = Promise.withResolvers();
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async () => {
        if (this.#body) {
          await this.#refusal.promise;
          return new Response(null, {
            status: 503,
            headers: { "Retry-After": "30" },
          });
        }
        const body = new ReadableStream<Uint8Array>({
          start: (controller) => {
            this.#body = controller;
            controller.enqueue(new TextEncoder().encode("data: 1\n\n"));
          },
        });
        return new Response(body, {
          headers: { "Content-Type": "text/event-stream" },
        });
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  breakOff(): void {
    this.#body?.close();
  }

  refuse(): void {
    this.#refusal.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.refuse();
    return this.#server.shutdown();
  }
}

Deno.test("PROTOCOL.md has a WebSocket's transcripts as they are", async () => {
  await using source = new FragileSource();
  // A subscriber is told the latest state of a source only: none may follow
  // another before the transcript has it.
  const clock = new FakeClock();
  await using relay = await startRelay({
    sources: [{
      name: "feed",
      url: source.url,
      reconnect: { minTimeout: 412, jitter: 0 },
    }],
    clock,
  });
  const reader = new Reader(relay, undefined, {
    "The source's connection breaks off.": () => source.breakOff(),
    "The 412 ms are over.": () => clock.advance(412),
    "The source's server answers 503.": () => source.refuse(),
    "15 s are over.": () => clock.advance(15_000),
    "The relay is stopped.": () => void relay.relay.close(),
  });
  assertEquals(await play("## 2. WebSocket", reader), 7);
});

Deno.test("PROTOCOL.md has requests and answers as they are", async () => {
  await using relay = await startRelay();
  const reader = new Reader(relay);
  assertEquals(await play("## The simplest client", reader), 4);
  assertEquals(await play("## 3. SSE", reader), 5);
  assertEquals(await play("## 4. HTTP", reader), 8);
});

Deno.test("PROTOCOL.md has what a relay with a key answers as it is", async () => {
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const token = await mintToken({ read: ["*"] });
  assertEquals(await play("## 5. Rights", new Reader(relay, token)), 3);
});
