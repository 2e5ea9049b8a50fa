// This module is browser compatible.
import { chatBody, chatPath } from "./chat/request.ts";
import { ChatDecoder } from "./chat/decoder.ts";
import type { DecoderOptions, ResponseDecoder } from "./decoder.ts";
import { MessagesDecoder } from "./messages/decoder.ts";
import {
  learnMessagesTraits,
  messagesBody,
  messagesPath,
} from "./messages/request.ts";
import type { RequestFacts } from "../prompt.ts";
import type { WireApi } from "../provider.ts";
import { responsesBody, responsesPath } from "./responses/request.ts";
import { ResponsesDecoder } from "./responses/decoder.ts";
import {
  learnChatTraits,
  learnResponsesTraits,
  type ServerTraits,
} from "./server_traits.ts";

/** The parts in which wire APIs differ. */
export interface Wire {
  /** Returns where the request goes to, after the base URL. */
  path(baseUrl: string): string;
  /** The header that has the key: as it is, or as a bearer token in `authorization`. */
  readonly keyHeader: string;
  /** Headers that only this API wants. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Makes the body of the request.
   *
   * @throws {TypeError} If the API has no place for something in the prompt.
   */
  body(facts: RequestFacts, traits: ServerTraits): Record<string, unknown>;
  /** Learns from the body of a refusal what the server takes, if it is about that. */
  learn(traits: ServerTraits, refusal: string): ServerTraits | undefined;
  /** Makes what reads the answer. */
  decoder(options: DecoderOptions): ResponseDecoder;
}

/** The wire APIs. */
export const wires: Readonly<Record<WireApi, Wire>> = {
  responses: {
    path: () => responsesPath,
    keyHeader: "authorization",
    headers: { "OpenAI-Beta": "responses=experimental" },
    body: responsesBody,
    learn: learnResponsesTraits,
    decoder: (options) => new ResponsesDecoder(options),
  },
  chat: {
    path: () => chatPath,
    keyHeader: "authorization",
    headers: {},
    body: chatBody,
    learn: learnChatTraits,
    decoder: (options) => new ChatDecoder(options),
  },
  messages: {
    path: messagesPath,
    keyHeader: "x-api-key",
    headers: { "anthropic-version": "2023-06-01" },
    body: messagesBody,
    learn: learnMessagesTraits,
    decoder: (options) => new MessagesDecoder(options),
  },
};
