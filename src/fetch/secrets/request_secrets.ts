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

function addFields(found: Set<string>, body: unknown): void {
  // A stack, as a body may be nested more deeply than calls can be.
  const values: { readonly value: unknown; readonly isHeaders: boolean }[] = [
    { value: body, isHeaders: false },
  ];
  for (let next; (next = values.pop());) {
    const { value, isHeaders } = next;
    if (typeof value !== "object" || value === null) continue;
    for (const [name, field] of Object.entries(value)) {
      if (typeof field !== "string") {
        values.push({ value: field, isHeaders: isHeadersField(name) });
      } else if (
        isSecretField(name, field) || isHeaders && isSecretHeader(name, field)
      ) add(found, field);
      else if (isUrlField(name)) addUrl(found, field);
    }
  }
}
