import { assertEquals } from "@std/assert";
import { type ModelProvider, providers } from "../../src/model/mod.ts";

/** The providers of the reference: name, URL, wire API, and where the key is. */
const BUILT_IN: Record<keyof typeof providers, Partial<ModelProvider>> = {
  openai: {
    name: "OpenAI",
    baseUrl: "https://api.openai.com/v1",
    wireApi: "responses",
    envKey: "OPENAI_API_KEY",
  },
  // Not in the reference.
  anthropic: {
    name: "Anthropic",
    baseUrl: "https://api.anthropic.com",
    wireApi: "messages",
    envKey: "ANTHROPIC_API_KEY",
  },
  openrouter: {
    name: "OpenRouter",
    baseUrl: "https://openrouter.ai/api/v1",
    wireApi: "chat",
    envKey: "OPENROUTER_API_KEY",
  },
  gemini: {
    name: "Gemini",
    baseUrl: "https://generativelanguage.googleapis.com/v1beta/openai",
    wireApi: "chat",
    envKey: "GEMINI_API_KEY",
  },
  ollama: {
    name: "Ollama",
    baseUrl: "http://localhost:11434/v1",
    wireApi: "chat",
  },
  mistral: {
    name: "Mistral",
    baseUrl: "https://api.mistral.ai/v1",
    wireApi: "chat",
    envKey: "MISTRAL_API_KEY",
  },
  deepseek: {
    name: "DeepSeek",
    baseUrl: "https://api.deepseek.com",
    wireApi: "chat",
    dialect: "deepseek",
    envKey: "DEEPSEEK_API_KEY",
  },
  xai: {
    name: "xAI",
    baseUrl: "https://api.x.ai/v1",
    wireApi: "chat",
    envKey: "XAI_API_KEY",
  },
  groq: {
    name: "Groq",
    baseUrl: "https://api.groq.com/openai/v1",
    wireApi: "chat",
    envKey: "GROQ_API_KEY",
  },
};

Deno.test("providers are those of the reference", () => {
  assertEquals(Object.keys(providers), Object.keys(BUILT_IN));
});

for (const [name, expected] of Object.entries(BUILT_IN)) {
  Deno.test(`providers.${name} is where it is, and finds its key`, () => {
    // The name is one of those above.
    const provider = providers[name as keyof typeof providers];
    const { baseUrlEnv: _, envKeyInstructions: __, ...rest } = provider;
    assertEquals(rest, expected as ModelProvider);
  });
}

Deno.test("providers.openai says how to get a key, and where else it may be", () => {
  const { envKeyInstructions, baseUrlEnv } = providers.openai;
  assertEquals(
    envKeyInstructions,
    "Create an API key (https://platform.openai.com) and export it as an environment variable.",
  );
  assertEquals(baseUrlEnv, "OPENAI_BASE_URL");
});
