// The chat route of an application, as the guide of the AI SDK has it. Nothing in it knows of a
// relay.
import {
  convertToModelMessages,
  createUIMessageStreamResponse,
  streamText,
  toUIMessageStream,
} from "ai";
import type { App, Handler } from "./app.ts";

export function chatRoute({ settings, save }: App): Handler {
  return async (request) => {
    const { id, messages } = await request.json();
    const { stream } = streamText({
      ...settings,
      messages: await convertToModelMessages(messages),
      abortSignal: request.signal,
    });
    return createUIMessageStreamResponse({
      stream: toUIMessageStream({
        stream,
        originalMessages: messages,
        generateMessageId: () => crypto.randomUUID(),
        onError: () => "The model cannot be reached at the moment.",
        onEnd: ({ messages }) => save(request, id, messages),
      }),
    });
  };
}
