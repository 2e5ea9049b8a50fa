// This module is browser compatible.
import { type Fields, isFields } from "../wires/event_data.ts";
import { delayIn, delayInWords } from "./said_delay.ts";

/** An error as a provider says it, whatever the shape. */
export interface SaidError {
  /** Its codes, kinds and reasons, the innermost first; none is empty. */
  readonly names: readonly string[];
  /** Its code, or the kind where it has no code. */
  readonly code: string | undefined;
  /** The kind of error, by the provider's name for it. */
  readonly type: string | undefined;
  /** The status code of HTTP that it names. */
  readonly status: number | undefined;
  /** The words; `""` if there are none. */
  readonly message: string;
  /** The parameter that is to blame. */
  readonly param: string | undefined;
  /** The id of the request. */
  readonly requestId: string | undefined;
  /** The delay that is asked for, in milliseconds. */
  readonly delay: number | undefined;
}

const NOTHING: SaidError = {
  names: [],
  code: undefined,
  type: undefined,
  status: undefined,
  message: "",
  param: undefined,
  requestId: undefined,
  delay: undefined,
};

/** The depth to which an error may be wrapped: gateways wrap the errors of gateways. */
const DEEPEST = 6;

/** Words that only say that the error is another's. */
const EMPTY_WORDS = /^(?:provider returned error|upstream error|error)\.?$/i;

/** Types that are those of an event, or links. */
const NO_KIND = /^(?:error$|response\.|about:|https?:)/;

/** Fields that hold the error, from the innermost shape to the outermost. */
const WRAPPERS = ["error", "errors", "response", "detail", "message"] as const;

const CODES = ["code", "errorCode", "error_code", "__type"];
const STATUSES = ["status_code", "statusCode", "status", "http_status", "code"];
const WORDS = [
  ...["message", "Message", "msg", "detail", "error_description"],
  ...["description", "errorMessage", "title"],
];
const REQUEST_IDS = ["request_id", "requestId", "RequestId"];

/**
 * Reads an error in any shape that providers are known to use:
 * `{"error": {...}}`, `{"error": "..."}`, `{"detail": ...}`, `{"code", "message"}`,
 * `{"errors": [...]}`, a list with one of these, JSON in a string, a text.
 *
 * @param value The error, parsed.
 * @param now The time, in milliseconds since the epoch, for waits until a date.
 * @returns The parts of it.
 */
export function readSaidError(value: unknown, now: number): SaidError {
  const said = typeof value === "number"
    ? { ...NOTHING, message: `${value}` }
    : read(value, now, DEEPEST);
  return {
    ...said,
    code: said.code ?? said.type,
    delay: said.delay ?? delayInWords(said.message),
  };
}

function read(value: unknown, now: number, levels: number): SaidError {
  if (levels === 0) return NOTHING;
  if (typeof value === "string") return readText(value, now, levels);
  if (Array.isArray(value)) return readList(value, now, levels);
  return isFields(value) ? readFields(value, now, levels) : NOTHING;
}

function readText(text: string, now: number, levels: number): SaidError {
  if (/^\s*[[{]/.test(text)) {
    try {
      const said = read(JSON.parse(text), now, levels - 1);
      if (said.message !== "" || said.names.length > 0) return said;
    } catch {
      // No JSON after all: these are the words.
    }
  }
  return { ...NOTHING, message: text };
}

function readList(
  list: readonly unknown[],
  now: number,
  levels: number,
): SaidError {
  const all = list.slice(0, 3).map((one) => read(one, now, levels - 1))
    .filter(({ message, names }) => message !== "" || names.length > 0);
  const [first = NOTHING] = all;
  const messages = all.map(({ message }) => message).filter(Boolean);
  return { ...first, message: messages.join("; ") };
}

function readFields(fields: Fields, now: number, levels: number): SaidError {
  const inner = readInner(fields, now, levels);
  const type = kindIn(fields);
  const code = nameIn(fields, CODES);
  const words = wordsIn(fields, inner);
  const names = [
    ...inner.names,
    ...[code, type, textIn(fields, ["status"]), ...reasonsIn(fields)],
  ].filter((name) => name !== undefined);
  return {
    names,
    code: inner.code ?? code,
    type: inner.type ?? type,
    status: inner.status ?? statusIn(fields),
    message: words,
    param: inner.param ?? paramIn(fields),
    requestId: inner.requestId ?? textIn(fields, REQUEST_IDS),
    delay: inner.delay ?? delayIn(fields, now),
  };
}

/** The error that is wrapped in another. */
function readInner(fields: Fields, now: number, levels: number): SaidError {
  // OpenRouter: what the provider behind it has said, as JSON in a string.
  const raw = isFields(fields.metadata) ? fields.metadata.raw : undefined;
  if (raw) return read(raw, now, levels - 1);
  for (const name of WRAPPERS) {
    const value = fields[name];
    const isWrapped = typeof value === "object" && value !== null ||
      name === "error" && typeof value === "string";
    if (!isWrapped) continue;
    const said = read(value, now, levels - 1);
    if (said.message !== "" || said.names.length > 0) return said;
  }
  return NOTHING;
}

function wordsIn(fields: Fields, inner: SaidError): string {
  const own = textIn(fields, WORDS) ?? "";
  // `{"error": "invalid_grant", "error_description": "..."}`: the name, and the words.
  if (typeof fields.error === "string" && own !== "") return own;
  if (own === "" || inner.message === "" || EMPTY_WORDS.test(own)) {
    return inner.message || own;
  }
  return isFields(fields.metadata) && fields.metadata.raw
    ? `${own}: ${inner.message}`
    : inner.message;
}

/** The kind of an error; that it is one is no kind. */
function kindIn(fields: Fields): string | undefined {
  const type = textIn(fields, ["type", "error_type"]);
  return NO_KIND.test(type ?? "") ? undefined : type;
}

function statusIn(fields: Fields): number | undefined {
  for (const name of STATUSES) {
    const status = Number(fields[name] || NaN);
    if (status >= 100 && status < 600) return status;
  }
  return undefined;
}

/** Google's reasons, which are in a list of details. */
function reasonsIn({ details }: Fields): (string | undefined)[] {
  if (!Array.isArray(details)) return [];
  return details.slice(0, 10).filter(isFields).map((detail) =>
    textIn(detail, ["reason"])
  );
}

function paramIn(fields: Fields): string | undefined {
  const param = textIn(fields, ["param", "field"]);
  if (param !== undefined) return param;
  const { loc, details } = fields;
  // FastAPI: `["body", "messages", 0]`.
  if (Array.isArray(loc)) {
    const path = loc.filter((step) => step !== "body").slice(0, 10).join(".");
    return path || undefined;
  }
  if (!Array.isArray(details)) return undefined;
  // Google: the violations of a bad request.
  for (const detail of details.slice(0, 10)) {
    const violations = isFields(detail) ? detail.fieldViolations : undefined;
    const [first]: unknown[] = Array.isArray(violations) ? violations : [];
    if (isFields(first)) return textIn(first, ["field"]);
  }
  return undefined;
}

/** Returns the first of these fields that has a text. */
function textIn(
  fields: Fields,
  names: readonly string[],
): string | undefined {
  for (const name of names) {
    const value = fields[name];
    if (typeof value === "string" && value !== "") return value;
  }
  return undefined;
}

/** The same, of names that some write as numbers. */
function nameIn(
  fields: Fields,
  names: readonly string[],
): string | undefined {
  for (const name of names) {
    const value = fields[name];
    if (typeof value === "number") return String(value);
    const text = textIn(fields, [name]);
    if (text !== undefined) return text;
  }
  return undefined;
}
