/**
 * A tree of relays, each of which is in front of the same provider and application.
 *
 * @module
 */
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { CallerStream } from "../gateway/caller_stream.ts";
import { userMessage } from "../gateway/chat_world.ts";
import { type ProviderExchange, RawProvider } from "../gateway/raw_provider.ts";
import type { TestRelay } from "../relay/relay.ts";
import { LIMIT, within } from "../within.ts";
import { Tree } from "./tree.ts";

/** Relays in a tree, and the provider `raw` behind each, which is the chat `raw`, too. */
export class GatewayTree implements AsyncDisposable {
  readonly provider: RawProvider;
  /** The relays: the root first. */
  readonly relays: readonly TestRelay[];
  readonly #tree: Tree;

  private constructor(provider: RawProvider, tree: Tree) {
    this.provider = provider;
    this.relays = tree.relays;
    this.#tree = tree;
  }

  /** Starts a root and some levels below. */
  static async start(
    levels: number,
    more: RelayOptions = {},
  ): Promise<GatewayTree> {
    const provider = await RawProvider.start();
    const options: RelayOptions = {
      ...more,
      chats: [{ name: "raw", url: `${provider.url}/chat` }],
      gateway: { providers: [{ name: "raw", url: provider.url }] },
    };
    return new GatewayTree(
      provider,
      await Tree.start(levels, options, options),
    );
  }

  /** Asks a relay for a stream that fills a topic. */
  async ask(
    relay: TestRelay,
    path: string,
    topic: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<CallerStream> {
    return await post(relay, `/v1/${path}`, { stream: true }, {
      "Rivulet-Topic": topic,
      ...headers,
    });
  }

  /** Says something to the application, in a chat. */
  async say(relay: TestRelay, id: string): Promise<CallerStream> {
    const messages = [userMessage("Hi")];
    return await post(relay, "/chat/raw", { id, messages });
  }

  /** Waits for the next request to the provider, whose body is read. */
  async next(): Promise<ProviderExchange> {
    const exchange = await this.provider.next();
    await exchange.body();
    return exchange;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tree[Symbol.asyncDispose]();
    await this.provider[Symbol.asyncDispose]();
  }
}

async function post(
  { request }: TestRelay,
  path: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<CallerStream> {
  const answer = request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return new CallerStream(await within(answer, LIMIT, `POST ${path}`));
}
