/**
 * Topics of a relay in other processes, as everybody can read them.
 *
 * @module
 */
import { z } from "zod";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { TopicEnd } from "../../../relay/topics/end.ts";
import { LIMIT, until } from "../within.ts";
import { RELAY_SHAPE } from "./shape.ts";

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

const descriptionOf = z.object({
  name: z.string(),
  state: z.enum(["pending", "open", "ended"]),
  epoch: z.string(),
  next: z.int(),
  subscribers: z.int(),
  source: z.string().nullable(),
});

/** The description of a topic, as far as tests need it. */
export type RemoteDescription = z.infer<typeof descriptionOf>;

/**
 * Describes a topic.
 *
 * @returns `undefined` if there is none.
 */
export async function describeRemoteTopic(
  url: string,
  name: string,
): Promise<RemoteDescription | undefined> {
  const response = await fetch(
    `${url}/topics/${encodeURIComponent(name)}/info`,
  );
  const text = await response.text();
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
  return descriptionOf.parse(JSON.parse(text));
}

/** The gauge of the subscriptions that begin at any door. */
const SUBSCRIPTIONS = /^rivulet_subscriptions\{.*\} (\d+)$/gm;

/**
 * Counts who follows a topic. Each worker knows of its own alone: of these, all
 * subscriptions are counted, so that a test may have no other topic followed.
 */
export async function remoteFollowers(
  url: string,
  name: string,
): Promise<number> {
  if (RELAY_SHAPE !== "workers") {
    return (await describeRemoteTopic(url, name))?.subscribers ?? 0;
  }
  const text = await (await fetch(`${url}/metrics`)).text();
  return [...text.matchAll(SUBSCRIPTIONS)]
    .reduce((sum, [, count]) => sum + Number(count), 0);
}

const listOf = z.object({ topics: z.array(z.object({ name: z.string() })) });

/** Lists the names of up to 1,000 topics, in their order. */
export async function remoteNames(url: string): Promise<string[]> {
  const response = await fetch(`${url}/topics?limit=1000`);
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
  return listOf.parse(JSON.parse(text)).topics.map(({ name }) => name);
}

/** Waits for the end of a topic. */
export async function remoteEnd(url: string, name: string): Promise<TopicEnd> {
  return await until(
    async () => (await readRemoteTopic(url, name))?.end,
    LIMIT,
    `the end of topic ${name}`,
  );
}
