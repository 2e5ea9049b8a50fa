// This module is browser compatible.

/**
 * A value of JSON, as the AI SDK has it.
 *
 * @example One
 * ```ts
 * import type { ChatJson } from "@rivulet/rivulet/chat";
 *
 * const value: ChatJson = { city: "Bern", degrees: [3, 4] };
 * ```
 */
export type ChatJson =
  | null
  | string
  | number
  | boolean
  | Readonly<{ [name: string]: ChatJson | undefined }>
  | readonly ChatJson[];

/**
 * An object of JSON, as the AI SDK has it.
 *
 * @example One
 * ```ts
 * import type { ChatJsonObject } from "@rivulet/rivulet/chat";
 *
 * const object: ChatJsonObject = { city: "Bern" };
 * ```
 */
export type ChatJsonObject = { [name: string]: ChatJson | undefined };

/**
 * The facts that a provider has added, by the provider's name.
 *
 * @example One
 * ```ts
 * import type { ChatProviderMetadata } from "@rivulet/rivulet/chat";
 *
 * const metadata: ChatProviderMetadata = { openai: { itemId: "msg_1" } };
 * ```
 */
export type ChatProviderMetadata = Record<string, ChatJsonObject>;

/**
 * A chunk of a stream of UI messages, as the AI SDK 7 sends and reads them: its type
 * `UIMessageChunk`, without a dependency on the SDK.
 *
 * @example A part of a text
 * ```ts
 * import type { ChatChunk } from "@rivulet/rivulet/chat";
 *
 * const chunk: ChatChunk = { type: "text-delta", id: "0", delta: "Hel" };
 * ```
 */
export type ChatChunk =
  | {
    type: "text-start" | "reasoning-start";
    id: string;
    providerMetadata?: ChatProviderMetadata;
  }
  | {
    type: "text-delta" | "reasoning-delta";
    id: string;
    delta: string;
    providerMetadata?: ChatProviderMetadata;
  }
  | {
    type: "text-end";
    id: string;
    providerMetadata?: ChatProviderMetadata;
    citations?: ({
      source:
        | {
          type: "source";
          id: string;
          sourceType: "url";
          url: string;
          title?: string;
          providerMetadata?: ChatProviderMetadata;
        }
        | {
          type: "source";
          id: string;
          sourceType: "document";
          mediaType: string;
          title: string;
          filename?: string;
          providerMetadata?: ChatProviderMetadata;
        };
      startIndex?: number;
      endIndex?: number;
      citedText?: string;
    })[];
  }
  | {
    type: "reasoning-end";
    id: string;
    providerMetadata?: ChatProviderMetadata;
  }
  | {
    type: "custom";
    kind: `${string}.${string}`;
    providerMetadata?: ChatProviderMetadata;
  }
  | { type: "error"; errorText: string }
  | {
    type: "tool-input-start";
    inputEncoding?: "json" | "text";
    toolCallId: string;
    providerExecuted?: boolean;
    providerMetadata?: ChatProviderMetadata;
    toolMetadata?: ChatJsonObject;
    dynamic?: boolean;
    toolName: string;
    title?: string;
  }
  | { type: "tool-input-delta"; toolCallId: string; inputTextDelta: string }
  | {
    type: "tool-input-available";
    input: unknown;
    toolCallId: string;
    providerExecuted?: boolean;
    providerMetadata?: ChatProviderMetadata;
    toolMetadata?: ChatJsonObject;
    dynamic?: boolean;
    toolName: string;
    title?: string;
  }
  | {
    type: "tool-input-error";
    input: unknown;
    errorText: string;
    toolCallId: string;
    providerExecuted?: boolean;
    providerMetadata?: ChatProviderMetadata;
    toolMetadata?: ChatJsonObject;
    dynamic?: boolean;
    toolName: string;
    title?: string;
  }
  | {
    type: "tool-approval-request";
    approvalId: string;
    toolCallId: string;
    approvalDescriptor?: unknown;
    inputSchemaInput?: unknown;
    reason?: string;
    isAutomatic?: boolean;
    signature?: string;
  }
  | {
    type: "tool-approval-response";
    approvalId: string;
    approved: boolean;
    reason?: string;
    providerExecuted?: boolean;
    providerMetadata?: ChatProviderMetadata;
  }
  | {
    type: "tool-output-available";
    output: unknown;
    preliminary?: boolean;
    toolCallId: string;
    providerExecuted?: boolean;
    providerMetadata?: ChatProviderMetadata;
    toolMetadata?: ChatJsonObject;
    dynamic?: boolean;
  }
  | {
    type: "tool-output-error";
    errorText: string;
    toolCallId: string;
    providerExecuted?: boolean;
    providerMetadata?: ChatProviderMetadata;
    toolMetadata?: ChatJsonObject;
    dynamic?: boolean;
  }
  | { type: "tool-output-denied"; toolCallId: string }
  | {
    type: "source-url";
    sourceId: string;
    url: string;
    title?: string;
    providerMetadata?: ChatProviderMetadata;
  }
  | {
    type: "source-document";
    sourceId: string;
    mediaType: string;
    title: string;
    filename?: string;
    providerMetadata?: ChatProviderMetadata;
  }
  | {
    type: "file" | "reasoning-file";
    url: string;
    mediaType: string;
    providerMetadata?: ChatProviderMetadata;
  }
  | { type: `data-${string}`; id?: string; data: unknown; transient?: boolean }
  | {
    type: "steering-message";
    id: string;
    parts: (
      | { type: "text"; text: string; providerMetadata?: ChatProviderMetadata }
      | {
        type: "file";
        mediaType: string;
        filename?: string;
        url: string;
        providerReference?: Record<string, string>;
        providerMetadata?: ChatProviderMetadata;
      }
    )[];
  }
  | { type: "start-step" | "finish-step" | "reset-step" }
  | { type: "start"; messageId?: string; messageMetadata?: unknown }
  | {
    type: "finish";
    finishReason?:
      | "stop"
      | "length"
      | "content-filter"
      | "tool-calls"
      | "error"
      | "interrupted"
      | "other";
    messageMetadata?: unknown;
  }
  | { type: "abort"; reason?: string }
  | { type: "message-metadata"; messageMetadata: unknown };

/**
 * A message of a chat, as far as it matters here: the AI SDK's `UIMessage` is one.
 *
 * @example A question
 * ```ts
 * import type { ChatMessage } from "@rivulet/rivulet/chat";
 *
 * const message: ChatMessage = {
 *   id: "m1",
 *   role: "user",
 *   parts: [{ type: "text", text: "Why is the sky blue?" }],
 * };
 * ```
 */
export interface ChatMessage {
  /** The message among those of its chat. */
  id: string;
  /** The sender. */
  role: "system" | "user" | "assistant";
  /** The content. */
  parts: unknown[];
}

/**
 * Reads a chunk from the data of an event.
 *
 * @throws {SyntaxError} If it is no JSON.
 * @throws {TypeError} If it is no chunk.
 */
export function parseChunk(data: string): ChatChunk {
  const value: unknown = JSON.parse(data);
  const type = typeof value === "object" && value !== null && "type" in value
    ? value.type
    : undefined;
  if (typeof type !== "string") {
    throw new TypeError(
      "Expected a chunk of a UI message stream with a 'type'",
    );
  }
  // Readers pass over the types that they do not know, and the SDK checks the fields.
  return value as ChatChunk;
}
