/**
 * Asks a model through the relay, with the SDK as it is. Its stream is a topic, which
 * others follow while it comes, and after it has ended.
 *
 * ```sh
 * deno run -A jsr:@rivulet/rivulet/cli hostile
 * deno run -A jsr:@rivulet/rivulet/cli --provider local=http://localhost:8788/v1
 * deno run --allow-net --allow-env gateway_sdk.ts http://localhost:8787
 * ```
 *
 * @module
 */
import { subscribe } from "@rivulet/rivulet/client";
import OpenAI from "openai";

const [relay = "http://localhost:8787"] = Deno.args;
const topic = `sky-${crypto.randomUUID()}`;

/** Somebody else, who may come before the run, during it or after it. */
async function follow(): Promise<string> {
  let text = "";
  for await (const message of subscribe(`${relay}/topics/${topic}`)) {
    if (message.type !== "event") continue;
    if (message.event !== "response.output_text.delta") continue;
    text += JSON.parse(message.data).delta;
  }
  return text;
}

const following = follow();
const openai = new OpenAI({
  baseURL: `${relay}/v1`,
  apiKey: "the relay has the key",
  defaultHeaders: { "Rivulet-Topic": topic },
});
const stream = await openai.responses.create({
  model: "hostile-1",
  input: "Why is the sky blue?",
  stream: true,
});
let text = "";
for await (const event of stream) {
  if (event.type === "response.output_text.delta") text += event.delta;
}
console.log(text);
console.log(
  (await following) === text ? "The follower has the same" : "It has not",
);
