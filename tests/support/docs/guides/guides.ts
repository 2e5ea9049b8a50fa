/**
 * Every guide, with what its words tell a reader to do beside its blocks.
 *
 * @module
 */
import { isChromiumMissing } from "../../client/chromium.ts";
import { bundlePage, followChatGuide } from "./chat.ts";
import type { Guide } from "./follow.ts";
import type { Reader } from "./reader.ts";
import { startNats } from "./nats.ts";

const ROOT = new URL("../../../../", import.meta.url);

/** The recorded answers that programs name: a reader takes them from the repository. */
async function takeRecordings({ folder }: Reader): Promise<void> {
  await Deno.mkdir(`${folder}/fixtures`);
  for (const name of ["demo.sse", "chat.sse"]) {
    await Deno.copyFile(
      new URL(`fixtures/${name}`, ROOT),
      `${folder}/fixtures/${name}`,
    );
  }
}

/** Makes a key, and puts it into the variable. */
async function makeKey(reader: Reader): Promise<void> {
  const key = await reader.run(
    "deno run -A jsr:@rivulet/rivulet/cli token --new-key",
  );
  await setKey(reader, key);
}

function setKey(reader: Reader, key: string): Promise<void> {
  reader.env["RIVULET_JWT_KEY"] = key.trim();
  return Promise.resolve();
}

/** Has the demo run, which the README starts in a checkout. */
async function startDemo(reader: Reader): Promise<void> {
  await reader.type("deno run -A jsr:@rivulet/rivulet/cli demo");
}

const OF_A_CHECKOUT = "is run in a checkout, not in an empty folder";

/** The pages of docs/, and the README. */
export const GUIDES: readonly Guide[] = [
  {
    page: "README.md",
    given: takeRecordings,
    not: { "task demo": OF_A_CHECKOUT, "task test": OF_A_CHECKOUT },
    before: { "wscat": startDemo },
  },
  { page: "docs/relay.md" },
  { page: "docs/page.md", before: { "token": makeKey } },
  { page: "docs/gateway.md" },
  { page: "docs/subscribe.md" },
  { page: "docs/publish.md" },
  { page: "docs/rights.md", before: { "token": makeKey } },
  {
    page: "docs/terminal.md",
    showsOutput: true,
    not: { "deno install": "needs a network; its program is there" },
  },
  { page: "docs/stores.md" },
  { page: "docs/workers.md" },
  { page: "docs/edges.md", before: { "token --link": makeKey } },
  { page: "docs/cluster.md", given: startNats },
  { page: "docs/agents.md" },
  {
    page: "docs/chat.md",
    lacks: isChromiumMissing,
    online: bundlePage,
    follow: followChatGuide,
  },
  {
    page: "docs/chat_library.md",
    after: {
      "token --new-key": (reader, key) => reader.write("relay.key", key),
    },
  },
  { page: "docs/sse.md" },
  { page: "docs/model.md", given: takeRecordings },
  { page: "docs/providers.md" },
  { page: "docs/testing.md" },
  {
    page: "docs/production.md",
    not: { "task tree": OF_A_CHECKOUT },
    after: { "token --new-key": setKey },
  },
  {
    page: "docs/containers.md",
    not: {
      "docker": "needs Docker: tests/docs/containers_test.ts tries the rest",
    },
    after: { "token --new-key": setKey },
  },
  { page: "docs/metrics.md", cannot: "is a table to look things up" },
  { page: "docs/numbers.md", cannot: "is a table to look things up" },
];
