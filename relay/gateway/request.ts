import { createHash } from "node:crypto";
import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { Problem } from "../problem.ts";
import { TOPIC_NAME_RULE, topicName } from "../topics/topic_name.ts";

/** What a caller asks of the relay besides what it asks of the provider. */
export interface RunOptions {
  /** What the topic is to be called. */
  readonly topic: string | undefined;
  /** What becomes of the run when the caller leaves. */
  readonly onDisconnect: "continue" | "cancel";
  /** Under which a request is the same as an earlier one. */
  readonly idempotencyKey: string | undefined;
}

const options = z.object({
  "rivulet-topic": topicName.optional(),
  "rivulet-on-disconnect": z.enum(["continue", "cancel"], {
    message: "Expected 'continue' or 'cancel'",
  }).default("continue"),
  "idempotency-key": z.string().min(1).max(255).optional(),
});

/**
 * Reads what a caller asks of the relay.
 *
 * @throws {Problem} If it asks for nothing that there is.
 */
export function readRunOptions(headers: Headers): RunOptions {
  const { data, error } = options.safeParse(Object.fromEntries(headers));
  if (data) {
    return {
      topic: data["rivulet-topic"],
      onDisconnect: data["rivulet-on-disconnect"],
      idempotencyKey: data["idempotency-key"],
    };
  }
  const [issue] = error.issues;
  const name = String(issue?.path[0]);
  throw name === "rivulet-topic"
    ? new Problem(
      STATUS_CODE.BadRequest,
      "invalid_topic",
      `Expected Rivulet-Topic to be ${TOPIC_NAME_RULE}`,
    )
    : new Problem(
      STATUS_CODE.BadRequest,
      "invalid_header",
      `The header '${name}': ${issue?.message}`,
    );
}

const streamingBody = z.looseObject({ stream: z.literal(true) });

/** Whether a body of JSON asks for a stream. */
export function asksForStream(body: Uint8Array): boolean {
  try {
    const text = new TextDecoder().decode(body);
    return streamingBody.safeParse(JSON.parse(text)).success;
  } catch {
    return false; // the provider will say what is wrong with it
  }
}

/** A name for who asks, from which its key cannot be had. */
export function identityOf(headers: Headers): string {
  const keys = ["authorization", "x-api-key", "api-key"]
    .map((name) => headers.get(name) ?? "");
  return digest(JSON.stringify(keys));
}

/** A short name for bytes or text that is as good as the whole. */
export function digest(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("base64url");
}
