import type { Stored } from "../../../topics/stored.ts";
import { pacedBody } from "../../paced_body.ts";
import { describeTopic } from "./describe_topic.ts";
import type { TopicWindow } from "./topic_window.ts";

/** Answers a client with a page of a list. */
export async function pageResponse(
  window: Stored<TopicWindow>,
  client: string,
): Promise<Response> {
  const { topics, next, counts } = await window;
  function* pieces(): Generator<string, void> {
    yield '{"topics":[';
    for (const [index, topic] of topics.entries()) {
      yield `${index > 0 ? "," : ""}${JSON.stringify(describeTopic(topic))}`;
    }
    yield `]${next === undefined ? "" : `,"next":${JSON.stringify(next)}`}`;
    yield counts ? `,"counts":${JSON.stringify(counts)}}` : "}";
  }
  return new Response(await pacedBody(pieces(), { client }), {
    headers: {
      "Content-Type": "application/json",
      "Cache-Control": "no-store",
    },
  });
}
