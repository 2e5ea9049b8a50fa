import { Buffer } from "node:buffer";
import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../problem.ts";
import { CLOSE_BRACKET, OPEN_BRACKET, QUOTE } from "../json_bytes.ts";
import { assertCheap } from "../json_cost.ts";
import { type Members, membersOf } from "./members.ts";

/** The client's request in a message `response.create`. */
export interface CreateMessage {
  /** Names responses that are made one after the other; others are made at once. */
  readonly lane: string | undefined;
  /** Whether no output is wanted: only what the next response goes on from is said. */
  readonly isWarmUp: boolean;
  /** The id of the response that this one goes on from. */
  readonly previousId: string | undefined;
  /** The fields, as they were written. */
  readonly members: Members;
  /** The items of `input`, as they were written, with commas between them. */
  readonly input: Uint8Array;
}

/** A longer name of a lane, or id, is refused. In UTF-16 code units. */
const MAX_NAME = 256;

/** The fields that are for the socket, and not for the response. */
const ENVELOPE: ReadonlySet<string> = new Set([
  "type",
  "stream_id",
  "generate",
]);

/** The fields that a POST gets in another form. */
const REPLACED: ReadonlySet<string> = new Set([
  "input",
  "previous_response_id",
  "stream",
]);

const NOTHING = new Uint8Array();

function invalid(detail: string, code = "invalid_message"): Problem {
  return new Problem(STATUS_CODE.BadRequest, code, detail);
}

/**
 * Reads a message of a client in steps.
 *
 * @throws {Problem} If it is no `response.create`, or takes too long to be read.
 */
export function* readCreateMessage(
  bytes: Uint8Array,
): Generator<void, CreateMessage> {
  yield* assertCheap(bytes);
  let members: Members;
  try {
    members = yield* membersOf(bytes);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw invalid("Expected an object of JSON with a type: response.create");
  }
  const type = valueOf(members, "type");
  if (type !== "response.create") {
    throw invalid(
      `Expected the type response.create, and got ${
        nameOf(type)
      }: the relay knows no other message here`,
      "unknown_type",
    );
  }
  return {
    lane: idIn(members, "stream_id"),
    isWarmUp: valueOf(members, "generate") === false,
    previousId: idIn(members, "previous_response_id"),
    members,
    input: inputOf(members.get("input")),
  };
}

/** Returns a message's type in words, of whatever kind it is. */
function nameOf(type: unknown): string {
  return typeof type === "string" ? `'${type.slice(0, 100)}'` : "none";
}

/** Returns the value of a short field; `undefined` if it is long, or no JSON. */
export function valueOf(members: Members, name: string): unknown {
  const bytes = members.get(name);
  if (!bytes || bytes.length > 6 * MAX_NAME + 2) return undefined;
  try {
    return JSON.parse(textOf(bytes));
  } catch {
    return undefined;
  }
}

function idIn(members: Members, name: string): string | undefined {
  if (!members.has(name)) return undefined;
  const value = valueOf(members, name);
  if (value === null) return undefined;
  const isId = typeof value === "string" && value !== "" &&
    value.length <= MAX_NAME && value.isWellFormed();
  if (isId) return value;
  throw invalid(
    `Expected ${name} to be a text of 1 to ${MAX_NAME} characters`,
  );
}

/** Returns the items of an input. A text is the content of a user's message. */
function inputOf(value: Uint8Array | undefined): Uint8Array {
  if (!value || value.length === 0) return NOTHING;
  if (value[0] === QUOTE) {
    return joined([
      Buffer.from('{"type":"message","role":"user","content":'),
      value,
      Buffer.from("}"),
    ]);
  }
  if (value[0] !== OPEN_BRACKET || value.at(-1) !== CLOSE_BRACKET) {
    return NOTHING; // such as null; the rest is the provider's to refuse
  }
  const items = value.subarray(1, -1);
  return items.some((byte) => byte > 0x20) ? items.slice() : NOTHING;
}

/**
 * Returns the body of a POST that makes the response.
 *
 * @param message The message.
 * @param earlier The items before its own, in pieces; `undefined` if the response that it
 * goes on from is the provider's to know.
 */
export function bodyOf(
  message: CreateMessage,
  earlier: readonly Uint8Array[] | undefined,
): Uint8Array<ArrayBuffer> {
  return objectOf(message, earlier, '"stream":true');
}

/** Returns the message for a provider that takes it over a WebSocket, as {@linkcode bodyOf} does. */
export function messageOf(
  message: CreateMessage,
  earlier: readonly Uint8Array[] | undefined,
): Uint8Array<ArrayBuffer> {
  return objectOf(message, earlier, '"type":"response.create"');
}

function objectOf(
  { members, input }: CreateMessage,
  earlier: readonly Uint8Array[] | undefined,
  first: string,
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [Buffer.from(`{${first}`)];
  const previous = members.get("previous_response_id");
  if (!earlier && previous) {
    parts.push(Buffer.from(',"previous_response_id":'), previous);
  }
  for (const [name, value] of members) {
    if (ENVELOPE.has(name) || REPLACED.has(name)) continue;
    parts.push(Buffer.from(`,${JSON.stringify(name)}:`), value);
  }
  const own = members.get("input");
  if (!earlier) {
    if (own) parts.push(Buffer.from(',"input":'), own);
  } else {
    parts.push(Buffer.from(',"input":['));
    [...earlier, input].filter(({ length }) => length > 0)
      .forEach((items, index) => {
        if (index > 0) parts.push(Buffer.from(","));
        parts.push(items);
      });
    parts.push(Buffer.from("]"));
  }
  parts.push(Buffer.from("}"));
  return joined(parts);
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}
