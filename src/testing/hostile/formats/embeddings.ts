// This module is browser compatible.
import * as z from "zod";
import { type Asked, readJson } from "../asked.ts";
import { digest } from "../reproducible.ts";
import { jsonReply, type Reply } from "../reply.ts";

const request = z.looseObject({
  model: z.string(),
  input: z.union([
    z.string().transform((text) => [text]),
    z.array(z.string()).min(1),
  ]),
  dimensions: z.int().min(1).max(4_096).default(8),
  encoding_format: z.enum(["float", "base64"]).default("float"),
});

/** `POST /v1/embeddings` */
export function embeddings(asked: Asked): Reply {
  const { model, input, dimensions, encoding_format } = readJson(
    asked,
    request,
  );
  const tokens = input.join(" ").split(/\s+/).length;
  return jsonReply({
    object: "list",
    data: input.map((text, index) => {
      const vector = vectorOf(text, dimensions);
      return {
        object: "embedding",
        index,
        embedding: encoding_format === "base64"
          ? base64Of(vector)
          : [...vector],
      };
    }),
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

/** Numbers from 0 to 1 that depend on the text, and fit 32 bits. */
function vectorOf(text: string, dimensions: number): Float32Array {
  return Float32Array.from(
    { length: dimensions },
    (_, index) => parseInt(digest(`${index}:${text}`).slice(0, 4), 16) / 65_536,
  );
}

function base64Of(vector: Float32Array): string {
  const view = new DataView(new ArrayBuffer(vector.length * 4));
  for (const [index, value] of vector.entries()) {
    view.setFloat32(index * 4, value, true);
  }
  return btoa(String.fromCharCode(...new Uint8Array(view.buffer)));
}
