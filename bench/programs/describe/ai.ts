import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, streamText } from "ai";
import type { Describe } from "../service.ts";

export const describe: Describe = async (service, url) => {
  const { model, ...options } = service;
  const provider = createOpenAICompatible({
    ...options,
    name: "service",
    includeUsage: true,
    // Else it downloads the picture.
    supportedUrls: () => ({ "image/*": [/^https:/] }),
  });
  let text = "";
  let ending = "";
  let usage: unknown;
  const { fullStream } = streamText({
    model: provider(model),
    messages: [{
      role: "user",
      content: [
        { type: "text", text: "What is this?" },
        { type: "file", mediaType: "image", data: new URL(url) },
      ],
    }],
    temperature: 0,
    maxOutputTokens: 100,
    headers: { "Request-Name": "cat" },
    onError: () => {}, // else it prints them
  });
  for await (const part of fullStream) {
    if (part.type === "text-delta") text += part.text;
    else if (part.type === "error") {
      const { error } = part;
      const said = APICallError.isInstance(error)
        ? JSON.parse(error.responseBody ?? "{}").error?.message
        : (error as { message?: string }).message ?? error; // of any shape
      return { text, ending: `failed: ${said}`, usage: undefined };
    } else if (part.type === "finish-step") {
      usage = part.usage.raw;
      ending = part.finishReason === "stop" ? "completed" : "cut off";
    }
  }
  return { text, ending, usage };
};
