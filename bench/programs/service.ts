/**
 * The service that the programs of the comparison ask, and the results that
 * they must give.
 */

/** A server of Chat Completions. */
export interface Service {
  readonly baseURL: string;
  readonly apiKey: string;
  readonly model: string;
  readonly fetch: (
    input: string | URL | Request,
    init?: RequestInit,
  ) => Promise<Response>;
}

/** The content of a picture. */
export interface Description {
  readonly text: string;
  /**
   * `"completed"`, `"cut off"` at the limit of tokens, or `"failed: "` and the words of
   * the provider, or of the library where the stream has merely stopped.
   */
  readonly ending: string;
  /** The usage as the provider says it, `undefined` if it does not. */
  readonly usage: unknown;
}

/** Asks for the description of a picture, with settings and a header of this request alone. */
export type Describe = (
  service: Service,
  url: string,
) => Promise<Description>;

/** Asks with a tool that may fail, until the model answers. */
export type AskWithTools = (
  service: Service,
  question: string,
  weather: (city: string) => number,
) => Promise<string>;

/** Asks for the degrees in a city; text that is no such data is an error with the text. */
export type AskForData = (
  service: Service,
  city: string,
) => Promise<{ degrees: number } | { text: string }>;
