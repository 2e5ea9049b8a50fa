/**
 * Tests of a program that asks a model, with a provider that fails as it is told to: no
 * network, no key, and each failure on demand.
 *
 * ```sh
 * deno test hostile_test.ts
 * ```
 *
 * @module
 */
import { HostileProvider } from "@rivulet/rivulet/testing";
import { assertEquals, assertRejects } from "@std/assert";
import OpenAI from "openai";

/** The program to test: it must never take a part of an answer for the whole. */
async function answer(openai: OpenAI, question: string): Promise<string> {
  const stream = await openai.responses.create({
    model: "hostile-1",
    input: question,
    stream: true,
  });
  let text = "";
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") text += event.delta;
    if (event.type === "response.completed") return text;
  }
  throw new Error("The stream ended without an end");
}

function client(provider: HostileProvider): OpenAI {
  return new OpenAI({
    baseURL: "http://localhost/v1",
    apiKey: "none",
    fetch: (input, init) => provider.fetch(new Request(input, init)),
  });
}

Deno.test("It returns the whole answer", async () => {
  const provider = new HostileProvider();
  assertEquals(await answer(client(provider), "Say this"), "Say this");
});

Deno.test("It asks again when the provider is busy", async () => {
  const provider = new HostileProvider();
  provider.enqueue("status=429; retry-after=0");
  assertEquals(await answer(client(provider), "Say this"), "Say this");
  assertEquals(provider.requests.length, 2);
});

Deno.test("It does not return a part of an answer", async () => {
  const provider = new HostileProvider();
  provider.enqueue("reset; after=4");
  await assertRejects(() => answer(client(provider), "Say this"));
});
