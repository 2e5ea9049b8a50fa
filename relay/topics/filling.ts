import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import { messageOf } from "../../src/fetch/message_of.ts";
import {
  isSecretName,
  isSecretShape,
} from "../../src/fetch/secrets/definition.ts";
import { queryFields } from "../../src/fetch/secrets/urls.ts";
import type { Ender, Topic } from "./topic.ts";

const logger = getLogger(["rivulet", "relay", "topic"]);

/**
 * The filler of a topic, as the store keeps it for the relay that takes over.
 */
export type Filling = z.output<typeof schema>;

/** A source that can be gone on with after the last id that the topic has. */
export type SourceFilling = Extract<Filling, { kind: "source" }>;

/** A background response, which its provider tells on from a number. */
export type ResponseFilling = Extract<Filling, { kind: "response" }>;

const schema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("source"),
    url: z.url(),
    reconnect: z.boolean(),
    repeats: z.enum(["keep", "drop"]),
  }),
  z.object({
    kind: z.literal("response"),
    /** The name of the provider. */
    provider: z.string(),
    /** The path below the provider's URL that the response was asked for with. */
    path: z.string(),
    /** The query that it was asked for with; empty, or with its `?`. */
    query: z.string(),
    /** The headers that belong to every request for it. None is a secret. */
    headers: z.record(z.string(), z.string()),
    /** The provider's id of the response. */
    id: z.string(),
  }),
  z.object({
    kind: z.literal("publisher"),
    /** The time in which the publisher goes on, in milliseconds. */
    within: z.number(),
  }),
  // Whatever fills it cannot be gone on with from what the store keeps.
  z.object({ kind: z.literal("lost") }),
]);

/** Writes what fills a topic. */
export function writeFilling(filling: Filling): string {
  return JSON.stringify(filling);
}

/** Reads what fills a topic; `undefined` if it is nothing that this relay knows. */
export function readFilling(text: string): Filling | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // a later version of the relay has written it
  }
}

/**
 * Ends a topic that nobody can fill any more, since the relay that filled it is gone.
 *
 * @param topic The topic; one that has ended stays as it is.
 * @param why The reason why this relay cannot go on. Default: none that would
 * help.
 * @param ender The lease with which it is ended. Default: none is needed.
 */
export function endRestarted(topic: Topic, why?: string, ender?: Ender): void {
  topic.end("truncated", restarted(why), false, ender);
}

/** Logs that nobody goes on with a topic for now. */
export function tellNotGoneOn(topic: string, error: unknown): void {
  logger.warn("Cannot continue topic {topic}: {reason}", {
    topic,
    reason: messageOf(error),
  });
}

/** Returns the reason of an end that a restart has brought. */
export function restarted(why?: string): string {
  return `The relay was restarted${why === undefined ? "" : `: ${why}`}`;
}

/** Whether a URL may be kept: it has no secrets, as far as one can tell. */
export function isKeepable(url: string): boolean {
  const { username, password } = new URL(url);
  return username === "" && password === "" && !isSecretShape(url) &&
    queryFields(url).every(({ name, value }) =>
      !isSecretName(name) && !isSecretShape(value)
    );
}
