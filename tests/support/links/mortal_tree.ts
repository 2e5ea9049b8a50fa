/**
 * A tree of relays in processes of their own, each of which can be killed, in front of one
 * provider.
 *
 * @module
 */
import { CallerStream } from "../gateway/caller_stream.ts";
import { type ProviderExchange, RawProvider } from "../gateway/raw_provider.ts";
import { PlacedRelay } from "../relay/placed_relay.ts";
import { LIMIT, within } from "../within.ts";

/** A root, a relay in the middle, and two edges, each in front of the provider `raw`. */
export class MortalTree implements AsyncDisposable {
  readonly provider: RawProvider;
  readonly root: PlacedRelay;
  readonly middle: PlacedRelay;
  readonly edge: PlacedRelay;
  readonly other: PlacedRelay;

  private constructor(provider: RawProvider, store: string) {
    this.provider = provider;
    const place = (name: string, store: string): PlacedRelay =>
      new PlacedRelay(name, (port) => [
        ...["--port", `${port}`, "--links", "--store", store],
        ...["--provider", `raw=${provider.url}`],
      ]);
    this.root = place("the root", store);
    this.middle = place("the middle", this.root.url);
    this.edge = place("the edge", this.middle.url);
    this.other = place("the other edge", this.middle.url);
  }

  /**
   * Starts all of it.
   *
   * @param store The store of the root.
   */
  static async start(store: string): Promise<MortalTree> {
    const tree = new MortalTree(await RawProvider.start(), store);
    try {
      for (const relay of tree.relays) await relay.start();
      for (const relay of tree.relays) await relay.isReady();
      return tree;
    } catch (error) {
      await tree[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The relays, the root first. */
  get relays(): readonly PlacedRelay[] {
    return [this.root, this.middle, this.edge, this.other];
  }

  /** Asks a relay for a stream that fills a topic. */
  async ask(
    { url }: PlacedRelay,
    path: string,
    topic: string,
    headers: Readonly<Record<string, string>> = {},
    body: object = {},
  ): Promise<CallerStream> {
    const answer = fetch(`${url}/v1/${path}`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Rivulet-Topic": topic,
        ...headers,
      },
      body: JSON.stringify({ stream: true, ...body }),
    });
    return new CallerStream(await within(answer, LIMIT, `a run of ${topic}`));
  }

  /** Waits for the next request to the provider, whose body is read. */
  async next(): Promise<ProviderExchange> {
    const exchange = await this.provider.next();
    await exchange.body();
    return exchange;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const relay of this.relays) await relay[Symbol.asyncDispose]();
    await this.provider[Symbol.asyncDispose]();
  }
}
