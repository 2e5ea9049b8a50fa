/**
 * Reads pages and descriptions of topics.
 *
 * @module
 */
import { z } from "zod";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { Description, TopicRecord } from "./topic_record.ts";
import type { World } from "./world.ts";

/** The time for which a leader of NATS may lag behind, in milliseconds of the world. */
const LAG = 5_000;

const end = z.object({ status: z.string(), reason: z.string().optional() });

const pageOf = z.object({
  epoch: z.string(),
  offset: z.int(),
  next: z.int(),
  recovered: z.boolean(),
  state: z.enum(["pending", "open", "ended"]),
  events: z.array(z.object({
    event: z.string().default("message"),
    data: z.string(),
    id: z.string().default(""),
  })),
  end: end.optional(),
});

/** A page of a topic. */
export interface Page {
  /** The offset of the first event. */
  readonly offset: number;
  readonly events: readonly ServerSentEvent[];
  /** Whether the end of the topic comes after the page. */
  readonly isLast: boolean;
}

/**
 * Reads the page after an offset, and enters it in the record.
 *
 * @returns `undefined` if the relay was away; an empty page if there is no topic.
 */
export async function readPage(
  world: World,
  record: TopicRecord,
  after: number,
  who: string,
): Promise<Page | undefined> {
  const position = after === 0 ? "start" : `${record.epoch}:${after}`;
  const { known } = record;
  const begun = performance.now();
  const answer = await world.ask(`/topics/${record.name}?after=${position}`, {
    headers: { Accept: "application/json" },
  });
  if (!answer) return undefined;
  if (answer.status === 404 && known === 0) {
    return { offset: 1, events: [], isLast: false };
  }
  if (answer.status !== 200) {
    record.fail(who, `after ${position}: ${answer.status} ${answer.text}`);
  }
  const page = pageOf.parse(JSON.parse(answer.text));
  const { epoch, offset, next, recovered, events } = page;
  if (
    !recovered || offset !== after + 1 || next !== offset + events.length
  ) {
    const took = Math.round(performance.now() - begun);
    const said = answer.text.slice(0, 300);
    record.fail(who, `after ${position}, in ${took} ms: ${said}`);
  }
  for (const [index, event] of events.entries()) {
    record.saw(epoch, offset + index, event, who);
  }
  if (page.end) record.sawEnd(epoch, page.end, next - 1, who);
  return { offset, events, isLast: page.end !== undefined };
}

const description = z.object({
  name: z.string(),
  state: z.enum(["pending", "open", "ended"]),
  epoch: z.string(),
  next: z.int(),
  end: end.optional(),
});

const list = z.object({
  topics: z.array(description),
  next: z.string().optional(),
});

/** Returns the description of a topic; `undefined` if the relay was away, or has none. */
export async function describe(
  world: World,
  name: string,
): Promise<Description | undefined> {
  const answer = await world.ask(`/topics?prefix=${name}&limit=1`);
  if (!answer) return undefined;
  const { topics: [first] } = list.parse(JSON.parse(answer.text));
  return first?.name === name ? first : undefined;
}

/**
 * Enters the description of a topic in the record, and returns it; `undefined` if the relay
 * was away, or has none.
 *
 * In a cluster, it may be older than what others were told: a server that has become the
 * leader of NATS a moment ago lacks the newest messages. It is asked for again then, for
 * some seconds.
 */
export async function enterDescription(
  world: World,
  record: TopicRecord,
  who: string,
): Promise<Description | undefined> {
  const late = world.now + LAG;
  const { told } = record;
  for (;;) {
    const described = await describe(world, record.name);
    if (!described) return undefined;
    const isOld = described.next - 1 < told.events ||
      told.hasEnded && !described.end;
    if (!isOld || !world.isShared || world.now > late) {
      record.described(described, told, who);
      return described;
    }
    await world.pause(50);
  }
}

/** Returns the descriptions of all topics; `undefined` if the relay was away. */
export async function describeAll(
  world: World,
): Promise<readonly Description[] | undefined> {
  const all: Description[] = [];
  for (let after: string | undefined = "";;) {
    const answer = await world.ask(
      `/topics?limit=1000${after === "" ? "" : `&after=${after}`}`,
    );
    if (!answer) return undefined;
    const page = list.parse(JSON.parse(answer.text));
    all.push(...page.topics);
    after = page.next;
    if (after === undefined) return all;
  }
}
