import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import type { AskForData } from "../service.ts";

export const ask: AskForData = async (service, city) => {
  const { model, ...options } = service;
  const client = new OpenAI(options);
  const schema = z.object({ degrees: z.number() });
  const stream = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: `How warm is it in ${city}?` }],
    response_format: zodResponseFormat(schema, "weather"),
    stream: true,
  });
  let text = "";
  for await (const { choices: [choice] } of stream) {
    text += choice?.delta.content ?? "";
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return { text };
  }
};
