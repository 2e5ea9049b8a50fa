import { assertEquals } from "@std/assert";
import { ChatEndingReader } from "../../../../src/model/wires/chat/endings.ts";
import { eventsOf, type Sent } from "../../../support/model/sent_events.ts";

function read(stream: readonly Sent[]): ChatEndingReader {
  const reader = new ChatEndingReader();
  for (const event of eventsOf(stream)) reader.take(event);
  return reader;
}

Deno.test("ChatEndingReader counts so many choices at most", () => {
  const open = Array.from({ length: 3_000 }, (_, index) => ({ index }));
  const finished = open.slice(0, 1_024)
    .map((choice) => ({ ...choice, finish_reason: "stop" }));
  const before = [{ choices: open }, { choices: finished.slice(1) }];
  assertEquals(read(before).ending, undefined);
  const all = [...before, { choices: [finished[0]] }];
  assertEquals(read(all).ending, { kind: "completed" });
});
