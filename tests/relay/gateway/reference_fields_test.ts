// Every field by which the newest API of a provider names something, with what the relay
// does about it. The fields are read from the types of the SDKs, so that a field that a new
// version adds fails here until somebody has decided.
import { assert, assertEquals } from "@std/assert";
import { COLLECTIONS } from "../../../relay/gateway/references.ts";

/** The reasons why a field is not checked. */
type Unchecked =
  /** The id of a call, a lane, a tab and the like: it counts within the request. */
  | "of the request"
  /** An item of an earlier response: PROTOCOL.md says that these are not checked. */
  | "an item"
  /** A note for statistics or caches: nothing is looked up by it. */
  | "a note"
  /** The same for every account. */
  | "public"
  /** Only answers, and the words of models to tools, have it. */
  | "of an answer"
  /** The SDK sends it as a header. */
  | "a header"
  /** The names within it are checked. */
  | "within it"
  /** Only its description speaks of ids. */
  | "no name";

/** The decisions: of a checked field, with the collection at the provider. */
const DECISIONS: Readonly<Record<string, Unchecked | `checked: ${string}`>> = {
  approval_request_id: "an item",
  // The id of an audio of an earlier answer, as of an item.
  audio: "an item",
  billing_policy: "a header",
  call_id: "of the request",
  caller_id: "of the request",
  comparison_response_id: "checked: responses",
  connector_id: "public",
  container: "checked: containers",
  container_id: "checked: containers",
  conversation: "checked: conversations",
  created_by: "of an answer",
  delta: "of an answer",
  document_ids: "of an answer",
  download_id: "of an answer",
  file_id: "checked: files",
  file_ids: "checked: files",
  from: "no name",
  generate: "no name",
  // Checked where it is that of a prompt, a container, a conversation or a voice.
  id: "an item",
  item_id: "an item",
  logit_bias: "no name",
  model: "public",
  previous_message_id: "checked: messages",
  previous_response_id: "checked: responses",
  prompt: "checked: prompts",
  safety_identifier: "a note",
  skill_id: "checked: skills",
  skills: "within it",
  stream_id: "of the request",
  tab_id: "of an answer",
  thread: "within it",
  to: "no name",
  tool_call_id: "of the request",
  tool_id: "of the request",
  tool_use_id: "of the request",
  tools: "within it",
  tunnel_id: "checked: tunnels",
  user: "a note",
  user_id: "a note",
  user_profile_id: "a header",
  vector_store_id: "checked: vector_stores",
  vector_store_ids: "checked: vector_stores",
  // That of a skill.
  version: "no name",
  voice: "checked: audio/voices",
  workspace_id: "a header",
};

/** Fields that name something, although neither their names nor their comments say so. */
const SILENT = ["conversation", "prompt", "vector_store_id"];

/** The modules of the SDKs with the types of the requests that make runs. */
const MODULES = [
  "openai/resources/responses/responses",
  "openai/resources/chat/completions/completions",
  "openai/resources/completions",
  "@anthropic-ai/sdk/resources/messages/messages",
  "@anthropic-ai/sdk/resources/beta/messages/messages",
];

/** A property of a type, and its doc comment. */
const PROPERTY =
  /(?:\/\*\*((?:(?!\*\/)[^])*)\*\/\s*)?\n\s+["']?([A-Za-z_]\w*)["']?\??: /g;

const NAME = /(?:^|_)ids?$/;

const COMMENT = /\bIDs?\b|\bunique identifier\b|\bidentifier of\b/i;

async function fieldsOfSdks(): Promise<Set<string>> {
  const fields = new Set<string>();
  for (const module of MODULES) {
    const url = import.meta.resolve(module).replace(/\.m?js$/, ".d.ts");
    const types = await Deno.readTextFile(new URL(url));
    const before = fields.size;
    for (const [, comment = "", name = ""] of types.matchAll(PROPERTY)) {
      if (NAME.test(name) || COMMENT.test(comment)) fields.add(name);
    }
    assert(fields.size >= before && types.length > 1_000, module);
  }
  return fields;
}

Deno.test("Every field that names something at a provider has been decided on", async () => {
  const fields = await fieldsOfSdks();
  for (const name of SILENT) fields.add(name);
  assertEquals([...fields].sort(), Object.keys(DECISIONS).sort());
});

Deno.test("The relay checks the fields that the table says", () => {
  const checked = Object.entries(DECISIONS).flatMap(([name, decision]) =>
    decision.startsWith("checked: ")
      ? [[name, decision.slice("checked: ".length)]]
      : []
  );
  assertEquals(Object.fromEntries(checked), Object.fromEntries(COLLECTIONS));
});
