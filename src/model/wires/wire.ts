// This module is browser compatible.
import { chatBody, chatPath } from "./chat/request.ts";
import { ChatDecoder } from "./chat/decoder.ts";
import type { DecoderOptions, ResponseDecoder } from "./decoder.ts";
import type { RequestFacts } from "../prompt.ts";
import type { WireApi } from "../provider.ts";
import { responsesBody, responsesPath } from "./responses/request.ts";
import { ResponsesDecoder } from "./responses/decoder.ts";

/** What is different from one wire API to the other. */
export interface Wire {
  /** Where the request goes to, after the base URL. */
  readonly path: string;
  /** Headers that only this API wants. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether its usage has to be asked for, which some providers refuse. */
  readonly asksForUsage: boolean;
  /** Makes the body of the request. */
  body(
    facts: RequestFacts,
    options: { readonly includeUsage: boolean },
  ): Record<string, unknown>;
  /** Makes what reads the answer. */
  decoder(options: DecoderOptions): ResponseDecoder;
}

/** The wire APIs. */
export const wires: Readonly<Record<WireApi, Wire>> = {
  responses: {
    path: responsesPath,
    headers: { "OpenAI-Beta": "responses=experimental" },
    asksForUsage: false,
    body: responsesBody,
    decoder: (options) => new ResponsesDecoder(options),
  },
  chat: {
    path: chatPath,
    headers: {},
    asksForUsage: true,
    body: chatBody,
    decoder: (options) => new ChatDecoder(options),
  },
};
