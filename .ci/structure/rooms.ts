import type { Tree } from "./tree.ts";

/** A part of the code, and what it may know of. */
export interface Room {
  /** The path of a module, or of a folder with a slash at the end. */
  readonly path: string;
  /**
   * Its purpose, and the reason for its limits where they are not plain. ARCHITECTURE.md
   * has the same words.
   */
  readonly why: string;
  /** The rooms whose modules its own may import, besides each other. */
  readonly may: readonly string[];
}

const SSE = "src/sse/";
const FETCH = "src/fetch/";
const MODEL = "src/model/";
const TESTING = "src/testing/";
const VERSION = "src/version.ts";
const PROBLEM = "relay/problem.ts";
const CUT_ANSWER = "relay/cut_answer.ts";
const GONE_SIGNAL = "relay/gone_signal.ts";
const WRITE_CHUNK = "relay/write_chunk.ts";
const ISSUE_TEXT = "relay/issue_text.ts";
const FORWARDING = "relay/forwarding.ts";
const REST = "relay/rest.ts";
const SLICES = "relay/slices.ts";
const MEMBERS = "relay/members.ts";
const LINE = "relay/line.ts";
const JSON_TEXT = "relay/json_text.ts";
const KNOWN_NAMES = "relay/known_names.ts";
const HEADER_LIST = "relay/header_list.ts";
const CHAT_TOPIC = "relay/chat_topic.ts";
const RUNTIME = "relay/runtime.ts";
const TOPICS = "relay/topics/";
const STORES = "relay/stores/";
const LINKS = "relay/links/";
const DELIVERY = "relay/delivery/";
const RIGHTS = "relay/rights/";
const LIMITS = "relay/limits/";
const METRICS = "relay/metrics/";
const LOGS = "relay/logs/";
const SECRETS = "relay/secrets/";
const TRACES = "relay/traces/";
const UPSTREAM = "relay/upstream/";
const SOURCES = "relay/sources/";
const GATEWAY = "relay/gateway/";
const DOORS = "relay/doors/";
const PAGE = "relay/doors/page/browser/";
const OPTIONS = "relay/options/";
const WIRING = "relay/wiring/";
const RELAY = "relay/relay.ts";
const STATUS = "relay/status/";
const CLIENT = "relay/client/";
const CHAT = "relay/chat/";
const WORKERS = "relay/workers/";
const COMMANDS = "relay/commands/";

/** The rooms that any code over fetch may import. */
const CORE = [FETCH, SSE];

/** The rooms that any code may import if a client's requests reach it. */
const COMMON = [
  RIGHTS,
  LIMITS,
  PROBLEM,
  CUT_ANSWER,
  GONE_SIGNAL,
  WRITE_CHUNK,
  FORWARDING,
  ISSUE_TEXT,
  SLICES,
  JSON_TEXT,
  HEADER_LIST,
];

/**
 * The rooms of the package, from the lowest up. A module belongs to the room with
 * the longest path that it is below; each has to belong to one.
 */
