import { createRelay, type Relay } from "../../../relay/relay.ts";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";

/** A relay that listens on a free port until it is disposed of. */
export interface TestRelay extends AsyncDisposable {
  readonly relay: Relay;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  /** Requests a path; the body of the answer has to be read. */
  request(path: string, init?: RequestInit): Promise<Response>;
}

/** Starts a relay for a test. */
export async function startRelay(
  options: RelayOptions = {},
): Promise<TestRelay> {
  const relay = createRelay({ port: 0, ...options });
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
