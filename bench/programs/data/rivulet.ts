import { z } from "zod";
import { ModelClient, OutputError } from "../../../src/model/mod.ts";
import type { AskForData } from "../service.ts";

export const ask: AskForData = async (service, city) => {
  const { model, fetch, baseURL: baseUrl, apiKey } = service;
  const client = new ModelClient({
    model,
    provider: { name: "service", wireApi: "chat", baseUrl, apiKey },
    fetch,
  });
  try {
    const stream = await client.stream({
      input: `How warm is it in ${city}?`,
      output: z.object({ degrees: z.number() }),
    });
    const response = await stream.final();
    if (response.status === "completed") return response.parsed;
    return { text: response.outputText };
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
    return { text: error.text };
  }
};
