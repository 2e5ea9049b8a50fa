/**
 * Sends short requests through a relay. A program of its own, since V8 is started with
 * flags that have it say what it collects.
 *
 * @module
 */
import { createRelay } from "../../../relay/relay.ts";

const AT_A_TIME = 8;
const REQUESTS = 1_600;

await using provider = Deno.serve(
  { port: 0, hostname: "127.0.0.1", onListen() {} },
  async (request) => {
    await request.text();
    return Response.json({ choices: [] });
  },
);
await using relay = createRelay({
  port: 0,
  gateway: {
    providers: [{
      name: "p",
      url: `http://127.0.0.1:${provider.addr.port}/v1`,
    }],
  },
});
const { url } = await relay.listen();

async function send(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", messages: [] }),
    });
    await answer.text();
  }
}

await Promise.all(
  Array.from({ length: AT_A_TIME }, () => send(REQUESTS / AT_A_TIME)),
);