export const ROOMS: readonly Room[] = [
  {
    path: SSE,
    why: "turns text into events and events into text, without I/O",
    may: [],
  },
  {
    path: FETCH,
    why: "requests event streams, reconnects, and defines what a secret is",
    may: [SSE],
  },
  {
    path: MODEL,
    why: "asks language models, and knows each provider format",
    may: CORE,
  },
  {
    path: TESTING,
    why: "gives the tests of users a clock, a fetch and a provider",
    may: CORE,
  },
  { path: VERSION, why: "has the version of the package", may: [] },
  { path: "mod.ts", why: "exports the core's API", may: CORE },
  {
    path: CLIENT,
    why: "is the subscriber's library: it runs in browsers, without the relay",
    may: CORE,
  },
  { path: PROBLEM, why: "describes a refusal as HTTP does", may: [] },
  {
    path: CUT_ANSWER,
    why: "cuts off an answer that is not whole, as HTTP does",
    may: [],
  },
  {
    path: GONE_SIGNAL,
    why: "tells of a client that has its answer, or has left",
    may: [],
  },
  {
    path: ISSUE_TEXT,
    why: "says what a schema has refused, in one line",
    may: [],
  },
  {
    path: FORWARDING,
    why: "says what callers may ask sources and providers for",
    may: [],
  },
  {
    path: REST,
    why: "has the moments at which the runtime looks at its sockets",
    may: [],
  },
  {
    path: SLICES,
    why: "shares the time of the process among long pieces of work",
    may: [REST],
  },
  {
    path: MEMBERS,
    why: "has those that come and go with each request",
    may: [],
  },
  {
    path: LINE,
    why: "has those that wait, in order, and come and go with each event",
    may: [],
  },
  {
    path: JSON_TEXT,
    why: "looks through JSON text in steps",
    may: [],
  },
  {
    path: KNOWN_NAMES,
    why: "remembers what is known of the names of headers",
    may: [],
  },
  {
    path: HEADER_LIST,
    why: "holds the headers of a message",
    may: [KNOWN_NAMES],
  },
  {
    path: CHAT_TOPIC,
    why: "names the topics of chats: it runs in browsers, too",
    may: [],
  },
  {
    path: CHAT,
    why: "is the page's half of a chat of the AI SDK: it runs in browsers",
    may: [CLIENT, CHAT_TOPIC, MODEL, ...CORE],
  },
  {
    path: RUNTIME,
    why: "has what differs between Deno, Node and Bun",
    may: [],
  },
  {
    path: WRITE_CHUNK,
    why: "writes short chunks of an answer at the least cost",
    may: [RUNTIME],
  },
  {
    path: TOPICS,
    why:
      "has the topics, and the interface of their logs: it knows neither sources nor subscribers",
    may: CORE,
  },
  {
    path: LINKS,
    why: "speaks between relays of which one is the store of the other",
    may: [TOPICS, ...CORE],
  },
  {
    path: STORES,
    why: "keeps the events of topics, behind the interface of topics/",
    may: [TOPICS, LINKS, LINE, ...CORE],
  },
  {
    path: DELIVERY,
    why: "is the engine: it knows topics, and neither rights, limits nor doors",
    may: [TOPICS, SLICES, MEMBERS, LINE, MODEL, ...CORE],
  },
  {
    path: RIGHTS,
    why: "verifies tokens, and decides what they allow",
    may: [PROBLEM, ISSUE_TEXT, FETCH],
  },
  {
    path: LIMITS,
    why: "bounds what a client may cost",
    may: [RUNTIME, REST, MEMBERS, LINE, PROBLEM, FETCH],
  },
  {
    path: "relay/chat/server/",
    why: "is the server's half of a chat: it publishes turns, and makes tokens",
    may: [CHAT, CLIENT, RIGHTS, PROBLEM, CHAT_TOPIC, MODEL, ...CORE],
  },
  { path: LOGS, why: "writes lines for the operator", may: [FETCH] },
  {
    path: SECRETS,
    why:
      "takes secrets out of events and recordings: src/fetch/secrets/ defines them",
    may: CORE,
  },
  {
    path: TRACES,
    why: "makes spans for the operator",
    may: [HEADER_LIST],
  },
  {
    path: STATUS,
    why: "says how a relay is",
    may: [RUNTIME, VERSION, FETCH],
  },
  {
    path: METRICS,
    why: "counts for Prometheus, with labels from closed sets",
    may: [STORES, DELIVERY, STATUS, FETCH],
  },
  {
    path: UPSTREAM,
    why: "asks upstreams, for sources and for the gateway",
    may: [RUNTIME, LIMITS, HEADER_LIST, FETCH],
  },
  {
    path: SOURCES,
    why: "fills topics from outside",
    may: [
      UPSTREAM,
      TOPICS,
      LIMITS,
      PROBLEM,
      FORWARDING,
      ISSUE_TEXT,
      SLICES,
      JSON_TEXT,
      HEADER_LIST,
      METRICS,
      TRACES,
      ...CORE,
    ],
  },
  {
    path: GATEWAY,
    why: "connects a caller, a provider and a topic",
    may: [
      UPSTREAM,
      TOPICS,
      CHAT_TOPIC,
      MEMBERS,
      KNOWN_NAMES,
      ...COMMON,
      METRICS,
      TRACES,
      SECRETS,
      MODEL,
      ...CORE,
    ],
  },
  {
    path: DOORS,
    why: "are the ways in: HTTP, WebSocket, SSE",
    may: [
      GATEWAY,
      SOURCES,
      DELIVERY,
      LINKS,
      STATUS,
      TOPICS,
      RUNTIME,
      ...COMMON,
      ...CORE,
    ],
  },
  {
    path: PAGE,
    why: "is the relay's page: it runs in browsers, and files.ts is made of it",
    may: [CLIENT, ...CORE],
  },
  {
    path: OPTIONS,
    why: "has a row for each option: the other rooms say what a valid value is",
    may: [
      DOORS,
      GATEWAY,
      SOURCES,
      STORES,
      TOPICS,
      RIGHTS,
      ISSUE_TEXT,
      LOGS,
      FETCH,
    ],
  },
  {
    path: WIRING,
    why: "makes the parts of a relay, and has its topics filled",
    may: [
      OPTIONS,
      DOORS,
      GATEWAY,
      UPSTREAM,
      SOURCES,
      LINKS,
      STORES,
      TOPICS,
      RIGHTS,
      LIMITS,
      PROBLEM,
      METRICS,
      STATUS,
      TRACES,
      VERSION,
      FETCH,
    ],
  },
  {
    path: RELAY,
    why: "is a relay, from its start to its end",
    may: [WIRING, OPTIONS, TOPICS, PROBLEM, METRICS, STATUS, VERSION, FETCH],
  },
  {
    path: WORKERS,
    why: "has a relay consist of several processes: it starts and watches them",
    may: [
      RELAY,
      WIRING,
      OPTIONS,
      DOORS,
      STORES,
      TOPICS,
      LIMITS,
      PROBLEM,
      METRICS,
      STATUS,
      LOGS,
      RUNTIME,
      FETCH,
    ],
  },
  {
    path: "relay/mod.ts",
    why: "exports the API for embedding",
    may: [RELAY, WIRING, OPTIONS, SOURCES, STATUS, TOPICS, ...CORE],
  },
  {
    path: "relay/testing/",
    why: "has the tests that every store has to pass, for those who write one",
    may: [TOPICS, ...CORE],
  },
  {
    path: COMMANDS,
    why: "has the commands of the command line, one a file",
    may: [
      WORKERS,
      RELAY,
      CLIENT,
      LIMITS,
      PROBLEM,
      STATUS,
      OPTIONS,
      GATEWAY,
      SOURCES,
      STORES,
      TOPICS,
      RIGHTS,
      LOGS,
      RUNTIME,
      TESTING,
      MODEL,
      ...CORE,
      VERSION,
    ],
  },
  {
    path: "relay/main.ts",
    why: "starts the command line",
    may: [COMMANDS],
  },
];

/** Whether the table of rooms holds for a module: bench and tests may import anything. */
function isRuled(path: string): boolean {
  return /^(?:mod\.ts$|src\/|relay\/)/.test(path);
}

/**
 * Finds imports that a room may not have, and modules that are in no room.
 *
 * @param tree The modules.
 * @returns A failure for each, with its file and line.
 */
export function findWrongArrows({ modules, arrows }: Tree): string[] {
  const failures: string[] = [];
  for (const path of modules.keys()) {
    if (!isRuled(path)) continue;
    const room = roomOf(path);
    if (!room) {
      failures.push(`${path}:1: is in no room of .ci/structure/rooms.ts`);
      continue;
    }
    for (const { line, to } of arrows.get(path) ?? []) {
      const other = roomOf(to);
      if (other === room || other && room.may.includes(other.path)) continue;
      failures.push(`${path}:${line}: ${room.path} may not import ${to}`);
    }
  }
  return failures;
}

function roomOf(path: string): Room | undefined {
  const around = ROOMS.filter((room) =>
    room.path.endsWith("/") ? path.startsWith(room.path) : path === room.path
  );
  return around.sort((a, b) => b.path.length - a.path.length)[0];
}
