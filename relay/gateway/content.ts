import { STATUS_CODE } from "@std/http/status";
import { secretsOfBody } from "../../src/fetch/secrets/request_secrets.ts";
import { isFields } from "../../src/model/wires/event_data.ts";
import { Problem } from "../problem.ts";
import { atOnce } from "../slices.ts";
import { sessionInBody } from "./agents/session.ts";
import { assertCheap } from "./json_cost.ts";
import { parseJson, skipSpace } from "./json_steps.ts";
import { MAX_NAME, mayRefer, referencesIn } from "./references.ts";

/** A body of at most this many bytes is read in one go. */
export const SMALL = 64 * 1024;

/** The bytes that are looked at in a step. */
const STEP = 64 * 1024;

/** A byte order mark, one of which may begin a body. */
const BOM = [0xEF, 0xBB, 0xBF];

const BRACE = 0x7B;

/** A longer string is neither a name, nor an id, nor a secret, nor looked for secrets in. In bytes. */
const MAX_STRING = 512 * 1024;

/** The facts of a body of JSON that the relay needs. */
export interface Content {
  /** The bytes, without the codings that they came in. */
  readonly bytes: Uint8Array;
  /** Whether the body asks for a stream. */
  readonly isStream: boolean;
  /**
   * The paths of everything in the request that its provider has kept from
   * before; `undefined` for a body that the relay cannot read as its provider
   * may.
   */
  readonly references: readonly string[] | undefined;
  /** Returns the secrets in the body. */
  secrets(): readonly string[];
  /** Returns the name of the model, if the body has one. */
  model(): string | undefined;
  /** The session of the agent, if the body asks for a stream and has one. */
  readonly session: string | undefined;
}

/** A longer text is not the name of a model. In UTF-16 code units. */
const MAX_MODEL = 256;

/** Options of {@linkcode readContent}. */
export interface ReadContentOptions {
  /** Whether the request makes a run: it may name files and the like. */
  readonly isRun: boolean;
  /** Whether the body came in a coding: what others decode must not be hidden from the relay. */
  readonly isCoded: boolean;
}

/**
 * Reads a body of JSON, in steps: it is parsed once, and only if it may have
 * something in it that the relay needs to know.
 *
 * @param bytes The body.
 * @param options The destination of the request, and its origin.
 * @throws {Problem} 413 `body_too_large` if it takes too long to be parsed; 400
 * `invalid_body` if it came in a coding, and is not JSON.
 */
export function* readContent(
  bytes: Uint8Array,
  { isRun, isCoded }: ReadContentOptions,
): Generator<void, Content> {
  yield* assertCheap(bytes);
  const json = BOM.every((byte, at) => bytes[at] === byte)
    ? bytes.subarray(BOM.length)
    : bytes;
  const { mayStream, refers, isReadable } = yield* lookThrough(json);
  const isLong = bytes.length > SMALL;
  let value: unknown;
  if (isCoded || isLong || mayStream || refers) {
    try {
      value = yield* parseJson(json, { maxString: MAX_STRING });
    } catch {
      // The provider will say what is wrong with it.
      if (isCoded) throw notJson();
    }
  }
  let references: readonly string[] | undefined;
  if (isReadable && !refers) references = [];
  else if (isReadable && value !== undefined) {
    references = yield* referencesIn(json, value, isRun);
  }
  // Most requests have no use for these: what is small is parsed when they are asked for.
  const found = isLong
    ? {
      secrets: yield* secretsOfBody(value),
      model: modelIn(value),
    }
    : undefined;
  // Of a body that was not parsed, nothing becomes a stream.
  const session = sessionInBody(value);
  return {
    bytes,
    isStream: isFields(value) && value.stream === true,
    references,
    secrets: () => found?.secrets ?? atOnce(secretsOfBody(valueOf(bytes))),
    model: () => found ? found.model : modelIn(valueOf(bytes)),
    session,
  };
}

/** Parses a body that is small; `undefined` if it is not JSON. */
function valueOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined; // the provider will say what is wrong with it
  }
}

function modelIn(value: unknown): string | undefined {
  if (!isFields(value)) return undefined;
  const { model } = value;
  const isName = typeof model === "string" && model.length <= MAX_MODEL;
  return isName ? model : undefined;
}

/** The length of the longest name that is looked for, with its quotes. */
const OVERLAP = MAX_NAME + '""'.length;

/** The facts of a body that can be found without parsing it. */
interface Look {
  /** Whether it may ask for a stream. */
  readonly mayStream: boolean;
  /** Whether it may name something at the provider. */
  readonly refers: boolean;
  /** Whether it may be an object of JSON. */
  readonly isReadable: boolean;
}

/** Looks for what makes it worth to parse a body. */
function* lookThrough(json: Uint8Array): Generator<void, Look> {
  let decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let mayStream = false;
  let refers = false;
  let isReadable = json[yield* skipSpace(json, 0)] === BRACE;
  let before = "";
  for (let at = 0; at < json.length; at += STEP) {
    const bytes = json.subarray(at, at + STEP);
    const isLast = at + STEP >= json.length;
    let text: string;
    try {
      text = decoder.decode(bytes, { stream: !isLast });
    } catch {
      isReadable = false; // it is no UTF-8
      decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      text = decoder.decode(bytes, { stream: !isLast });
    }
    const piece = before + text;
    // Another spelling of a name has an escape.
    mayStream ||= piece.includes('"stream"') || piece.includes("\\u");
    refers ||= mayRefer(piece, isLast);
    // A NUL is in no JSON, and in all of UTF-16.
    if (text.includes("\0")) isReadable = false;
    before = piece.slice(-OVERLAP);
    yield;
  }
  return { mayStream, refers, isReadable };
}

function notJson(): Problem {
  return new Problem(
    STATUS_CODE.BadRequest,
    "invalid_body",
    "Expected a body of JSON, once its Content-Encoding is decoded",
  );
}
