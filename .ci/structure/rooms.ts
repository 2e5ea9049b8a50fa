import type { Tree } from "./tree.ts";

/** A part of the code, and what it may know of. */
export interface Room {
  /** The path of a module, or of a folder with a slash at the end. */
  readonly path: string;
  /** Its purpose, and the reason for its limits where they are not plain. */
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
const TOPICS = "relay/topics/";
const STORES = "relay/stores/";
const DELIVERY = "relay/delivery/";
const RIGHTS = "relay/rights/";
const LIMITS = "relay/limits/";
const METRICS = "relay/metrics/";
const LOGS = "relay/logs/";
const SECRETS = "relay/secrets/";
const TRACES = "relay/traces/";
const SOURCES = "relay/sources/";
const GATEWAY = "relay/gateway/";
const DOORS = "relay/doors/";
const OPTIONS = "relay/options/";
const RELAY = "relay/relay.ts";
const COMMANDS = "relay/commands/";

/** What any code over fetch may import. */
const CORE = [FETCH, SSE];

/** What any code that a client's requests reach may import. */
const COMMON = [RIGHTS, LIMITS, PROBLEM, CUT_ANSWER];

/**
 * The rooms of the package, from the lowest up. A module belongs to the room with
 * the longest path that it is below; each has to belong to one.
 */
export const ROOMS: readonly Room[] = [
  { path: SSE, why: "text to events and back, without I/O", may: [] },
  { path: FETCH, why: "requests that answer with events", may: [SSE] },
  { path: MODEL, why: "language models over fetch", may: CORE },
  {
    path: TESTING,
    why: "doubles for tests of users: they stand in for what fetch reaches",
    may: CORE,
  },
  { path: VERSION, why: "the version of the package", may: [] },
  { path: "mod.ts", why: "the core's API", may: CORE },
  {
    path: "relay/client/",
    why: "the subscriber's library: it runs in browsers, without the relay",
    may: CORE,
  },
  { path: PROBLEM, why: "a refusal, as HTTP has it", may: [] },
  {
    path: CUT_ANSWER,
    why: "an answer that is not whole, as HTTP has it",
    may: [],
  },
  {
    path: TOPICS,
    why: "topics and their logs: they know nobody that fills or reads them",
    may: CORE,
  },
  {
    path: STORES,
    why: "where topics live, behind the interfaces of topics/",
    may: [TOPICS, ...CORE],
  },
  {
    path: DELIVERY,
    why: "the engine: it knows topics, and neither rights, limits nor doors",
    may: [TOPICS, MODEL, ...CORE],
  },
  { path: RIGHTS, why: "tokens, and what they allow", may: [PROBLEM, FETCH] },
  {
    path: LIMITS,
    why: "what a client may cost",
    may: [PROBLEM, FETCH],
  },
  { path: LOGS, why: "lines for the operator", may: [FETCH] },
  {
    path: SECRETS,
    why:
      "what the relay does with secrets: src/fetch/secrets/ says what they are",
    may: CORE,
  },
  { path: TRACES, why: "spans for the operator", may: [] },
  {
    path: METRICS,
    why: "numbers for Prometheus, and the sets of words that they are told by",
    may: [DELIVERY, FETCH],
  },
  {
    path: SOURCES,
    why: "what fills topics from outside",
    may: [TOPICS, LIMITS, METRICS, TRACES, ...CORE],
  },
  {
    path: GATEWAY,
    why: "a caller, a provider, a topic",
    may: [TOPICS, ...COMMON, METRICS, TRACES, SECRETS, MODEL, ...CORE],
  },
  {
    path: DOORS,
    why: "the ways in: HTTP, WebSocket, SSE",
    may: [GATEWAY, SOURCES, DELIVERY, TOPICS, ...COMMON, ...CORE],
  },
  {
    path: OPTIONS,
    why: "the options of a relay: their rooms say what a valid one is",
    may: [DOORS, GATEWAY, SOURCES, TOPICS, RIGHTS, LOGS, FETCH],
  },
  {
    path: RELAY,
    why: "wires the rooms to each other",
    may: [
      OPTIONS,
      DOORS,
      GATEWAY,
      SOURCES,
      STORES,
      TOPICS,
      RIGHTS,
      LIMITS,
      METRICS,
      VERSION,
      FETCH,
    ],
  },
  {
    path: "relay/mod.ts",
    why: "the API for embedding",
    may: [RELAY, OPTIONS, SOURCES, TOPICS, ...CORE],
  },
  {
    path: COMMANDS,
    why: "the commands of the command line, one a file",
    may: [
      RELAY,
      OPTIONS,
      GATEWAY,
      SOURCES,
      TOPICS,
      RIGHTS,
      LOGS,
      TESTING,
      MODEL,
      ...CORE,
      VERSION,
    ],
  },
  {
    path: "relay/main.ts",
    why: "the command line's process",
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
