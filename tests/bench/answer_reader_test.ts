// The reader of HTTP in the benches' generators, on input cut anywhere.
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { AnswerReader } from "../../bench/net/answer_reader.ts";
import {
  chunk,
  endOfRequest,
  LAST_CHUNK,
} from "../../bench/net/http_request.ts";
import { propertyParameters } from "../support/property.ts";

const START = "HTTP/1.1 200 OK\r\n";

/** Pushes a text in pieces, each in a buffer with other bytes behind it. */
function read(text: string, cuts: readonly number[]): string[] {
  const said: string[] = [];
  let [head, body] = ["", ""];
  const reader = new AnswerReader({
    onHead: (text) => head = text,
    onBody: (bytes, from, to) =>
      body += new TextDecoder().decode(bytes.subarray(from, to)),
    onEnd: () => {
      said.push(head + body);
      body = "";
    },
  });
  const bytes = new TextEncoder().encode(text);
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length]
    .sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    const buffer = new Uint8Array(end - from + 8).fill(0x0a);
    buffer.set(bytes.subarray(from, end));
    reader.push(buffer, end - from);
    from = end;
  }
  return said;
}

Deno.test("the benches read answers with a length and in chunks, however they are cut", () => {
  const answer = fc.record({
    parts: fc.array(fc.stringMatching(/^[\r\na-d]*$/), { maxLength: 5 }),
    isCounted: fc.boolean(),
    other: fc.constantFrom("", "X: \r\r\r\n", "Date: now\r\n"),
    trailer: fc.constantFrom("", "X: y\r\n"),
  });
  const answers = fc.array(answer, { minLength: 1, maxLength: 4 });
  const cuts = fc.array(fc.nat(), { maxLength: 30 });
  fc.assert(
    fc.property(answers, cuts, (answers, cuts) => {
      const written = answers.map(({ parts, isCounted, other, trailer }) => {
        const body = parts.join("");
        const head = isCounted
          ? `${START}${other}content-length: ${body.length}\r\n\r\n`
          : `${START}Transfer-Encoding: chunked\r\n${other}\r\n`;
        const chunks = parts.filter((part) => part !== "").map(chunk).join("");
        return {
          said: head + body,
          text: head + (isCounted ? body : `${chunks}0\r\n${trailer}\r\n`),
        };
      });
      const text = written.map(({ text }) => text).join("");
      assertEquals(read(text, cuts), written.map(({ said }) => said));
    }),
    propertyParameters(200),
  );
});

Deno.test("the benches find the end of a request with a length, and in chunks", () => {
  const counted = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
  const chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" +
    chunk("abc") + LAST_CHUNK;
  for (const request of [counted, chunked]) {
    assertEquals(endOfRequest(`${request}POST`), request.length);
    for (let end = 0; end < request.length; end++) {
      assertEquals(endOfRequest(request.slice(0, end)), Infinity);
    }
  }
});
