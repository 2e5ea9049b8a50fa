import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { Problem } from "../problem.ts";
import { type After, parseAfter } from "../topics/position.ts";
import { queryValue } from "./query_value.ts";

/** The ways in which a topic is read. */
export const READING_DOORS = ["websocket", "stream", "page"] as const;

/** A way in which a topic is read. */
export type ReadingDoor = typeof READING_DOORS[number];

/** The modes of a subscription. */
export const MODES = ["all", "merge", "latest"] as const;

/** The most events of a page. */
export const MAX_PAGE = 1_000;

/** One parameter of a subscription. */
interface Parameter {
  /** Accepts the value in a message's JSON. */
  readonly schema: z.ZodType;
  /** Turns the text in a query into such a value; text that is none stays text. */
  readonly fromText: (text: string) => unknown;
  /** The expected value, in words. */
  readonly expected: string;
  /** The code of a refusal; in a message every refusal is `invalid_message`. */
  readonly code: string;
  /** The doors that take it. */
  readonly takenBy: readonly ReadingDoor[];
  /** The doors that refuse it by its name; others ignore it. */
  readonly refusedBy?: readonly ReadingDoor[];
  /** The text that is not refused: it asks for what these doors do anyway. */
  readonly harmless?: string;
  /** A header that goes before the query. */
  readonly header?: {
    readonly name: string;
    readonly readBy: readonly ReadingDoor[];
    read(text: string): unknown;
  };
}

/** Accepts a position, `start` or `now`. */
const position = z.string().transform((text, context): After => {
  const after = parseAfter(text);
  if (after !== undefined) return after;
  context.addIssue({ code: "custom" });
  return z.NEVER;
});

/** An id that no relay gave is a position of another log. */
const FOREIGN: After = { epoch: "", offset: 1 };

function asIs(text: string): string {
  return text;
}

function asNumber(text: string): unknown {
  return /^[0-9]{1,16}$/.test(text) ? Number(text) : text;
}

/** Reads a flag of a query; returns any other text as it is, to be refused. */
export function asFlag(text: string): unknown {
  if (text === "" || text === "true") return true;
  return text === "false" ? false : text;
}

/** Every parameter, once: a new one is a row. */
const PARAMETERS = {
  after: {
    schema: position,
    fromText: asIs,
    expected: "<epoch>:<offset>, 'start' or 'now'",
    code: "invalid_position",
    takenBy: ["websocket", "stream", "page"],
    // A reconnecting EventSource repeats its URL: the header has what it has read since.
    header: {
      name: "last-event-id",
      readBy: ["stream"],
      read: (text) => parseAfter(text) ?? FOREIGN,
    },
  },
  mode: {
    schema: z.enum(MODES),
    fromText: asIs,
    expected: "'all', 'merge' or 'latest'",
    code: "invalid_mode",
    takenBy: ["websocket"],
    refusedBy: ["stream"],
    harmless: "all",
  },
  window: {
    schema: z.int().positive(),
    fromText: asNumber,
    expected: "a number of bytes, 1 at least",
    code: "invalid_window",
    takenBy: ["websocket"],
    refusedBy: ["stream"],
  },
  snapshot: {
    schema: z.boolean(),
    fromText: asFlag,
    expected: "true or false",
    code: "invalid_snapshot",
    takenBy: ["websocket"],
    refusedBy: ["stream"],
  },
  stay: {
    schema: z.boolean(),
    fromText: asFlag,
    expected: "true or false",
    code: "invalid_query",
    takenBy: ["websocket", "stream"],
  },
  wait: {
    schema: z.boolean(),
    fromText: asFlag,
    expected: "true or false",
    code: "invalid_query",
    takenBy: ["websocket", "stream"],
  },
  active: {
    schema: z.boolean(),
    fromText: asFlag,
    expected: "true or false",
    code: "invalid_query",
    takenBy: ["stream"],
  },
  raw: {
    schema: z.boolean(),
    fromText: () => true, // whatever stands behind it
    expected: "there or not",
    code: "invalid_query",
    takenBy: ["stream"],
  },
  limit: {
    schema: z.int().min(1).max(MAX_PAGE),
    fromText: asNumber,
    expected: `a number of events from 1 to ${MAX_PAGE}`,
    code: "invalid_query",
    takenBy: ["page"],
  },
} as const satisfies Readonly<Record<string, Parameter>>;

