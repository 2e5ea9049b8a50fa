import { assert, assertEquals } from "@std/assert";

/** The answer to a refused peer. */
export interface RawProblem {
  readonly status: number;
  readonly code: string;
  readonly headers: Headers;
}

/** Reads an answer of which every byte is there, and which has to be a problem. */
export function readProblem(text: string): RawProblem {
  const [head = "", body = ""] = text.split("\r\n\r\n");
  const [line = "", ...fields] = head.split("\r\n");
  const headers = new Headers(fields.map((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon), field.slice(colon + 1).trim()];
  }));
  assertEquals(headers.get("content-type"), "application/problem+json", text);
  assertEquals(headers.get("content-length"), `${body.length}`, text);
  const { status, code, title, detail } = JSON.parse(body);
  assert(title !== "" && detail !== "", body);
  assertEquals(line, `HTTP/1.1 ${status} ${title}`);
  return { status, code, headers };
}
