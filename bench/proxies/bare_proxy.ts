/**
 * A proxy of the bare runtime, a process of its own: `node:http` and nothing else,
 * which is the floor of what a relay takes to pass on a request, or to write its
 * answer to followers too.
 *
 * @module
 */
import { Agent, createServer } from "node:http";
import { parseArgs } from "node:util";
import { BareTopics } from "./bare_topics.ts";
import { pass } from "./pass.ts";

const { values } = parseArgs({ options: { provider: { type: "string" } } });
const provider = new URL(values.provider ?? "");
const agent = new Agent({ keepAlive: true });
const topics = new BareTopics();

const server = createServer({ noDelay: true }, (incoming, outgoing) => {
  outgoing.on("error", () => {});
  if (topics.take(incoming, outgoing)) return;
  const topic = incoming.headers["rivulet-topic"];
  const follower = typeof topic === "string"
    ? {
      write: (bytes: Uint8Array) => topics.write(topic, bytes),
      end: () => topics.end(topic),
    }
    : undefined;
  pass(provider, incoming, outgoing, agent, follower);
});
server.on("upgrade", (incoming, socket) => topics.follow(incoming, socket));
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") {
    console.log(`listens on http://127.0.0.1:${address.port}`);
  }
});
