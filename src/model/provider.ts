// This module is browser compatible.
import * as z from "zod";

/**
 * The API that a provider speaks: Responses, Chat Completions, or Anthropic's
 * Messages.
 *
 * @example Ask an old server
 * ```ts
 * import type { WireApi } from "@rivulet/rivulet/model";
 *
 * const wireApi: WireApi = "chat";
 * ```
 */
export type WireApi = "responses" | "chat" | "messages";

/**
 * A provider of models: its URL, its key, and its limits.
 *
 * Limits that are not given here are taken from the environment, and else from
 * the defaults.
 *
 * @example A server of one's own
 * ```ts
 * import type { ModelProvider } from "@rivulet/rivulet/model";
 *
 * const local: ModelProvider = {
 *   name: "local",
 *   baseUrl: "http://localhost:8000/v1",
 *   wireApi: "chat",
 * };
 * ```
 *
 * @example Azure
 * ```ts
 * import type { ModelProvider } from "@rivulet/rivulet/model";
 *
 * const azure: ModelProvider = {
 *   name: "Azure",
 *   baseUrl: "https://example.openai.azure.com/openai",
 *   query: { "api-version": "2025-04-01-preview" },
 *   headers: async () => ({ "api-key": await Promise.resolve("from a vault") }),
 * };
 * ```
 */
export interface ModelProvider {
  /** The provider's name in messages. */
  name: string;
  /** The URL that the paths of the API follow: `https://api.openai.com/v1`. */
  baseUrl: string;
  /**
   * The environment variable that has another `baseUrl`, if it is set; one that
   * is given in place of a known provider's goes before it.
   */
  baseUrlEnv?: string | undefined;
  /**
   * The API that it speaks.
   *
   * @default {"responses"}
   */
  wireApi?: WireApi | undefined;
  /**
   * The variant of Chat Completions that it speaks, if that differs from OpenAI's: `"deepseek"`
   * wants the reasoning of calls back, and is told by `thinking` not to think.
   * Servers that refuse something else are asked once more without it.
   */
  dialect?: "deepseek" | undefined;
  /** The environment variable that has the key. Without it and `apiKey` no key is sent. */
  envKey?: string | undefined;
  /** The way to get a key, for the message that reports a missing key. */
  envKeyInstructions?: string | undefined;
  /** The key, or a function that gives it; asked for on every attempt. */
  apiKey?:
    | string
    | (() => string | undefined | Promise<string | undefined>)
    | undefined;
  /**
   * The header that the key is sent in. In `authorization` it is a bearer token.
   *
   * @default {"authorization"}, or `"x-api-key"` for Messages
   */
  keyHeader?: string | undefined;
  /** Headers that are sent along, over ours; a function is asked on every attempt. */
  headers?:
    | Record<string, string>
    | (() => Record<string, string> | Promise<Record<string, string>>)
    | undefined;
  /** The parameters to add to the query of every URL. */
  query?: Record<string, string> | undefined;
  /**
   * The most times that a request is made again after a temporary error (408, 409,
   * 425, 429, 5xx), or no answer. From `OPENAI_REQUEST_MAX_RETRIES`, if it is not given.
   *
   * @default {4}
   */
  requestMaxRetries?: number | undefined;
  /**
   * The maximum number of retries of a request whose stream breaks off. It
   * shares its count with `requestMaxRetries`: there are never more requests
   * than the larger of the two allows. From `OPENAI_STREAM_MAX_RETRIES`, if it
   * is not given.
   *
   * @default {5}
   */
  streamMaxRetries?: number | undefined;
  /**
   * The time limit for silence in a stream, in milliseconds; 0 for no limit.
   * From `OPENAI_STREAM_IDLE_TIMEOUT_MS`, if it is not given.
   *
   * @default {300_000}
   */
  idleTimeout?: number | undefined;
}

const whole = z.number().int().nonnegative();

const isFunction = (value: unknown): boolean => typeof value === "function";

