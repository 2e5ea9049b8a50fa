// Whether a page that has loaded its messages lacks a turn: a table of all places of both.
import { assertEquals } from "@std/assert";
import { lacksTurn } from "../../../relay/chat/lacks_turn.ts";

const asked = { id: "u1" };

// deno-fmt-ignore
const CASES: readonly [what: string, ids: string, message: unknown, answerId: string | undefined, lacks: boolean][] = [
  ["nothing is there", "", asked, "a1", true],
  ["the message is the last", "u0,a0,u1", asked, "a1", true],
  ["the message is answered", "u0,a0,u1,a1", asked, "a1", false],
  ["the message is answered, and the answer has no id", "u0,a0,u1,a1", asked, undefined, false],
  ["the message is answered by another id", "u1,a9", asked, "a1", false],
  ["neither is there", "u0,a0", asked, "a1", true],
  ["only the answer is there, as a summary took the message's place", "s,a1", asked, "a1", false],
  ["an answer that goes on has the id of its message", "u0,u1", asked, "u1", true],
  ["the message has no id, and the answer is there", "u0,a1", {}, "a1", false],
  ["the message has no id, and the answer is not there", "u0", {}, "a1", true],
  ["the message is no object, and the answer is not there", "u0", null, "a1", true],
  ["an id that is no text is none", "u0,a1", { id: 7 }, "a1", false],
  ["nothing has an id", "u0,a0", {}, undefined, false],
  ["nothing has an id, and nothing is there", "", undefined, undefined, false],
];

for (const [what, ids, message, answerId, lacks] of CASES) {
  Deno.test(`lacksTurn: ${what}`, () => {
    const messages = ids.split(",").filter(Boolean).map((id) => ({ id }));
    assertEquals(lacksTurn(messages, { message, answerId }), lacks);
  });
}
