/**
 * The relay of the bench of lists: with many topics, of which some get events all the
 * time. `relay.ts TOPICS LIVE`; it prints its port when all topics are there.
 *
 * @module
 */
import { createRelay } from "../../relay/mod.ts";

/** The time between two events of a topic, in milliseconds. */
const PACE = 100;

/** The number of topics that get their events at a time. */
const GROUPS = 10;

const [count = 0, live = 0] = Deno.args.map(Number);

const relay = createRelay({
  port: 0,
  limits: { maxTopics: count + 1 },
  retention: { maxEvents: 100 },
});
const topics = Array.from({ length: count }, (_, index) => {
  const topic = relay.topics.create(`topic-${String(index).padStart(6, "0")}`);
  topic.append([{ data: "1" }]);
  return topic;
});
const filled = topics.slice(0, live);
let group = 0;
setInterval(() => {
  group = (group + 1) % GROUPS;
  for (let index = group; index < filled.length; index += GROUPS) {
    filled[index]?.append([{ data: "x".repeat(100) }]);
  }
}, PACE / GROUPS);
const { port } = await relay.listen();
console.log(`port ${port}`);
