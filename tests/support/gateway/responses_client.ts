/**
 * The WebSocket client of OpenAI's own package, which makes responses through a relay.
 *
 * @module
 */
import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";
import { LIMIT, until } from "../within.ts";

/** A message of the relay. */
export type ServerMessage = Readonly<Record<string, unknown>>;

/** Options of {@linkcode ResponsesClient.open}. */
export interface ResponsesClientOptions {
  /** The path of the provider. Default: `/v1`. */
  readonly base?: string;
  /** The key, which may be a token. Default: `sk-of-the-caller`. */
  readonly apiKey?: string;
  /** Further headers of the upgrade. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client, and what it was told. */
export class ResponsesClient implements AsyncDisposable {
  /** The client. */
  readonly ws: ResponsesWS;
  /** The relay's messages, in order. */
  readonly messages: ServerMessage[] = [];
  /** The code with which the connection was closed. */
  code: number | undefined;
  #read = 0;

  private constructor(ws: ResponsesWS) {
    this.ws = ws;
    ws.on("event", (event) => this.messages.push({ ...event }));
    ws.on("error", () => {}); // it is among the events
    ws.on("close", (code: number) => this.code = code);
  }

  /** Connects to a relay. */
  static open(
    url: string,
    { base = "/v1", apiKey = "sk-of-the-caller", headers }:
      ResponsesClientOptions = {},
  ): ResponsesClient {
    const client = new OpenAI({ baseURL: url + base, apiKey });
    // The options are those of `ws`, of which the project has no types.
    const options: object = headers ? { headers: { ...headers } } : {};
    return new ResponsesClient(new ResponsesWS(client, options));
  }

  /** Asks for a response. */
  create(fields: Readonly<Record<string, unknown>> = {}): void {
    const message = { type: "response.create", model: "m", ...fields };
    this.ws.send(message as Parameters<ResponsesWS["send"]>[0]); // some are wrong on purpose
  }

  /** Returns the next message of a type; those before it are passed over. */
  next(type: string): Promise<ServerMessage> {
    return until(
      () => {
        for (let at = this.#read; at < this.messages.length; at++) {
          if (this.messages[at]?.["type"] !== type) continue;
          this.#read = at + 1;
          return this.messages[at];
        }
        return undefined;
      },
      LIMIT,
      () =>
        `the message ${type}, after ${JSON.stringify(this.messages.slice(-3))}`,
    );
  }

  /** Resolves with the code when the connection is closed. */
  closed(): Promise<number> {
    return until(() => this.code, LIMIT, "the connection to be closed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.code !== undefined) return;
    this.ws.close();
    await this.closed();
  }
}
