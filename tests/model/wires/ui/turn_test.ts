import { assertEquals } from "@std/assert";
import { readUIMessageStream, type UIMessageChunk } from "ai";
import { TURN_PART, turnPart } from "../../../../src/model/wires/ui/turn.ts";

Deno.test("turnPart is a part that the AI SDK keeps out of the message", async () => {
  const asked = {
    id: "u1",
    role: "user",
    parts: [{ type: "text", text: "?" }],
  };
  const part = turnPart(asked);
  assertEquals([part.type, part.data.message], [TURN_PART, asked]);
  const chunks: UIMessageChunk[] = [
    part,
    { type: "start", messageId: "a1" },
    { type: "text-start", id: "t" },
    { type: "text-delta", id: "t", delta: "!" },
    { type: "text-end", id: "t" },
    { type: "finish" },
  ];
  const messages = await Array.fromAsync(
    readUIMessageStream({ stream: ReadableStream.from(chunks) }),
  );
  const { id, parts } = messages.at(-1)!; // the stream has a message
  assertEquals(id, "a1");
  assertEquals(parts.map(({ type }) => type), ["text"]);
});
