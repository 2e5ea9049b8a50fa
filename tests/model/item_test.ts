import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import {
  assistant,
  functionCallOutput,
  user,
} from "../../src/model/input_items.ts";
import { DEFAULT_TRAITS } from "../../src/model/wires/server_traits.ts";
import { parseItem } from "../../src/model/item.ts";
import { responsesBody } from "../../src/model/wires/responses/request.ts";
import { ResponsesDecoder } from "../../src/model/wires/responses/decoder.ts";
import type { ResponseEvent } from "../../src/model/response_event.ts";
import { propertyParameters } from "../support/property.ts";
import {
  readRecordings,
  recordingsMissing,
} from "../support/recordings/recordings.ts";

/** Point 40, and what the reference drops. */
const ITEMS = [
  '{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi"}]}',
  '{"content":[],"role":"user","type":"message"}',
  '{"type":"message","role":"assistant","content":[{"refusal":"No","type":"refusal"}],"id":"m","status":"completed"}',
  '{"type":"message","role":"user","content":[{"type":"input_image","image_url":"data:,"},{"type":"input_text","text":"x"}]}',
  '{"type":"message","role":"assistant","content":[{"type":"hologram","z":1,"a":[null]}],"phase":"final"}',
  '{"type":"reasoning","id":"rs","summary":[{"text":"so","type":"summary_text"}]}',
  '{"type":"reasoning","content":null,"encrypted_content":"x","summary":[]}',
  '{"type":"reasoning","content":[{"type":"reasoning_text","text":"hm"}]}',
  '{"type":"function_call","name":"f","arguments":"{}","call_id":"c","extra_content":{"google":{"thought_signature":"s"}}}',
  '{"type":"function_call_output","call_id":"c","output":"21"}',
  '{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"21"}]}',
  '{"type":"custom_tool_call","input":"ls","call_id":"c","name":"sh"}',
  '{"type":"local_shell_call","id":null,"call_id":"c","status":"completed","action":{"type":"exec","command":["ls"],"timeout_ms":5,"user":null}}',
  '{"type":"web_search_call","id":"ws","status":"completed","action":{"type":"search"}}',
  '{"type":"hologram"}',
  '{"type":""}',
  '{"__proto__":{"x":1},"type":"odd"}',
];

Deno.test("parseItem() gives back what came: the same object", () => {
  for (const item of ITEMS) {
    const value: unknown = JSON.parse(item);
    assertStrictEquals<unknown>(parseItem(value), value, item);
    assertEquals(JSON.stringify(parseItem(value)), item);
  }
});

/** Values that are not items, or that claim to be an item and are not. */
const NO_ITEMS: unknown[] = [
  undefined,
  null,
  "message",
  3,
  [],
  {},
  { type: 3 },
  { type: null },
  { type: "message" },
  { type: "message", role: "user", content: "text" },
  { type: "message", role: "user", content: ["text"] },
  { type: "message", role: 3, content: [] },
  { type: "reasoning", content: "hm" },
  { type: "reasoning", summary: [{ type: "summary_text" }] },
  { type: "function_call", call_id: "c", name: "f", arguments: { a: 1 } },
  { type: "function_call", call_id: null, name: "f", arguments: "" },
  { type: "function_call_output", call_id: "c", output: 21 },
  { type: "custom_tool_call", call_id: "c", name: "f", input: null },
  { type: "local_shell_call", status: "completed" },
];

Deno.test("parseItem() knows what is no item", () => {
  for (const value of NO_ITEMS) {
    assertEquals(parseItem(value), undefined, JSON.stringify(value));
  }
});

function through(item: string): string | undefined {
  const decoder = new ResponsesDecoder({ deltas: false });
  const events: ResponseEvent[] = [];
  decoder.push(
    "response.output_item.done",
    `{"type":"response.output_item.done","output_index":0,"item":${item}}`,
    events,
  );
  const [event] = events;
  if (event?.type !== "output_item.done") return undefined;
  // Stored, and followed by an answer: of reasoning, nothing else could go back.
  const prompt = {
    input: [user("Hello"), event.item, assistant("Hi")],
    store: true,
  };
  const body = responsesBody(
    { model: "gpt-5", prompt, reasoning: undefined },
    DEFAULT_TRAITS,
  );
  const sent: unknown = JSON.parse(JSON.stringify(body));
  assert(typeof sent === "object" && sent !== null && "input" in sent);
  assert(Array.isArray(sent.input));
  return JSON.stringify(sent.input[1]);
}

Deno.test("an item is sent back as it came", () => {
  for (const item of ITEMS) assertEquals(through(item), item);
});

const KNOWN = [
  "message",
  "reasoning",
  "function_call",
  "function_call_output",
  "custom_tool_call",
  "local_shell_call",
];

Deno.test("an item of any type is sent back as it came, whatever is in it", () => {
  const name = fc.string().map((name) => `x${name}`);
  fc.assert(
    fc.property(
      fc.dictionary(name, fc.jsonValue()),
      fc.string().filter((type) => !KNOWN.includes(type)),
      fc.constantFrom(...ITEMS),
      (fields, type, known) => {
        const other = JSON.stringify({ ...fields, type });
        assertEquals(through(other), other);
        const more: Record<string, unknown> = JSON.parse(known);
        const item = JSON.stringify({ ...fields, ...more });
        assertEquals(through(item), item);
      },
    ),
    propertyParameters(300),
  );
});

Deno.test({
  name: "every item of the recordings is sent back as it came",
  ignore: recordingsMissing("every item of the recordings"),
  async fn() {
    let items = 0;
    for (const [name, bytes] of await readRecordings()) {
      if (!name.includes(".responses.")) continue;
      for (const line of new TextDecoder().decode(bytes).split(/\r?\n/)) {
        if (!line.includes('"response.output_item.done"')) continue;
        if (!line.startsWith("data:")) continue;
        const { item }: { item: unknown } = JSON.parse(line.slice(5));
        assertEquals(through(JSON.stringify(item)), JSON.stringify(item), name);
        items++;
      }
    }
    assert(items > 30, `only ${items} items`);
  },
});

Deno.test("user() and functionCallOutput() make items", () => {
  for (const item of [user("x"), functionCallOutput("c", "x")]) {
    assertStrictEquals<unknown>(parseItem(item), item);
  }
});
