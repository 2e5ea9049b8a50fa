import { assertEquals } from "@std/assert";
import { entryJson, eventJson } from "../../../relay/doors/event_json.ts";
import type { LogEntry } from "../../../relay/topics/log.ts";

Deno.test("eventJson writes as the protocol says: no 'message', no empty id", () => {
  assertEquals(
    [
      { event: "message", data: 'a"\n\u2028', id: "" },
      { event: "x", data: "", id: "" },
      { event: "message", data: "é", id: "7" },
    ].map((event) => JSON.parse(eventJson(event))),
    [{ data: 'a"\n\u2028' }, { event: "x", data: "" }, { data: "é", id: "7" }],
  );
});

/** An entry that counts how often its data is looked at. */
class CountedEntry implements LogEntry {
  reads = 0;
  readonly size = 7;
  readonly time = 0;
  readonly event: LogEntry["event"];

  constructor(data: string) {
    const count = (): number => this.reads++;
    this.event = {
      event: "message",
      get data(): string {
        count();
        return data;
      },
      id: "",
    };
  }
}

Deno.test("entryJson encodes a recent event once, and forgets what is older", () => {
  const entry = new CountedEntry("a");
  const mebibyte = "x".repeat(1024 * 1024);
  for (let round = 0; round < 20; round++) {
    assertEquals(entryJson(entry), '{"data":"a"}');
    entryJson(new CountedEntry(mebibyte));
  }
  assertEquals(entry.reads, 1, "it is asked for all the time");
  for (let round = 0; round < 20; round++) {
    entryJson(new CountedEntry(mebibyte));
  }
  assertEquals(entryJson(entry), '{"data":"a"}');
  assertEquals(entry.reads, 2);
});
