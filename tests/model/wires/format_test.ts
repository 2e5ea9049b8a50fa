import { assertEquals, assertStrictEquals } from "@std/assert";
import { ChatEndingReader } from "../../../src/model/wires/chat/endings.ts";
import {
  endingReader,
  formatOf,
  type WireFormat,
} from "../../../src/model/wires/format.ts";
import { MessagesEndingReader } from "../../../src/model/wires/messages/endings.ts";
import { PlainEndingReader } from "../../../src/model/wires/plain/endings.ts";
import { ResponsesEndingReader } from "../../../src/model/wires/responses/endings.ts";
import { UiEndingReader } from "../../../src/model/wires/ui/endings.ts";

Deno.test("formatOf finds the format by the last names of the path", () => {
  // deno-fmt-ignore
  const table: [path: string, format: WireFormat][] = [
    ["responses", "responses"],
    ["/v1/responses/?stream=true", "responses"],
    ["responses/resp_1", "responses"],
    ["responses/resp_1?stream=true&starting_after=5", "responses"],
    ["openai/v1/responses", "responses"],
    ["responses/resp_1/cancel", "plain"],
    ["chat/completions", "chat"],
    ["completions", "chat"],
    ["/chat//completions/", "chat"],
    ["deployments/gpt/chat/completions?api-version=1", "chat"],
    ["messages", "messages"],
    ["v1/messages#x/responses", "messages"],
    ["messages/count_tokens", "plain"],
    ["models/gemini:streamGenerateContent?alt=sse", "plain"],
    ["models?of=/responses", "plain"],
    ["chat/completions2", "plain"],
    ["", "plain"],
    ["/".repeat(1e5), "plain"],
  ];
  for (const [path, format] of table) {
    assertEquals(formatOf(path), format, path);
  }
});

Deno.test("formatOf finds UI messages by the header of the answer, whatever the path", () => {
  const headers = new Headers({ "X-Vercel-AI-UI-Message-Stream": "v1" });
  for (const path of ["api/chat", "responses", ""]) {
    assertEquals(formatOf(path, headers), "ui");
    assertEquals(formatOf(path, new Headers()), formatOf(path));
  }
});

Deno.test("endingReader makes the reader of the format", () => {
  const table: Record<WireFormat, unknown> = {
    responses: ResponsesEndingReader,
    chat: ChatEndingReader,
    messages: MessagesEndingReader,
    ui: UiEndingReader,
    plain: PlainEndingReader,
  };
  for (const [format, kind] of Object.entries(table)) {
    const reader = endingReader(format as WireFormat); // a key of the table
    assertStrictEquals(reader.constructor, kind, format);
  }
});
