import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import {
  createEpoch,
  formatPosition,
  parseAfter,
} from "../../../relay/topics/position.ts";

Deno.test("createEpoch makes 8 to 22 characters of base64url, each time others", () => {
  const epochs = new Set(Array.from({ length: 1_000 }, createEpoch));
  assertEquals(epochs.size, 1_000);
  for (const epoch of epochs) assertMatch(epoch, /^[A-Za-z0-9_-]{8,22}$/);
});

Deno.test("parseAfter reads what formatPosition writes", () => {
  const position = { epoch: createEpoch(), offset: 2 ** 53 - 1 };
  assertEquals(parseAfter(formatPosition(position)), position);
  assertEquals(parseAfter("start"), "start");
  assertEquals(parseAfter("now"), "now");
});

Deno.test("parseAfter refuses what is no position", () => {
  for (
    const text of [
      "",
      "Start",
      "abcdefgh",
      "abcdefgh:",
      "abcdefgh:0",
      "abcdefgh:01",
      "abcdefgh:-1",
      "abcdefgh:1.5",
      "abcdefgh:1e3",
      "abcdefgh:9007199254740992",
      "abcdefg:1",
      "abcdefghabcdefghabcdefg:1",
      "abcd fgh:1",
      "abcdefgh:1\n",
      " abcdefgh:1",
    ]
  ) {
    assertEquals(parseAfter(text), undefined, JSON.stringify(text));
  }
  assertNotEquals(parseAfter("abcdefgh:1"), undefined);
});
