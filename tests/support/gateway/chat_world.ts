/**
 * A relay in front of an application's chat route that does what a test tells it to.
 *
 * @module
 */
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { turnPart } from "../../../src/model/wires/ui/turn.ts";
import { LIMIT, within } from "../within.ts";
import { CallerStream } from "./caller_stream.ts";
import {
  type Begun,
  type GatewayWorld,
  startGateway,
} from "./gateway_world.ts";

/** The header by which an application says that it sends UI messages. */
export const UI_HEADER = { "x-vercel-ai-ui-message-stream": "v1" };

/** A turn of a chat that is not the usual one. */
export interface AskedTurn {
  /** The id of the chat. Default: `7`. */
  readonly id?: string;
  /** The user's text. Default: `Hi`. */
  readonly text?: string;
  /** Besides the type of the body. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Takes it back. */
  readonly signal?: AbortSignal;
}

/** A relay, and the application behind its chat route `raw`. */
export interface ChatWorld extends GatewayWorld {
  /** Asks for a turn. */
  say(asked?: AskedTurn): Promise<CallerStream>;
  /** Asks for a turn, and waits until the application was asked; the answer is waited for later. */
  beginTurn(asked?: AskedTurn): Promise<Begun>;
  /** Asks for the answer that is under way. */
  resume(id?: string, headers?: Readonly<Record<string, string>>): Promise<
    CallerStream
  >;
  /** Stops the answer that is under way. */
  stop(id?: string, headers?: Readonly<Record<string, string>>): Promise<
    CallerStream
  >;
}

/** The message of a user. */
export function userMessage(text: string): object {
  return { id: "u1", role: "user", parts: [{ type: "text", text }] };
}

/** An event of an event stream. */
export function part(value: unknown): string {
  return `data: ${
    typeof value === "string" ? value : JSON.stringify(value)
  }\n\n`;
}

/** The event that a turn begins with. */
export function opening(text = "Hi"): string {
  return part(turnPart(userMessage(text)));
}

/** The beginning of an answer. */
export const BEGIN: string = [
  { type: "start", messageId: "a1" },
  { type: "text-start", id: "t" },
  { type: "text-delta", id: "t", delta: "Hel" },
].map(part).join("");

/** The rest of it. */
export const REST: string = [
  { type: "text-delta", id: "t", delta: "lo" },
  { type: "text-end", id: "t" },
  { type: "finish" },
  "[DONE]",
].map(part).join("");

/** Starts both. */
export async function startChats(
  options: RelayOptions = {},
  route: { secret?: string; shared?: boolean } = {},
): Promise<ChatWorld> {
  const world = await startGateway(options, {}, route);
  const ask = async (
    path: string,
    init: RequestInit,
    what: string,
  ): Promise<CallerStream> =>
    new CallerStream(
      await within(world.request(`/chat/raw${path}`, init), LIMIT, what),
    );
  const say = (
    { id = "7", text = "Hi", headers = {}, signal }: AskedTurn = {},
  ): Promise<CallerStream> =>
    ask("", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({
        id,
        messages: [userMessage(text)],
        trigger: "submit-message",
      }),
      ...(signal && { signal }),
    }, "the relay's answer");
  // A copy would ask for the relay, which may be in another process.
  return Object.assign(world, {
    say,
    async beginTurn(asked?: AskedTurn): Promise<Begun> {
      const answer = say(asked);
      answer.catch(() => {}); // waited for where it is of interest
      const exchange = await Promise.race([
        world.provider.next(),
        answer.then(async (refused) => {
          throw new Error((await refused.rest()).text);
        }),
      ]);
      await exchange.body();
      return { exchange, answer };
    },
    resume: (id = "7", headers: Readonly<Record<string, string>> = {}) =>
      ask(`/${encodeURIComponent(id)}/stream`, { headers }, "an answer"),
    stop: (id = "7", headers: Readonly<Record<string, string>> = {}) =>
      ask(
        `/${encodeURIComponent(id)}/stop`,
        { method: "POST", headers },
        "the stop",
      ),
  });
}
