import { assertEquals } from "@std/assert";
import { messageOf } from "../../src/fetch/message_of.ts";

Deno.test("messageOf returns an error's message, and any other value as text", () => {
  const cases: [unknown, string][] = [
    [new TypeError("refused"), "refused"],
    [new DOMException("stopped", "AbortError"), "stopped"],
    [new Error(""), ""],
    ["a text", "a text"],
    [42, "42"],
    [undefined, "undefined"],
    [null, "null"],
    [{ message: "not an error" }, "[object Object]"],
  ];
  for (const [thrown, message] of cases) {
    assertEquals(messageOf(thrown), message);
  }
});
