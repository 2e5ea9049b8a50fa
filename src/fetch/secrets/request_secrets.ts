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
}

/**
 * Finds the secrets of a request where requests have them: in the user and the
 * password of its URL, its query, its headers, and the fields of its body.
 *
 * @param request The request.
 * @returns The secrets, and the parts of them that are secrets themselves.
 */
export function secretsOf(
  { url, headers, body }: RequestWithSecrets,
): string[] {
  const found = new Set<string>();
  addUrl(found, url);
  for (const [name, value] of headers) {
    if (isSecretHeader(name, value)) add(found, value);
  }
  addFields(found, typeof body === "string" ? parsed(body) : body);
  return [...found];
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined; // other formats have no fields that are known
  }
}

function add(found: Set<string>, ...values: readonly string[]): void {
  for (const part of values.flatMap(partsOf)) found.add(part);
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

function addFields(found: Set<string>, body: unknown): void {
  // A stack, as a body may be nested more deeply than calls can be.
  const values: Found[] = [{ value: body, isHeaders: false, isSecret: false }];
  for (let next; (next = values.pop());) {
    const { value, isHeaders, isSecret } = next;
    if (typeof value === "string") {
      if (isSecret) add(found, value);
      else {
        if (isHeaders) addHeaderLines(found, value);
        const inner = innerJson(value);
        if (inner !== undefined) {
          values.push({ value: inner, isHeaders, isSecret: false });
        }
      }
      continue;
    }
    if (typeof value !== "object" || value === null) continue;
    if (isHeaders) addHeaderPair(found, value);
    const isList = Array.isArray(value);
    for (const [name, field] of Object.entries(value)) {
      if (isList) values.push({ value: field, isHeaders, isSecret });
      else {
        values.push(fieldOf(name, field, next));
        if (typeof field === "string" && isUrlField(name)) addUrl(found, field);
      }
    }
  }
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
