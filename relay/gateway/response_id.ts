import { z } from "zod";
import { readingsOf } from "../forwarding.ts";
import type { ProviderRequest } from "./provider_request.ts";

/** The longest answer that is read as a whole, in UTF-16 code units. */
const MAX_ANSWER = 1024 * 1024;

const answer = z.object({ id: z.string() });

/** The id at the start of an answer that is too long to be read as a whole. */
const FIRST_FIELD = /^\s*\{\s*"id"\s*:\s*"([\w-]{1,512})"/;

const RESPONSES = /^\/*responses\/*$/i;

/** Reads the id of a response in an answer that is no event stream. */
export class ResponseIdReader {
  readonly #decoder = new TextDecoder();
  #text = "";

  /** Whether a request makes a response. */
  static reads({ method, path }: ProviderRequest): boolean {
    return method === "POST" && RESPONSES.test(readingsOf(path).at(-1) ?? "");
  }

  /** Takes the next bytes of the answer. */
  push(bytes: Uint8Array): void {
    if (this.#text.length > MAX_ANSWER) return;
    this.#text += this.#decoder.decode(bytes, { stream: true });
  }

  /** The id, if the answer has one. */
  get id(): string | undefined {
    if (this.#text.length > MAX_ANSWER) {
      return FIRST_FIELD.exec(this.#text)?.[1];
    }
    try {
      return answer.parse(JSON.parse(this.#text)).id;
    } catch {
      return undefined; // it is no response
    }
  }
}
