import type { ServerSentEvent } from "../../../src/sse/event.ts";

/** Data of an event, or its name and data; what is no text is sent as JSON. */
export type Sent = unknown | readonly [name: string, data: unknown];

/** The events that were sent. */
export function eventsOf(stream: readonly Sent[]): ServerSentEvent[] {
  return stream.map((sent) => {
    const [event, data]: readonly unknown[] = Array.isArray(sent)
      ? sent
      : ["message", sent];
    return {
      event: String(event),
      data: typeof data === "string" ? data : JSON.stringify(data),
      id: "",
    };
  });
}
