/**
 * A relay in front of a URL that speaks SSE: the relay reads it once, and as many
 * subscribers as you like follow, over WebSocket and SSE.
 *
 * ```sh
 * deno run --allow-net --allow-env fan_out.ts https://example.com/events
 * ```
 *
 * @module
 */
import { createRelay } from "@rivulet/rivulet/relay";

const [upstream, port = "8787"] = Deno.args;
if (upstream === undefined) {
  console.error("Usage: fan_out.ts URL [PORT]");
  Deno.exit(2);
}
await using relay = createRelay({
  port: Number(port),
  sources: [{ name: "news", url: upstream }],
});
const { url } = await relay.listen();
console.log(`Follow ${url}/topics/news`);

// Until it is told to stop; subscribers are then sent to the next relay.
await new Promise((resolve) =>
  Deno.addSignalListener("SIGINT", () => resolve(0))
);
