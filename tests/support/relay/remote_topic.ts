/**
 * Topics of a relay in other processes, as everybody can read them.
 *
 * @module
 */
import { z } from "zod";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { TopicEnd } from "../../../relay/topics/end.ts";
import { LIMIT, until } from "../within.ts";

const pageOf = z.object({
  epoch: z.string(),
  next: z.int(),
  events: z.array(z.object({
    event: z.string().default("message"),
    data: z.string(),
    id: z.string().default(""),
  })),
  end: z.object({
    status: z.enum(["complete", "failed", "truncated", "cancelled", "expired"]),
    reason: z.string().optional(),
  }).optional(),
});

/** The kept part of a topic. */
export interface RemoteTopic {
  readonly events: readonly ServerSentEvent[];
  /** The end, if it has ended. */
  readonly end: TopicEnd | undefined;
}

/**
 * Reads a topic.
 *
 * @returns `undefined` if there is none.
 */
export async function readRemoteTopic(
  url: string,
  name: string,
): Promise<RemoteTopic | undefined> {
  const events: ServerSentEvent[] = [];
  for (let after = "start";;) {
    const response = await fetch(
      `${url}/topics/${encodeURIComponent(name)}?after=${after}`,
      { headers: { Accept: "application/json" } },
    );
    const text = await response.text();
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`${response.status}: ${text}`);
    const page = pageOf.parse(JSON.parse(text));
    events.push(...page.events);
    if (page.events.length === 0 || page.end) {
      return { events, end: page.end as TopicEnd | undefined }; // undefined is none
    }
    after = `${page.epoch}:${page.next - 1}`;
  }
}

/** Waits for the end of a topic. */
export async function remoteEnd(url: string, name: string): Promise<TopicEnd> {
  return await until(
    async () => (await readRemoteTopic(url, name))?.end,
    LIMIT,
    `the end of topic ${name}`,
  );
}
