import {
  image,
  ModelClient,
  ModelError,
  user,
} from "../../../src/model/mod.ts";
import type { Describe } from "../service.ts";

export const describe: Describe = async (service, url) => {
  const { model, fetch, baseURL: baseUrl, apiKey } = service;
  const client = new ModelClient({
    model,
    provider: { name: "service", wireApi: "chat", baseUrl, apiKey },
    fetch,
  });
  let text = "";
  try {
    const stream = await client.stream({
      input: [user("What is this?", image(url))],
      temperature: 0,
      maxOutputTokens: 100,
    }, { headers: { "Request-Name": "cat" } });
    for await (const piece of stream.textStream) text += piece;
    const { status, usage } = await stream.final();
    const ending = status === "completed" ? status : "cut off";
    return { text, ending, usage: usage?.raw };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const words = "providerMessage" in error
      ? error.providerMessage
      : error.message;
    return { text, ending: `failed: ${words}`, usage: undefined };
  }
};
