import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { turnPart } from "../../../src/model/wires/ui/turn.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { issueText } from "../../issue_text.ts";
import { Problem } from "../../problem.ts";
import { parseJson } from "../json_steps.ts";

/** A turn of a chat, as far as the relay reads the request. */
export interface TurnRequest {
  /** The id of the chat. */
  readonly id: string;
  /** The event that the turn begins with: the message that it answers. */
  readonly opening: ServerSentEvent;
}

/** A longer id is not a chat's. In UTF-16 code units. */
const MAX_ID = 256;

/** A longer string of the message stands as an empty one: a file as a data URL. In bytes. */
const MAX_STRING = 64 * 1024;

/** A message that is larger is left out of the opening event. In UTF-16 code units. */
const MAX_MESSAGE = 256 * 1024;

/** The cost of a value besides its characters, in the same unit. */
const VALUE_COST = 8;

/** A message that is nested deeper is left out, too: to write it as JSON would take a deep stack. */
const MAX_DEPTH = 64;

/**
 * The body that `useChat` sends, as it is or shortened as in the guide of the
 * AI SDK.
 */
const body = z.looseObject({
  id: z.string().min(1).max(MAX_ID)
    .refine((id) => id.isWellFormed(), { message: "Expected Unicode" }),
  // Not looked into: there may be many.
  messages: z.custom<readonly unknown[]>(Array.isArray, {
    message: "Expected an array",
  }).optional(),
  message: z.unknown().optional(),
});

/**
 * Reads the request for a turn of a chat, in steps.
 *
 * @param bytes The body, without the codings that it came in.
 * @throws {Problem} 400 `invalid_body` if it is not what a chat sends.
 */
export function* readTurn(bytes: Uint8Array): Generator<void, TurnRequest> {
  let value: unknown;
  try {
    value = yield* parseJson(bytes, { maxString: MAX_STRING });
  } catch {
    throw invalid("a body of JSON");
  }
  const { data, error } = body.safeParse(value);
  if (error) {
    throw invalid(
      `a chat's request, as useChat sends it, with its id and messages: ${
        issueText(error)
      }`,
    );
  }
  const { id, messages, message = messages?.at(-1) } = data;
  const told = leftOf(message, MAX_MESSAGE) > 0 ? message : undefined;
  return {
    id,
    opening: {
      event: "message",
      data: JSON.stringify(turnPart(told ?? null)),
      id: "",
    },
  };
}

/**
 * Returns how much of a budget is left after a value: less than nothing if the value is
 * larger, or nested too deeply. It is looked at no further than that.
 */
function leftOf(value: unknown, budget: number, depth = 0): number {
  let left = budget - VALUE_COST;
  if (typeof value === "string") return left - value.length;
  if (typeof value !== "object" || value === null) return left;
  if (depth >= MAX_DEPTH) return -1;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length && left > 0; index++) {
      left = leftOf(value[index], left, depth + 1);
    }
    return left;
  }
  for (const [name, field] of Object.entries(value)) {
    if (left <= 0) return left;
    left = leftOf(field, left - name.length, depth + 1);
  }
  return left;
}

function invalid(expected: string): Problem {
  return new Problem(
    STATUS_CODE.BadRequest,
    "invalid_body",
    `Expected ${expected}`,
  );
}
