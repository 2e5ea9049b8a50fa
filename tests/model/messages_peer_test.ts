/**
 * `@anthropic-ai/sdk` on the recordings of Anthropic: the client has to give what
 * it gives, sent back in the shape that it came in.
 *
 * Not for Node and Bun, where the peer would say the same.
 */
import Anthropic from "@anthropic-ai/sdk";
import { assert, assertEquals } from "@std/assert";
import { ModelClient, providers } from "../../src/model/mod.ts";
import { messagesBody } from "../../src/model/wires/messages/request.ts";
import { DEFAULT_TRAITS } from "../../src/model/wires/server_traits.ts";
import {
  readRecordings,
  recordingsMissing,
} from "../support/recordings/recordings.ts";

function answer(bytes: Uint8Array, size: number): () => Promise<Response> {
  return () => {
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(at, at += size));
      },
    });
    const headers = { "content-type": "text/event-stream" };
    return Promise.resolve(new Response(body, { headers }));
  };
}

/** Removes the values that the peer adds, or leaves out, of its own accord. */
const NORMAL = (_: string, value: unknown): unknown =>
  value === null || Array.isArray(value) && value.length === 0
    ? undefined
    : value;

const normal = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, NORMAL));

Deno.test({
  name: "ModelClient gives what @anthropic-ai/sdk gives of every recording",
  ignore: recordingsMissing("ModelClient gives what the peer gives"),
  fn: async () => {
    let seen = 0;
    for (const [name, bytes] of await readRecordings()) {
      if (!name.includes(".anthropic.")) continue;
      seen++;
      const peer = new Anthropic({
        apiKey: "key",
        fetch: answer(bytes, 1_000),
      });
      const theirs = await peer.beta.messages.stream({
        model: "claude",
        max_tokens: 1,
        messages: [{ role: "user", content: "Hi" }],
      }).finalMessage();
      const client = new ModelClient({
        model: "claude",
        provider: { ...providers.anthropic, apiKey: "key" },
        fetch: answer(bytes, 1_000),
      });
      const stream = await client.stream({ input: "Hi" });
      const ours = await stream.final();

      const { messages } = messagesBody({
        model: "claude",
        prompt: { input: ours.output },
        reasoning: undefined,
      }, DEFAULT_TRAITS);
      const [first] = messages as { content: unknown }[]; // as it was made
      assertEquals(normal(first?.content), normal(theirs.content), name);
      assertEquals(ours.responseId, theirs.id, name);
      assertEquals(ours.model, theirs.model, name);
      const ending = ours.status === "incomplete" ? ours.reason : ours.status;
      assertEquals(
        ending,
        theirs.stop_reason === "pause_turn" ? "pause_turn" : "completed",
        name,
      );
      const { usage } = theirs;
      assertEquals(ours.usage?.outputTokens, usage.output_tokens, name);
      assertEquals(
        ours.usage?.inputTokens,
        usage.input_tokens + (usage.cache_creation_input_tokens ?? 0) +
          (usage.cache_read_input_tokens ?? 0),
        name,
      );
    }
    assert(seen >= 5);
  },
});
