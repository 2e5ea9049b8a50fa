import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { NoObjectGeneratedError, Output, streamText } from "ai";
import { z } from "zod";
import type { AskForData } from "../service.ts";

export const ask: AskForData = async (service, city) => {
  const { model, ...options } = service;
  const provider = createOpenAICompatible({
    ...options,
    name: "service",
    supportsStructuredOutputs: true,
  });
  const result = streamText({
    model: provider(model),
    prompt: `How warm is it in ${city}?`,
    output: Output.object({ schema: z.object({ degrees: z.number() }) }),
    onError: () => {}, // else it prints them
  });
  try {
    return await result.output;
  } catch (error) {
    if (!NoObjectGeneratedError.isInstance(error)) throw error;
    return { text: error.text ?? "" };
  }
};