const schema = z.object({
  name: z.string(),
  baseUrl: z.url({ protocol: /^https?$/ }),
  baseUrlEnv: z.string().optional(),
  wireApi: z.enum(["responses", "chat", "messages"]).optional(),
  dialect: z.literal("deepseek").optional(),
  envKey: z.string().min(1).optional(),
  envKeyInstructions: z.string().optional(),
  apiKey: z.union([z.string(), z.custom(isFunction)]).optional(),
  keyHeader: z.string().min(1).optional(),
  headers: z.union([
    z.record(z.string(), z.string()),
    z.custom(isFunction),
  ]).optional(),
  query: z.record(z.string(), z.string()).optional(),
  requestMaxRetries: whole.optional(),
  streamMaxRetries: whole.optional(),
  idleTimeout: z.number().nonnegative().or(z.literal(Infinity)).optional(),
});

/**
 * Refuses a provider that is none.
 *
 * @param provider The provider.
 * @throws {TypeError} If something in it is missing, or not what it must be.
 */
export function checkProvider(provider: ModelProvider): void {
  const { error } = schema.safeParse(provider);
  const issue = error?.issues[0];
  if (!issue) return;
  // Without the value: it may be a key.
  const path = ["provider", ...issue.path].join(".");
  throw new TypeError(
    `Cannot make a model client as '${path}' is not valid: ${issue.message}`,
  );
}

function chat(name: string, baseUrl: string, envKey?: string): ModelProvider {
  return {
    name,
    baseUrl,
    wireApi: "chat",
    ...(envKey === undefined ? {} : { envKey }),
  };
}

/**
 * The providers that are known by name.
 *
 * @example Another key, and fewer retries
 * ```ts
 * import { type ModelProvider, providers } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const mine: ModelProvider = {
 *   ...providers.groq,
 *   envKey: "MY_GROQ_KEY",
 *   requestMaxRetries: 1,
 * };
 * assertEquals(mine.baseUrl, "https://api.groq.com/openai/v1");
 * ```
 */
export const providers: {
  /** OpenAI, by its Responses API. */
  readonly openai: ModelProvider;
  /** Anthropic, by its Messages API. */
  readonly anthropic: ModelProvider;
  /** OpenRouter. */
  readonly openrouter: ModelProvider;
  /** Google's Gemini, by its API that is compatible with OpenAI's. */
  readonly gemini: ModelProvider;
  /** Ollama on this machine, without a key. */
  readonly ollama: ModelProvider;
  /** Mistral. */
  readonly mistral: ModelProvider;
  /** DeepSeek. */
  readonly deepseek: ModelProvider;
  /** xAI. */
  readonly xai: ModelProvider;
  /** Groq. */
  readonly groq: ModelProvider;
} = {
  openai: {
    name: "OpenAI",
    baseUrl: "https://api.openai.com/v1",
    baseUrlEnv: "OPENAI_BASE_URL",
    wireApi: "responses",
    envKey: "OPENAI_API_KEY",
    envKeyInstructions:
      "Create an API key (https://platform.openai.com) and export it as an environment variable.",
  },
  anthropic: {
    name: "Anthropic",
    baseUrl: "https://api.anthropic.com",
    baseUrlEnv: "ANTHROPIC_BASE_URL",
    wireApi: "messages",
    envKey: "ANTHROPIC_API_KEY",
    envKeyInstructions:
      "Create an API key (https://platform.claude.com) and export it as an environment variable.",
  },
  openrouter: chat(
    "OpenRouter",
    "https://openrouter.ai/api/v1",
    "OPENROUTER_API_KEY",
  ),
  gemini: chat(
    "Gemini",
    "https://generativelanguage.googleapis.com/v1beta/openai",
    "GEMINI_API_KEY",
  ),
  ollama: chat("Ollama", "http://localhost:11434/v1"),
  mistral: chat("Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
  deepseek: {
    ...chat("DeepSeek", "https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    dialect: "deepseek",
  },
  xai: chat("xAI", "https://api.x.ai/v1", "XAI_API_KEY"),
  groq: chat("Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
};
