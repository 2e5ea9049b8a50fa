/**
 * A proxy of the bare runtime, a process of its own: `node:http` and nothing else,
 * which is the floor of what a relay takes to pass on a request.
 *
 * @module
 */
import { Agent, createServer } from "node:http";
import { parseArgs } from "node:util";
import { pass } from "./pass.ts";

const { values } = parseArgs({ options: { provider: { type: "string" } } });
const provider = new URL(values.provider ?? "");
const agent = new Agent({ keepAlive: true });

const server = createServer({ noDelay: true }, (incoming, outgoing) => {
  outgoing.on("error", () => {});
  pass(provider, incoming, outgoing, agent);
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") {
    console.log(`listens on http://127.0.0.1:${address.port}`);
  }
});
