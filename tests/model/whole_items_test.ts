import { assert, assertEquals } from "@std/assert";
import { aggregate } from "../../src/model/aggregate.ts";
import type { ResponseEvent } from "../../src/model/response_event.ts";
import { snapshot } from "../../src/model/snapshot.ts";
import { wires } from "../../src/model/wires/wire.ts";
import { SseParser } from "../../src/sse/parser.ts";
import {
  readRecordings,
  recordingsMissing,
} from "../support/recordings/recordings.ts";

/** All events of a recording, and whether it has a proper end. */
function decode(name: string, bytes: Uint8Array, deltas: boolean) {
  const api = name.includes(".chat.") ? "chat" : "responses";
  const decoder = wires[api].decoder({ deltas });
  const events: ResponseEvent[] = [];
  const parser = new SseParser({
    onEvent({ event, data }) {
      if (decoder.state !== "ended") decoder.push(event, data, events);
    },
  });
  parser.push(new TextDecoder().decode(bytes));
  const verdict = decoder.end(events);
  if ("last" in verdict) events.push(verdict.last);
  return { events, hasEnd: "last" in verdict };
}

/** The items that came whole, in the order of the output. */
function doneOf(events: ResponseEvent[]) {
  return events.filter((event) => event.type === "output_item.done")
    .sort((a, b) => a.outputIndex - b.outputIndex).map(({ item }) => item);
}

async function aggregated(events: ResponseEvent[]): Promise<ResponseEvent[]> {
  const stream = new ReadableStream<ResponseEvent>({
    start(controller) {
      for (const event of events) controller.enqueue(event);
      controller.close();
    },
  });
  return await Array.fromAsync(aggregate(stream));
}

const NAME =
  "snapshot() and aggregate() come to the items of every recording, with and without deltas";

Deno.test({
  name: NAME,
  ignore: recordingsMissing(NAME),
  async fn() {
    let seen = 0;
    for (const [name, bytes] of await readRecordings()) {
      if (!/\.(?:chat|responses)\./.test(name)) continue;
      const { events, hasEnd } = decode(name, bytes, true);
      if (!hasEnd) continue;
      seen++;
      const { status, output } = snapshot(events);
      assert(status !== "in_progress", name);
      assertEquals(output, doneOf(events), name);
      assertEquals(doneOf(await aggregated(events)), output, name);
      const plain = decode(name, bytes, false).events;
      assertEquals(snapshot(plain).output, output, name);
      for (const [i, event] of events.entries()) {
        if (event.type !== "output_item.done") continue;
        if (event.item.type !== "message") continue;
        // The sum of the deltas is the text of the whole item.
        assertEquals(
          snapshot(events.slice(0, i)).outputText,
          snapshot(events.slice(0, i + 1)).outputText,
          name,
        );
      }
    }
    assert(seen > 40, `${seen}`);
  },
});
