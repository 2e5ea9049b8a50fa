import OpenAI from "openai";
import { zodFunction } from "openai/helpers/zod";
import { z } from "zod";
import type { AskWithTools } from "../service.ts";

export const ask: AskWithTools = async (service, question, weather) => {
  const { model, ...options } = service;
  const client = new OpenAI(options);
  const run = client.chat.completions.runTools({
    model,
    messages: [{ role: "user", content: question }],
    tools: [zodFunction({
      name: "weather",
      description: "The degrees in a city",
      parameters: z.object({ city: z.string() }),
      function: ({ city }) => {
        try {
          return String(weather(city));
        } catch (error) {
          // It ends the run if a tool throws.
          return String(error);
        }
      },
    })],
    stream: true,
  }, { maxChatCompletions: 5 });
  const { choices: [choice] } = await run.finalChatCompletion();
  if (choice?.finish_reason !== "stop") {
    throw new Error("The answer is cut off");
  }
  return choice.message.content ?? "";
};
