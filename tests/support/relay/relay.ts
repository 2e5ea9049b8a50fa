import { assert } from "@std/assert";
import { createRelay, type Relay } from "../../../relay/relay.ts";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { TopicRegistry } from "../../../relay/topics/registry.ts";
import { InProcessOnlyError, RELAY_SHAPE, type RelayShape } from "./shape.ts";
import { startWorkersRelay } from "./workers_relay.ts";

/** A relay whose topics have the handles of the engine, too. */
export interface OpenRelay extends Relay {
  readonly topics: TopicRegistry;
}

/** A relay that listens on a free port until it is disposed of. */
export interface TestRelay extends AsyncDisposable {
  readonly relay: OpenRelay;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  /** Requests a path; the body of the answer has to be read. */
  request(path: string, init?: RequestInit): Promise<Response>;
}

function isOpen(relay: Relay): relay is OpenRelay {
  return relay.topics instanceof TopicRegistry;
}

/** Makes a relay, and hands out what `Relay` hides from the program that embeds it. */
export function createOpenRelay(options?: RelayOptions): OpenRelay {
  const relay = createRelay(options);
  assert(isOpen(relay));
  return relay;
}

/** Starts a relay with workers in the place of one of this process. */
async function startWorkers(options: RelayOptions): Promise<TestRelay> {
  const command = await startWorkersRelay(options);
  const { url } = command;
  return {
    get relay(): never {
      throw new InProcessOnlyError("the relay's topics, or to drain it");
    },
    url,
    port: Number(new URL(url).port),
    request: (path, init) => fetch(url + path, init),
    [Symbol.asyncDispose]: () => command[Symbol.asyncDispose](),
  };
}

/** Starts the third level of a tree: the store, and what bounds it, is the root's. */
async function startLeaf(options: RelayOptions): Promise<TestRelay> {
  const { store, clock, retention, limits } = options;
  await using above = new AsyncDisposableStack();
  const root = above.use(
    await startInProcess({
      ...store !== undefined && { store },
      ...clock && { clock },
      ...retention && { retention },
      ...limits && {
        limits: {
          maxTopics: limits.maxTopics,
          maxTopicsPerToken: limits.maxTopicsPerToken,
        },
      },
      links: true,
    }),
  );
  const middle = above.use(
    await startInProcess({
      ...clock && { clock },
      store: root.url,
      links: true,
    }),
  );
  const leaf = await startInProcess({ ...options, store: middle.url });
  const kept = above.move();
  return {
    ...leaf,
    async [Symbol.asyncDispose]() {
      await leaf[Symbol.asyncDispose]();
      await kept.disposeAsync();
    },
  };
}

async function startInProcess(options: RelayOptions): Promise<TestRelay> {
  const relay = createOpenRelay({ port: 0, ...options });
  const { url, port } = await relay.listen();
  return {
    relay,
    url,
    port,
    request: (path, init) => fetch(url + path, init),
    async [Symbol.asyncDispose]() {
      await relay.close();
      // After an answer whose request had a body, @hono/node-server looks twice,
      // a timer each, whether it was read: they are not to outlive the test.
      for (let i = 0; i < 3; i++) {
        await new Promise((resolve) => setTimeout(resolve));
      }
    },
  };
}

const STARTS: Readonly<
  Record<RelayShape, (options: RelayOptions) => Promise<TestRelay>>
> = { process: startInProcess, workers: startWorkers, tree: startLeaf };

/**
 * Starts a relay for a test.
 *
 * @param options Its options.
 * @param shape The shape that it has. Default: that of this run of the tests.
 */
export function startRelay(
  options: RelayOptions = {},
  shape: RelayShape = RELAY_SHAPE,
): Promise<TestRelay> {
  return STARTS[shape](options);
}
