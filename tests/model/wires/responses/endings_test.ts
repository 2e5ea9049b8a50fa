import { assertEquals } from "@std/assert";
import { ResponsesEndingReader } from "../../../../src/model/wires/responses/endings.ts";
import { eventsOf, type Sent } from "../../../support/model/sent_events.ts";

Deno.test("ResponsesEndingReader knows what to ask for the rest with", () => {
  const created = (response: unknown) => ({
    type: "response.created",
    sequence_number: 0,
    response,
  });
  const delta = (sequence_number?: unknown) => ({
    type: "response.output_text.delta",
    delta: '"sequence_number":9',
    sequence_number,
  });
  // deno-fmt-ignore
  const table: [name: string, stream: Sent[], responseId: string | undefined, sequenceNumber: number | undefined, background: boolean][] = [
    ["nothing", [], undefined, undefined, false],
    ["a response", [created({ id: "r", background: false })], "r", 0, false],
    ["one in the background", [created({ id: "r", background: true }), delta(1), delta(2)], "r", 2, true],
    ["one that is queued", [{ type: "response.queued", sequence_number: 1, response: { id: "r", background: true } }], "r", 1, true],
    ["one that goes on", [{ type: "response.in_progress", sequence_number: 2, response: { id: "r", background: true } }], "r", 2, true],
    ["types in the names only", [["response.created", { response: { id: "r", background: true } }]], "r", undefined, true],
    ["one that is told again", [created({ id: "r", background: true }), { type: "response.in_progress", response: { id: "" } }], "r", 0, true],
    ["what is no response", [{ type: "response.other", response: { id: "r", background: true } }], undefined, undefined, false],
    ["a response with an odd value", [created({ id: "r", background: 1, status: [] })], "r", 0, false],
    ["odd values", [created({ id: 5, background: "true" }), delta("7")], undefined, 0, false],
    ["events without numbers", [created({ id: "r" }), delta(5), delta(), "", "[DONE]", "{"], "r", 5, false],
    ["a number further in", [created({ id: "r" }), delta(3), { type: "x", item: { sequence_numbers: 9 } }], "r", 3, false],
    ["the number of the end", [delta(3), { type: "response.completed", response: { id: "r" }, sequence_number: 4 }], "r", 4, false],
    ["what follows the end", [delta(3), { type: "error", sequence_number: 4 }, { type: "response.failed", response: { id: "r", background: true }, sequence_number: 5 }], undefined, 4, false],
  ];
  for (
    const [name, stream, responseId, sequenceNumber, background] of table
  ) {
    const reader = new ResponsesEndingReader();
    for (const event of eventsOf(stream)) reader.take(event);
    assertEquals(reader.responseId, responseId, name);
    assertEquals(reader.sequenceNumber, sequenceNumber, name);
    assertEquals(reader.background, background, name);
  }
});
