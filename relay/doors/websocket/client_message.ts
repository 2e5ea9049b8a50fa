import { z } from "zod";
import { issueText } from "../../issue_text.ts";
import { ifEnded } from "../../topics/if_ended.ts";
import { TOPIC_NAME_RULE, topicName } from "../../topics/topic_name.ts";
import { explainField, subscriptionFields } from "../subscription_request.ts";

/** Accepts why a topic ends, in words. */
export const endReason: z.ZodString = z.string().max(1_000);

/** Accepts a name, or the beginning of names and a `*`. */
const nameOrPrefix = z.string().refine(
  (name) => topicName.safeParse(name.replace(/\*$/, "x")).success,
  { message: `Expected ${TOPIC_NAME_RULE}` },
);

/**
 * The most characters of a position in all topics of a prefix: each of its places is looked
 * up in one turn.
 */
const MAX_SINCE = 8_192;

const subscribeMessage = z.object({
  type: z.literal("subscribe"),
  topic: nameOrPrefix,
  ...subscriptionFields,
  since: z.string().max(MAX_SINCE).optional(),
});

/** The fields of the message `subscribe`. */
export const SUBSCRIBE_FIELDS: readonly string[] = Object.keys(
  subscribeMessage.shape,
);

const publishMessage = z.object({
  type: z.literal("publish"),
  topic: topicName,
  // The publisher validates the events one by one. A schema of arrays would report
  // every wrong one.
  events: z.custom<readonly unknown[]>(
    (value) => Array.isArray(value) && value.length > 0,
    "Expected an array of at least one event",
  ),
  id: z.string().min(1).max(256).optional(),
  ifEnded: ifEnded.optional(),
});

const clientMessage = z.discriminatedUnion("type", [
  subscribeMessage,
  z.object({ type: z.literal("unsubscribe"), topic: nameOrPrefix }),
  z.object({
    type: z.literal("ack"),
    topic: topicName,
    offset: z.int().nonnegative(),
    epoch: z.string().optional(),
  }),
  z.object({
    type: z.literal("cancel"),
    topic: topicName,
    reason: endReason.optional(),
    epoch: z.string().optional(),
  }),
  publishMessage,
  z.object({ type: z.literal("auth"), token: z.string().min(1) }),
  z.object({ type: z.literal("heartbeat"), time: z.number().optional() }),
]);

/** A message of a client (PROTOCOL.md, section 2). */
export type ClientMessage = z.infer<typeof clientMessage>;

/** The fields of a message of a type. */
export type FieldsOf<Type extends ClientMessage["type"]> = Omit<
  Extract<ClientMessage, { type: Type }>,
  "type"
>;

/** A publication: events that a client adds to a topic. */
export type PublishRequest = Omit<z.infer<typeof publishMessage>, "type">;

/** The result of reading a client's message. */
export type ClientMessageResult =
  | { readonly kind: "message"; readonly message: ClientMessage }
  /** It is no message at all: the connection cannot be trusted any further. */
  | { readonly kind: "malformed"; readonly reason: string }
  /** It is a message that cannot be answered: it is refused, and that is all. */
  | {
    readonly kind: "refused";
    readonly code: "unknown_type" | "invalid_message" | "invalid_topic";
    readonly reason: string;
    readonly topic?: string;
  };

/** The types of messages. */
export const MESSAGE_TYPES: readonly ClientMessage["type"][] = clientMessage
  .options.map((option) => option.shape.type.value);

const KNOWN: ReadonlySet<string> = new Set(MESSAGE_TYPES);

/** Reads one text frame of a client. */
export function parseClientMessage(text: string): ClientMessageResult {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "malformed", reason: "Expected text frames of JSON" };
  }
  const named = z.looseObject({ type: z.string() }).safeParse(value);
  if (!named.success) {
    return { kind: "malformed", reason: "Expected an object with a 'type'" };
  }
  const { type, topic } = named.data;
  const about = topicName.safeParse(topic);
  const concerning = about.success ? { topic: about.data } : {};
  if (!KNOWN.has(type)) {
    return {
      kind: "refused",
      code: "unknown_type",
      reason: `Expected a type of ${[...KNOWN].join(", ")}: got ${
        JSON.stringify(type.slice(0, 50))
      }`,
      ...concerning,
    };
  }
  const parsed = clientMessage.safeParse(value);
  if (parsed.success) return { kind: "message", message: parsed.data };
  const field = String(parsed.error.issues[0]?.path[0]);
  return {
    kind: "refused",
    code: field === "topic" ? "invalid_topic" : "invalid_message",
    reason: explainField(field, named.data[field]) ??
      issueText(parsed.error),
    ...concerning,
  };
}
