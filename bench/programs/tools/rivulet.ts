import { z } from "zod";
import { ModelClient, runTools, tool } from "../../../src/model/mod.ts";
import type { AskWithTools } from "../service.ts";

export const ask: AskWithTools = async (service, question, weather) => {
  const { model, fetch, baseURL: baseUrl, apiKey } = service;
  const client = new ModelClient({
    model,
    provider: { name: "service", wireApi: "chat", baseUrl, apiKey },
    fetch,
  });
  const tools = [tool({
    name: "weather",
    description: "The degrees in a city",
    parameters: z.object({ city: z.string() }),
    run: ({ city }) => weather(city),
  })];
  const run = runTools(client, { input: question }, { tools, maxTurns: 5 });
  const { status, outputText } = await run.final();
  if (status !== "completed") throw new Error("The answer is cut off");
  return outputText;
};
