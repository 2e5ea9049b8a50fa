// This module is browser compatible.
import {
  isHeadersField,
  isSecretField,
  isSecretHeader,
  isSecretName,
  isSecretShape,
  isUrlField,
  partsOf,
} from "./definition.ts";
import { decodedForms, queryFields } from "./urls.ts";

/** A request, which may hold secrets. */
export interface RequestWithSecrets {
  /** Its URL, or its path with its query. */
  readonly url: string;
  /** Its headers. */
  readonly headers: Iterable<readonly [string, string]>;
  /** Its body: JSON, or the value that it stands for. */
  readonly body?: unknown;
  /** The secrets that were found in its body before, in place of the body. */
  readonly found?: readonly string[];
}

/**
 * Finds the secrets of a request where requests have them: in the user and the
 * password of its URL, its query, its headers, and the fields of its body.
 *
 * @param request The request.
 * @returns The secrets, and the parts of them that are secrets themselves.
 */
export function secretsOf(
  { url, headers, body, found: known = [] }: RequestWithSecrets,
): string[] {
  const found = new Set<string>(known);
  addUrl(found, url);
  for (const [name, value] of headers) {
    if (isSecretHeader(name, value)) add(found, value);
  }
  const steps = addFields(
    found,
    typeof body === "string" ? parsed(body) : body,
  );
  while (!steps.next().done);
  return [...found];
}

/**
 * Finds the secrets in the body of a request, in steps: a body of 16 MiB takes longer
 * than others should wait.
 *
 * @param body The value that the body stands for.
 * @returns The secrets, and the parts of them that are secrets themselves.
 */
export function* secretsOfBody(body: unknown): Generator<void, string[]> {
  const found = new Set<string>();
  yield* addFields(found, body);
  return [...found];
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined; // other formats have no fields that are known
  }
}

/** The most secrets of a request: an answer is looked through for each of them. */
const MAX_SECRETS = 1_000;

/** A longer text is no secret: what it consists of is not looked for. In UTF-16 code units. */
const MAX_SECRET = 64 * 1024;

function add(found: Set<string>, ...values: readonly string[]): void {
  for (const value of values) {
    if (value.length > MAX_SECRET) continue;
    for (const part of partsOf(value)) {
      if (found.size >= MAX_SECRETS) return;
      found.add(part);
    }
  }
}

function addUrl(found: Set<string>, url: string): void {
  for (const { name, value } of queryFields(url)) {
    if (isSecretName(name) || isSecretShape(value)) {
      add(found, ...decodedForms(value));
    }
  }
  if (!URL.canParse(url)) return;
  const { username, password } = new URL(url);
  add(found, ...decodedForms(username), ...decodedForms(password));
}

/** A value within a body, and what the names on the way to it say of it. */
interface Found {
  readonly value: unknown;
  /** Whether it is, or belongs to, headers. */
  readonly isHeaders: boolean;
  /** Whether every text in it is a secret. */
  readonly isSecret: boolean;
}

/** The longest text that is read as JSON within JSON, in UTF-16 code units. */
const MAX_INNER = 256 * 1024;

/** RFC 9110, section 5.6.2. */
const HEADER_LINE = /^([!#$%&'*+.^`|~\w-]+):(.*)$/;

/** The work of a step: the values that are looked at. */
const STEP = 64;

/** The same for the items of a list, most of which are nothing to look at. */
const ITEMS = 8 * 1024;

function* addFields(
  found: Set<string>,
  body: unknown,
): Generator<void, void> {
  let worked = 0;
  // A stack, as a body may be nested more deeply than calls can be.
  const values: Found[] = [{ value: body, isHeaders: false, isSecret: false }];
  for (let next; (next = values.pop());) {
    if (++worked % STEP === 0) yield;
    const { value, isHeaders, isSecret } = next;
    if (typeof value === "string") {
      if (isSecret) add(found, value);
      else {
        if (isHeaders) addHeaderLines(found, value);
        const inner = innerJson(value);
        if (inner !== undefined) {
          values.push({ value: inner, isHeaders, isSecret: false });
          yield;
        }
      }
      continue;
    }
    if (typeof value !== "object" || value === null) continue;
    if (isHeaders) addHeaderPair(found, value);
    if (Array.isArray(value)) {
      let looked = 0;
      for (const item of value) {
        if (mayHold(item)) values.push({ value: item, isHeaders, isSecret });
        if (++looked % ITEMS === 0) yield;
      }
      continue;
    }
    for (const [name, field] of Object.entries(value)) {
      if (mayHold(field)) values.push(fieldOf(name, field, next));
      if (typeof field === "string" && isUrlField(name)) addUrl(found, field);
      if (++worked % STEP === 0) yield;
    }
  }
}

/** Whether a value may have a secret in it: numbers are none. */
function mayHold(value: unknown): boolean {
  return typeof value === "string" ||
    typeof value === "object" && value !== null;
}

function fieldOf(name: string, value: unknown, within: Found): Found {
  const isHeaders = within.isHeaders || isHeadersField(name);
  if (within.isSecret) return { value, isHeaders, isSecret: true };
  if (within.isHeaders) {
    const isSecret = isSecretHeader(
      name,
      typeof value === "string" ? value : "",
    );
    return { value, isHeaders, isSecret };
  }
  // A schema has objects under the same names: they describe a secret, and are none.
  const isSecret = Array.isArray(value)
    ? value.some((item) => isSecretField(name, item))
    : isSecretField(name, value);
  return { value, isHeaders, isSecret };
}

/** Adds the secrets of headers that are written in lines. */
function addHeaderLines(found: Set<string>, text: string): void {
  for (const line of text.split(/\r?\n/)) {
    const [, name, value] = HEADER_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    if (isSecretHeader(name, value)) add(found, value);
  }
}

/** Adds the secret of a header that is written as a pair: `[name, value]`, or with these names. */
function addHeaderPair(found: Set<string>, pair: object): void {
  const [name, value] = Array.isArray(pair) ? pair : [
    "name" in pair ? pair.name : "key" in pair ? pair.key : undefined,
    "value" in pair ? pair.value : undefined,
  ];
  if (typeof name !== "string" || typeof value !== "string") return;
  if (isSecretHeader(name, value)) add(found, value);
}

/** Returns what a text stands for that is JSON itself, as the arguments of a tool are. */
function innerJson(text: string): unknown {
  return text.length <= MAX_INNER && /^\s*[{[]/.test(text)
    ? parsed(text)
    : undefined;
}
