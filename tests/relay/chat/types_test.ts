// The types of the chat are those of the AI SDK, on which nothing else here depends.
import type { ChatTransport, UIMessage, UIMessageChunk } from "ai";
import { assert } from "@std/assert";
import {
  type ChatChunk,
  type ChatMessage,
  RivuletChatTransport,
} from "../../../relay/chat/mod.ts";
import type { PublishChatOptions } from "../../../relay/chat/server/mod.ts";

/** Fails to compile unless the second type is assignable to the first. */
type Takes<_Wanted, _Given extends _Wanted> = true;

Deno.test("RivuletChatTransport is a ChatTransport of the AI SDK", async () => {
  const transport: ChatTransport<UIMessage> = new RivuletChatTransport<
    UIMessage
  >({ relay: "http://127.0.0.1:9" });
  const plain: ChatTransport<UIMessage> = new RivuletChatTransport({
    relay: "http://127.0.0.1:9",
  });
  assert(transport.resumeStreamIsReplay && plain.resumeStreamIsReplay);
  await transport.close?.();
  await plain.close?.();
});

Deno.test("ChatChunk is the SDK's chunk, and ChatMessage what its message is", () => {
  const types: [
    Takes<UIMessageChunk, ChatChunk>,
    Takes<ChatChunk, UIMessageChunk>,
    Takes<ChatMessage, UIMessage>,
    Takes<PublishChatOptions["stream"], ReadableStream<UIMessageChunk>>,
  ] = [true, true, true, true];
  assert(types.every(Boolean));
});