type Parameters = typeof PARAMETERS;

type ParameterName = keyof Parameters;

/** The parameters that a door takes. */
type TakenBy<Door extends ReadingDoor> = {
  [Name in ParameterName]: Door extends Parameters[Name]["takenBy"][number]
    ? Name
    : never;
}[ParameterName];

/** The parameters of a subscription, as a door takes them. */
export type SubscriptionParameters<Door extends ReadingDoor> = {
  readonly [Name in TakenBy<Door>]?:
    | z.output<Parameters[Name]["schema"]>
    | undefined;
};

/** A subscription through a WebSocket, whether a message or a URL asks for it. */
export interface SubscribeRequest extends SubscriptionParameters<"websocket"> {
  /** The name of the topic. */
  readonly topic: string;
}

const ROWS: readonly (readonly [string, Parameter])[] = Object.entries(
  PARAMETERS,
);

/** The longest part of a wrong value that a refusal quotes, in UTF-16 code units. */
const QUOTED = 100;

/** Returns the start of a value as JSON: of what is nested, its kind, as it may be nested without end. */
function quote(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  const text = typeof value === "string" ? value.slice(0, QUOTED) : value;
  return `${JSON.stringify(text)}`.slice(0, QUOTED);
}

function isTaken(row: Parameter, door: ReadingDoor): boolean {
  return row.takenBy.includes(door);
}

function expectation(name: string, { expected }: Parameter, value: unknown) {
  const got = quote(value);
  return `Expected ${name} to be ${expected}: got ${got}`;
}

function refuse(code: string, detail: string): never {
  throw new Problem(STATUS_CODE.BadRequest, code, detail);
}

/** Returns the names of the parameters that a door takes. */
export function parametersOf(door: ReadingDoor): string[] {
  return ROWS.filter(([, row]) => isTaken(row, door)).map(([name]) => name);
}

/**
 * Reads the parameters of a subscription from a request.
 *
 * @param door The door that the request is at.
 * @param query The query of its URL.
 * @param headers Its headers, for a door that reads one of them.
 * @throws {Problem} 400 If a parameter is wrong or repeated, or this door refuses it.
 */
export function readQuery<Door extends ReadingDoor>(
  door: Door,
  query: URLSearchParams,
  headers?: Headers,
): SubscriptionParameters<Door> {
  const values: Record<string, unknown> = {};
  for (const [name, row] of ROWS) {
    const isRefused = row.refusedBy?.includes(door);
    if (!isTaken(row, door) && !isRefused) continue;
    const text = queryValue(query, name);
    if (!isRefused) {
      if (text !== null) values[name] = readText(name, row, text);
      const said = row.header?.readBy.includes(door) &&
        headers?.get(row.header.name);
      if (said) values[name] = row.header?.read(said);
    } else if (text !== null && text !== row.harmless) {
      refuse(
        "unsupported",
        `Expected no ${name} of an event stream: use a WebSocket for it`,
      );
    }
  }
  // Each value comes from the schema of its name.
  return values as SubscriptionParameters<Door>;
}

function readText(name: string, row: Parameter, text: string): unknown {
  const parsed = row.schema.safeParse(row.fromText(text));
  if (parsed.success) return parsed.data;
  return refuse(row.code, expectation(name, row, text));
}

/** The fields of the message `subscribe`, beside its topic. */
export const subscriptionFields = Object.fromEntries(
  ROWS.filter(([, row]) => isTaken(row, "websocket"))
    .map(([name, { schema }]) => [name, schema.optional()]),
  // The rows are those of the table, which the type is made from.
) as {
  [Name in TakenBy<"websocket">]: z.ZodOptional<Parameters[Name]["schema"]>;
};

/**
 * Says what is wrong with a field of the message `subscribe`.
 *
 * @param name The name of the field.
 * @param value Its value.
 * @returns `undefined` if it is not a parameter of a subscription.
 */
export function explainField(
  name: unknown,
  value: unknown,
): string | undefined {
  const row = ROWS.find(([known]) => known === name);
  return row && expectation(...row, value);
}

/** Returns the name in a path; a name that cannot be decoded is no topic's, and stays as it is. */
export function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}
