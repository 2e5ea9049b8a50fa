import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { isStepCount, streamText, tool } from "ai";
import { z } from "zod";
import type { AskWithTools } from "../service.ts";

export const ask: AskWithTools = async (service, question, weather) => {
  const { model, ...options } = service;
  const provider = createOpenAICompatible({ ...options, name: "service" });
  const result = streamText({
    model: provider(model),
    prompt: question,
    tools: {
      weather: tool({
        description: "The degrees in a city",
        inputSchema: z.object({ city: z.string() }),
        execute: ({ city }) => weather(city),
      }),
    },
    stopWhen: isStepCount(5),
    onError: () => {}, // else it prints them
  });
  const text = await result.text;
  if (await result.finishReason !== "stop") {
    throw new Error("The answer is cut off");
  }
  return text;
};
