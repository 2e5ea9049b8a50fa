/**
 * The rules by which Anthropic's Messages API refuses a request, as far as
 * tests need them: the shape of blocks, unknown fields, and the order of calls
 * and their results.
 *
 * @module
 */
import { z } from "zod";

const cache = { cache_control: z.unknown().optional() };
const id = z.string().regex(/^[a-zA-Z0-9_-]+$/);

const text = z.strictObject({
  type: z.literal("text"),
  text: z.string().min(1),
  citations: z.array(z.looseObject({ type: z.string() })).optional(),
  ...cache,
});
const source = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("url"), url: z.url() }),
  z.strictObject({ type: z.literal("file"), file_id: z.string() }),
  z.strictObject({
    type: z.literal("base64"),
    media_type: z.string().regex(/^(?:image\/|application\/pdf$)/),
    data: z.base64().min(1),
  }),
  z.strictObject({
    type: z.literal("text"),
    media_type: z.literal("text/plain"),
    data: z.string(),
  }),
]);
const image = z.strictObject({ type: z.literal("image"), source, ...cache });
const document = z.strictObject({
  type: z.literal("document"),
  source,
  title: z.string().optional(),
  ...cache,
});
const input = z.record(z.string(), z.unknown());

const userBlock = z.discriminatedUnion("type", [
  text,
  image,
  document,
  z.strictObject({
    type: z.literal("tool_result"),
    tool_use_id: id,
    content: z.union([
      z.string(),
      z.array(z.discriminatedUnion("type", [text, image, document])),
    ]),
    is_error: z.boolean().optional(),
    ...cache,
  }),
]);
const modelBlock = z.discriminatedUnion("type", [
  text,
  z.strictObject({
    type: z.literal("thinking"),
    thinking: z.string(),
    signature: z.string().min(1),
  }),
  z.strictObject({
    type: z.literal("redacted_thinking"),
    data: z.string().min(1),
  }),
  z.strictObject({
    type: z.literal("tool_use"),
    id,
    name: z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/),
    input,
    caller: z.looseObject({ type: z.string() }).optional(),
    ...cache,
  }),
  z.strictObject({
    type: z.literal("server_tool_use"),
    id,
    name: z.string(),
    input,
    caller: z.looseObject({ type: z.string() }).optional(),
  }),
  ...["web_search", "tool_search", "advisor"].map((name) =>
    z.looseObject({
      type: z.literal(`${name}_tool_result`),
      tool_use_id: id,
      content: z.unknown(),
    })
  ),
  z.strictObject({
    type: z.literal("compaction"),
    content: z.string().nullable(),
  }),
]);

const tool = z.union([
  z.strictObject({
    name: z.string(),
    description: z.string().optional(),
    input_schema: z.looseObject({ type: z.literal("object") }),
    strict: z.boolean().optional(),
    ...cache,
  }),
  z.looseObject({ type: z.string().regex(/_\d{8}$/), name: z.string() }),
]);

const request = z.strictObject({
  model: z.string(),
  max_tokens: z.int().min(1),
  system: z.union([z.string().min(1), z.array(text)]).optional(),
  messages: z.array(z.discriminatedUnion("role", [
    z.strictObject({
      role: z.literal("user"),
      content: z.array(userBlock).min(1),
    }),
    z.strictObject({
      role: z.literal("assistant"),
      content: z.array(modelBlock).min(1),
    }),
    z.strictObject({ role: z.literal("system"), content: z.array(text) }),
  ])).min(1),
  tools: z.array(tool).optional(),
  tool_choice: z.discriminatedUnion("type", [
    z.strictObject({
      type: z.enum(["auto", "any"]),
      disable_parallel_tool_use: z.boolean().optional(),
    }),
    z.strictObject({ type: z.literal("none") }),
    z.strictObject({
      type: z.literal("tool"),
      name: z.string(),
      disable_parallel_tool_use: z.boolean().optional(),
    }),
  ]).optional(),
  thinking: z.discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("enabled"),
      budget_tokens: z.int().min(1_024),
      display: z.enum(["summarized", "omitted"]).optional(),
    }),
    z.strictObject({
      type: z.literal("adaptive"),
      display: z.enum(["summarized", "omitted"]).optional(),
    }),
    z.strictObject({ type: z.literal("disabled") }),
  ]).optional(),
  output_config: z.strictObject({
    effort: z.enum(["low", "medium", "high", "xhigh", "max"]).optional(),
    format: z.strictObject({
      type: z.literal("json_schema"),
      schema: z.looseObject({}),
    }).optional(),
  }).optional(),
  temperature: z.number().min(0).max(1).optional(),
  top_p: z.number().min(0).max(1).optional(),
  stop_sequences: z.array(z.string()).optional(),
  cache_control: z.unknown().optional(),
  stream: z.literal(true),
});

/**
 * Returns what the API says of a request.
 *
 * @param body The body of the request.
 * @returns Why it refuses it; `undefined` if it does not.
 */
export function refusalOf(body: unknown): string | undefined {
  const { data, error } = request.safeParse(body);
  if (data === undefined) return z.prettifyError(error);
  const { thinking, max_tokens: most, messages } = data;
  if (thinking?.type === "enabled" && thinking.budget_tokens >= most) {
    return "`max_tokens` must be greater than `thinking.budget_tokens`";
  }
  const used = new Set<string>();
  let open: string[] = [];
  for (const [index, { role, content }] of messages.entries()) {
    const results: string[] = [];
    for (const [place, block] of content.entries()) {
      if (block.type !== "tool_result") continue;
      if (results.length < place) {
        return `messages.${index}: tool_result blocks must come first`;
      }
      results.push(block.tool_use_id);
    }
    const missing = open.filter((id) => !results.includes(id));
    if (missing.length > 0) {
      return `messages.${index}: tool_use ids were found without tool_result blocks immediately after: ${missing}`;
    }
    const orphan = results.find((id) => !open.includes(id));
    if (orphan !== undefined) {
      return `messages.${index}: unexpected tool_use_id found in tool_result blocks: ${orphan}`;
    }
    open = [];
    if (role !== "assistant") continue;
    for (const block of content) {
      if (block.type !== "tool_use") continue;
      if (used.has(block.id)) return "tool_use ids must be unique";
      used.add(block.id);
      open.push(block.id);
    }
  }
  return open.length > 0 ? `no results for ${open}` : undefined;
}
