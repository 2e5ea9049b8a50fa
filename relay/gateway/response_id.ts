import { Buffer } from "node:buffer";
import { readingsOf } from "../forwarding.ts";
import type { ProviderRequest } from "./provider_request.ts";
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
} from "./json_bytes.ts";

/** The longest name or id that is read, in bytes of JSON. */
const MAX_STRING = 1024;

const RESPONSES = /^\/*responses\/*$/i;

/**
 * Reads the id of a response in an answer that is no event stream: the field `id` of
 * the object that the answer is.
 *
 * It looks at each byte once, as it comes, and keeps none but those of a name or an
 * id: to parse 1 MB of `{},{},...` takes 300 ms, in which nobody else is served.
 */
export class ResponseIdReader {
  /** The number of objects and arrays that are open. */
  #depth = 0;
  /** Whether the answer is an object; `undefined` before it has begun. */
  #isObject: boolean | undefined;
  #isString = false;
  #isEscaped = false;
  /** Whether the next string of the object is the value of a field. */
  #isValue = false;
  /** The bytes of a string of the object, without its quotes; `undefined` of others. */
  #string: number[] | undefined;
  #name: string | undefined;
  readonly #onId: (id: string) => void;

  /**
   * Makes a reader of an answer of which nothing has come.
   *
   * @param onId Called with the id as soon as it has come, if it is a text; of several,
   * with each.
   */
  constructor(onId: (id: string) => void) {
    this.#onId = onId;
  }

  /** Whether a request makes a response. */
  static reads({ method, path }: ProviderRequest): boolean {
    return method === "POST" && RESPONSES.test(readingsOf(path).at(-1) ?? "");
  }

  /** Takes the next bytes of the answer. */
  push(bytes: Uint8Array): void {
    if (this.#isObject === false) return;
    for (const byte of bytes) {
      if (this.#isString) this.#takeWithin(byte);
      else this.#take(byte);
    }
  }

  #takeWithin(byte: number): void {
    if (byte === QUOTE && !this.#isEscaped) {
      this.#isString = false;
      if (this.#string) this.#endString(this.#string);
      this.#string = undefined;
      return;
    }
    this.#isEscaped = byte === BACKSLASH && !this.#isEscaped;
    if (this.#string && this.#string.length <= MAX_STRING) {
      this.#string.push(byte);
    }
  }

  #take(byte: number): void {
    switch (byte) {
      case QUOTE:
        this.#isString = true;
        this.#string = this.#depth === 1 ? [] : undefined;
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        this.#isObject ??= byte === OPEN_BRACE;
        this.#depth++;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        this.#depth--;
        break;
      case COLON:
        this.#isValue ||= this.#depth === 1;
        break;
      case COMMA:
        if (this.#depth === 1) this.#isValue = false;
        break;
    }
  }

  #endString(bytes: readonly number[]): void {
    if (bytes.length > MAX_STRING) return void (this.#name = undefined);
    const text = parseString(Buffer.from(bytes).toString());
    if (!this.#isValue) this.#name = text;
    else if (this.#name === "id" && text) this.#onId(text);
  }
}

/** Returns what the text between two quotes stands for. */
function parseString(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(`"${text}"`);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined; // it is no JSON
  }
}
