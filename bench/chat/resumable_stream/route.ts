// The chat routes that the guide of the AI SDK has built for `resumable-stream`: "Chatbot Resume
// Streams" of its documentation, with its stop endpoint.
import {
  convertToModelMessages,
  createUIMessageStreamResponse,
  generateId,
  streamText,
  toUIMessageStream,
  UI_MESSAGE_STREAM_HEADERS,
} from "ai";
import type { ResumableStreamContext } from "resumable-stream/generic";
import type { App, Handler } from "./types.ts";

export function chatRoutes(
  { settings, readChat, saveChat }: App,
  streams: ResumableStreamContext,
): { post: Handler; resume: Handler; stop: Handler } {
  const running = new Map<string, AbortController>();
  return {
    async post(request) {
      const { id, messages } = await request.json();
      saveChat(request, id, { messages, activeStreamId: null });
      const controller = new AbortController();
      const { stream } = streamText({
        ...settings,
        messages: await convertToModelMessages(messages),
        abortSignal: controller.signal,
      });
      return createUIMessageStreamResponse({
        stream: toUIMessageStream({
          stream,
          originalMessages: messages,
          generateMessageId: generateId,
          onError: () => "The model cannot be reached at the moment.",
          onEnd: ({ messages }) =>
            saveChat(request, id, { messages, activeStreamId: null }),
        }),
        async consumeSseStream({ stream }) {
          const streamId = generateId();
          running.set(streamId, controller);
          await streams.createNewResumableStream(streamId, () => stream);
          saveChat(request, id, { activeStreamId: streamId });
        },
      });
    },
    async resume(request, id) {
      const { activeStreamId } = readChat(request, id);
      if (activeStreamId === null) return new Response(null, { status: 204 });
      return new Response(
        (await streams.resumeExistingStream(activeStreamId))
          ?.pipeThrough(new TextEncoderStream()),
        { headers: UI_MESSAGE_STREAM_HEADERS },
      );
    },
    stop(request, id) {
      const { activeStreamId } = readChat(request, id);
      if (activeStreamId !== null) {
        running.get(activeStreamId)?.abort();
        running.delete(activeStreamId);
        saveChat(request, id, { activeStreamId: null });
      }
      return Promise.resolve(new Response(null, { status: 204 }));
    },
  };
}
