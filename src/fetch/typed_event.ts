// This module is browser compatible.
import type { ServerSentEvent } from "../sse/event.ts";
import { EventStreamError } from "./errors.ts";
import { messageOf } from "./message_of.ts";
import type {
  EventSchema,
  SchemaIssue,
  SchemaResult,
} from "./standard_schema.ts";

/**
 * A schema for the data of each type of event. Events of other types are skipped.
 *
 * @example Two types of event
 * ```ts
 * import type { EventSchemas } from "@rivulet/rivulet/fetch";
 * import { z } from "zod";
 *
 * const schemas = {
 *   message: z.string(),
 *   progress: z.object({ done: z.number() }),
 * } satisfies EventSchemas;
 * ```
 */
export type EventSchemas = Readonly<Record<string, EventSchema>>;

/**
 * An event whose data was JSON, and valid: a union by the event's type.
 *
 * @typeParam Schemas The schemas, by type of event.
 *
 * @example Told apart by type
 * ```ts
 * import type { ValidEvent } from "@rivulet/rivulet/fetch";
 * import { z } from "zod";
 *
 * const schemas = { tick: z.number(), bye: z.string() };
 * function show(event: ValidEvent<typeof schemas>): string {
 *   return event.event === "tick" ? event.data.toFixed(1) : event.data;
 * }
 * show({ ok: true, event: "tick", data: 1, id: "" });
 * ```
 */
export type ValidEvent<Schemas extends EventSchemas> = {
  [Name in keyof Schemas & string]: {
    readonly ok: true;
    readonly event: Name;
    readonly data: Schemas[Name] extends EventSchema<infer Output> ? Output
      : never;
    readonly id: string;
  };
}[keyof Schemas & string];

/**
 * An event whose data was not JSON, or not valid.
 *
 * @example What was wrong
 * ```ts
 * import type { InvalidEvent } from "@rivulet/rivulet/fetch";
 *
 * const event: InvalidEvent = {
 *   ok: false,
 *   issues: [{ message: "Expected JSON" }],
 *   raw: { event: "tick", data: "one", id: "" },
 * };
 * ```
 */
export interface InvalidEvent {
  /** It is not valid. */
  readonly ok: false;
  /** The problems of its data. */
  readonly issues: readonly SchemaIssue[];
  /** The event as it came. */
  readonly raw: ServerSentEvent;
}

/**
 * The data of an event was not JSON, or not valid.
 *
 * @example A number was expected
 * ```ts
 * import { EventValidationError, streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { z } from "zod";
 *
 * const events = streamEvents("https://example.com/", {
 *   schemas: { tick: z.number() },
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response('event: tick\ndata: "one"\n\n', {
 *         headers: { "Content-Type": "text/event-stream" },
 *       }),
 *     ),
 * });
 * const error = await assertRejects(() => events.next(), EventValidationError);
 * assertEquals(error.raw.data, '"one"');
 * assertEquals(error.issues.length, 1);
 * ```
 */
export class EventValidationError extends EventStreamError {
  /** The error's code, for programs. */
  readonly code = "invalid_event";
  /** The problems of its data. */
  readonly issues: readonly SchemaIssue[];
  /** The event as it came. */
  readonly raw: ServerSentEvent;

  /**
   * Makes an error.
   *
   * @param url The URL, fit to be shown.
   * @param invalid The event, and what is wrong with it.
   */
  constructor(url: string, { issues, raw }: InvalidEvent) {
    const [issue] = issues;
    super(
      `Cannot take an event '${raw.event}' from ${url} as its data is not valid: ${issue?.message} (all is in 'issues', the event in 'raw')`,
      url,
    );
    this.name = "EventValidationError";
    this.issues = issues;
    this.raw = raw;
  }
}

/**
 * Validates an event. An event whose type has no schema gives nothing, and neither
 * does one without data: an MCP server begins a stream with an id alone, to be
 * resumed from.
 */
export async function validateEvent<Schemas extends EventSchemas>(
  raw: ServerSentEvent,
  schemas: Schemas,
): Promise<ValidEvent<Schemas> | InvalidEvent | undefined> {
  const { event, data, id } = raw;
  // Not `schemas[event]`: a server may name an event `constructor`.
  const schema = Object.hasOwn(schemas, event) ? schemas[event] : undefined;
  if (!schema || data === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (error) {
    const message = `Expected JSON: ${messageOf(error)}`;
    return { ok: false, issues: [{ message }], raw };
  }
  const result: SchemaResult<unknown> = await schema["~standard"].validate(
    value,
  );
  if (result.issues) return { ok: false, issues: result.issues, raw };
  // The schema of this type of event has made the value.
  return { ok: true, event, data: result.value, id } as ValidEvent<Schemas>;
}
