import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Content,
  readContent,
  SMALL,
} from "../../../relay/gateway/content.ts";
import { Problem } from "../../../relay/problem.ts";
import { atOnce } from "../../../relay/slices.ts";

const MIB = 1_024 * 1_024;

/** A filler that makes a body longer than one that is read at once. */
const FILLER = "x".repeat(2 * SMALL);

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function read(body: Uint8Array | string, isCoded = false): Content {
  const bytes = typeof body === "string" ? bytesOf(body) : body;
  return atOnce(readContent(bytes, { isRun: true, isCoded }));
}

/** The facts of a body, each of which is found in a short one and in a long one. */
const BODIES: Readonly<
  Record<string, readonly [fields: string, facts: Partial<Facts>]>
> = {
  "a stream": ['"stream":true', { isStream: true }],
  "no stream": ['"stream":false', {}],
  "a stream by another name": [String.raw`"str\u0065am":true`, {
    isStream: true,
  }],
  "a stream within": ['"a":{"stream":true}', {}],
  "the last of two": ['"stream":true,"stream":1', {}],
  "a reference": ['"previous_response_id":"resp_1"', {
    references: ["responses/resp_1"],
  }],
  "one behind spaces": [`"conversation"${" ".repeat(100)}:"c"`, {
    references: ["conversations/c"],
  }],
  "a prompt whose colon is far away": [
    `"prompt"${" ".repeat(SMALL)}:{"id":"p"}`,
    { references: ["prompts/p"] },
  ],
  "two of one name": ['"conversation":"a","conversation":"b"', {
    references: undefined,
  }],
  "two of one name, one of them far from its colon": [
    `"conversation"${" ".repeat(100)}:"a","conversation":"b"`,
    { references: undefined },
  ],
  "too deep": [`"file_id":"f","a":${"[".repeat(501)}${"]".repeat(501)}`, {
    references: undefined,
  }],
  "a type that is no text": [
    '"type":{"toString":1},"input":{"file_id":"f"}',
    { references: ["files/f"] },
  ],
  "a secret": ['"tools":[{"authorization":"Bearer secret-1234567890"}]', {
    secrets: ["secret-1234567890"],
  }],
  "a model": ['"model":"m"', { model: "m" }],
  "a NUL": ['"a":"\0"', { references: undefined }],
};

interface Facts {
  readonly isStream: boolean;
  readonly references: readonly string[] | undefined;
  readonly secrets: readonly string[];
  readonly model: string | undefined;
}

const NONE: Facts = {
  isStream: false,
  references: [],
  secrets: [],
  model: undefined,
};

function factsOf({ isStream, references, secrets, model }: Content): Facts {
  return { isStream, references, secrets: [...secrets()], model: model() };
}

Deno.test("A2: readContent finds the same in a short body and in a long one", () => {
  for (const [what, [fields, facts]] of Object.entries(BODIES)) {
    const expected = { ...NONE, ...facts };
    assertEquals(factsOf(read(`{${fields}}`)), expected, what);
    for (
      const body of [`"y":"${FILLER}",${fields}`, `${fields},"y":"${FILLER}"`]
    ) {
      assertEquals(factsOf(read(`\ufeff{${body}}`)), expected, `long: ${what}`);
    }
  }
});

Deno.test("A2: readContent takes a body that is no JSON for unread, unless it came in a coding", () => {
  for (const filler of ["", FILLER]) {
    for (
      const body of [`{"conversation":"c","a":"${filler}`, `[${filler}`, filler]
    ) {
      const facts = { ...NONE, references: undefined };
      assertEquals(factsOf(read(body)), facts, body.slice(0, 20));
      const { status, code } = assertThrows(() => read(body, true), Problem);
      assertEquals([status, code], [400, "invalid_body"]);
    }
    const broken = bytesOf(`{"stream":true,"a":"é${filler}"}`);
    const cut = broken.filter((byte) => byte !== 0xC3);
    assertEquals(factsOf(read(cut)), {
      ...NONE,
      isStream: true,
      references: undefined,
    });
  }
});

Deno.test("A2: readContent finds a name wherever a piece of the text ends", () => {
  const name = '"previous_response_id":"r"';
  for (let at = SMALL - name.length - 20; at < SMALL + 4; at++) {
    const body = `{"a":"${"x".repeat(at)}",${name}}`;
    assertEquals(read(body).references, ["responses/r"], `${at}`);
  }
});

Deno.test("A2: readContent reads what is long in steps, each of which is short", () => {
  const text = "\\u0001 'prompt' é".repeat(MIB / 8);
  const bodies = [
    `{"stream":true,"input":"${text}"}`,
    `{"conversation":"c","n":[${"1,".repeat(400_000)}1]}`,
    `{"a":[${'{"password":"secret-123","b":1},'.repeat(15_000)}{}]}`,
  ];
  for (const body of bodies) {
    const bytes = bytesOf(body);
    const steps = readContent(bytes, { isRun: true, isCoded: false });
    let count = 0;
    while (!steps.next().done) count++;
    assert(count >= bytes.length / (16 * 1_024), `${count} steps`);
  }
});

Deno.test("A2: readContent keeps no more secrets than an answer can be looked through for", () => {
  const words = Array.from(
    { length: 100_000 },
    (_, index) => `secret-${index}`,
  );
  const one = read(`{"password":"${words.join(" ")}"}`).secrets();
  assertEquals(one, []);
  const many = read(`{"password":${JSON.stringify(words.slice(0, 40_000))}}`);
  assertEquals(many.secrets().length, 1_000);
});
