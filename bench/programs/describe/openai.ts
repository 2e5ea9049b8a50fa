import OpenAI, { APIError } from "openai";
import type { Describe } from "../service.ts";

export const describe: Describe = async (service, url) => {
  const { model, ...options } = service;
  const client = new OpenAI(options);
  let text = "";
  let reason: string | null | undefined;
  let usage: unknown;
  try {
    const stream = await client.chat.completions.create({
      model,
      messages: [{
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { type: "image_url", image_url: { url } },
        ],
      }],
      temperature: 0,
      max_tokens: 100,
      stream: true,
      stream_options: { include_usage: true },
    }, { headers: { "Request-Name": "cat" } });
    for await (const chunk of stream) {
      const [choice] = chunk.choices;
      text += choice?.delta.content ?? "";
      reason = choice?.finish_reason ?? reason;
      usage = chunk.usage ?? usage;
    }
  } catch (error) {
    if (!(error instanceof APIError)) throw error;
    const said = error.error as { message?: string } | undefined; // of any shape
    const ending = `failed: ${said?.message ?? error.message}`;
    return { text, ending, usage: undefined };
  }
  // It ends without an error where the connection does.
  if (!reason) return { text, ending: "failed: it has stopped", usage };
  return { text, ending: reason === "stop" ? "completed" : "cut off", usage };
};
