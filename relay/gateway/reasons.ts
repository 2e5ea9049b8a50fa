import { Redactor } from "../../src/fetch/secrets/redactor.ts";
import { UpstreamConnectionError } from "../upstream/upstream_connection_error.ts";
import { partsWithSecrets, type ProviderRequest } from "./provider_request.ts";

/** The longest reason, in UTF-16 code units. */
const MAX_REASON = 1_000;

/** The longest id, in UTF-16 code units. */
const MAX_ID = 200;

/** Makes reasons that may be shown: without the secrets of a request, and of bounded length. */
export class Reasons {
  readonly #redactor: Redactor;

  /** Learns the secrets of a request. */
  constructor(request: ProviderRequest) {
    this.#redactor = new Redactor(partsWithSecrets(request));
  }

  /** Returns a text without secrets, as long as it is. */
  redact(text: string): string {
    return this.#redactor.text(text);
  }

  /** Makes an id of a provider's fit to be shown. */
  ofId(id: string): string {
    return this.redact(id).slice(0, MAX_ID).toWellFormed();
  }

  /** Returns a copy of a thrown value without secrets. */
  redactThrown(error: unknown): unknown {
    return this.#redactor.thrown(error);
  }

  /** Makes a reason of a text. */
  ofText(text: string): string {
    return this.redact(text).slice(0, MAX_REASON);
  }

  /**
   * Makes a reason of a thrown value.
   *
   * Its stack is not looked at: to write one takes the runtime a millisecond, and a
   * provider that dies with a hundred runs kept everybody waiting for 170 ms.
   */
  ofThrown(error: unknown): string {
    return this.#redactor.words(wordsOf(error)).slice(0, MAX_REASON);
  }
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  // Its message is that of its cause, or says the same in plainer words.
  const saysAll = error instanceof UpstreamConnectionError;
  // `fetch` itself says only that it has failed.
  return cause instanceof Error && !saysAll
    ? `${message}: ${cause.message}`
    : message;
}
