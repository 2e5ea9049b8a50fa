import { readEvents } from "../../../src/sse/mod.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { readRecordings } from "./recordings.ts";

/** The events of every recording, by its name. */
export async function readRecordedEvents(): Promise<
  Map<string, ServerSentEvent[]>
> {
  const all = new Map<string, ServerSentEvent[]>();
  for (const [name, bytes] of await readRecordings()) {
    const events: ServerSentEvent[] = [];
    const body = new Blob([bytes.slice()]).stream();
    for await (const event of readEvents(body)) events.push(event);
    all.set(name, events);
  }
  return all;
}
