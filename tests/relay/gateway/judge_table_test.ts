/**
 * The relay's judge against the table of each format, with every event that ends a
 * stream, every status, and every cut. The client is held to the same in
 * `tests/model/wires/endings_table_test.ts`.
 */
import { assert, assertEquals } from "@std/assert";
import { Judge, type Verdict } from "../../../relay/gateway/judge.ts";
import type { Ending } from "../../../src/model/wires/ending.ts";
import { readFailure } from "../../../src/model/wires/failure.ts";
import { endingReader, WIRE_FORMATS } from "../../../src/model/wires/format.ts";
import { SseParser } from "../../../src/sse/mod.ts";
import {
  type Cut,
  CUTS,
  ENDING_CASES,
  type EndingCase,
  endingOf,
} from "../../support/model/ending_cases.ts";

/** The verdict on an ending: nothing in it is read from the code. */
function expected(ending: Ending, how: Cut["how"]): Verdict {
  switch (ending.kind) {
    case "completed":
      return { status: "complete" };
    case "incomplete":
      return { status: "complete", reason: ending.said };
    case "cancelled":
      return { status: "cancelled" };
    case "failed": {
      const { providerCode, providerMessage } = readFailure(ending.details);
      const said = [providerCode, providerMessage].filter(Boolean).join(": ");
      return {
        status: "failed",
        reason: said || "the provider gives no reason",
      };
    }
    case "truncated":
      return {
        status: "truncated",
        reason: how === "broken"
          ? `connection lost before ${ending.missing}: reset`
          : `stream closed before ${ending.missing}`,
      };
  }
}

function judged({ format }: EndingCase, text: string): Judge {
  const judge = new Judge(endingReader(format), (text) => text);
  const parser = new SseParser({ onEvent: (event) => judge.take(event) });
  parser.push(text);
  return judge;
}

function assertJudged(stream: EndingCase, cut: Cut): void {
  const { ending, how } = endingOf(stream, cut);
  const name = `${stream.name}, ${cut.name}`;
  const judge = judged(stream, cut.text(stream));
  const verdict = expected(ending, how);
  if (cut.isWhole && ending.kind !== "truncated") {
    // At once, before the body is over.
    assertEquals(judge.verdict, verdict, name);
  }
  if (how === "held") return;
  const thrown = how === "broken" ? new Error("reset") : undefined;
  assertEquals(judge.end(how, thrown), verdict, name);
}

for (const format of WIRE_FORMATS) {
  for (const cut of CUTS) {
    Deno.test(`C1: a judge ends as the table of ${format} says: ${cut.name}`, () => {
      const streams = ENDING_CASES.filter((one) => one.format === format);
      assert(streams.length > 5, `few streams: ${streams.length}`);
      for (const stream of streams) assertJudged(stream, cut);
    });
  }

  Deno.test(`a judge of ${format} learns nothing of an end before its last character`, () => {
    for (const stream of ENDING_CASES.filter((one) => one.format === format)) {
      const { start, terminal, before, name } = stream;
      const clean = expected(before.clean, "clean");
      for (let length = 0; length < terminal.length; length++) {
        const judge = judged(stream, start + terminal.slice(0, length));
        assertEquals(judge.end("clean"), clean, `${name}: ${length}`);
      }
    }
  });
}
