import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Judge, judgeFor } from "../../../relay/gateway/judge.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { propertyParameters } from "../../support/property.ts";
import { Random } from "../../support/random.ts";
import { eventsOf, type Sent } from "../../support/model/sent_events.ts";
import { type Sample, SAMPLES } from "./judge_samples.ts";

const PATHS = ["responses", "chat/completions", "messages", "other"] as const;

function judge(path: string, events: readonly ServerSentEvent[]): Judge {
  const judge = judgeFor(path);
  for (const event of events) judge.take(event);
  return judge;
}

/** All that a judge says. */
function factsOf(judge: Judge) {
  return {
    verdict: judge.verdict,
    isOver: judge.isOver,
    clean: judge.end("clean"),
    broken: judge.end("broken", new TypeError("connection reset")),
    responseId: judge.responseId,
    sequenceNumber: judge.sequenceNumber,
    background: judge.background,
  };
}

Deno.test("a judge says of each stream what its provider says", async (t) => {
  for (const sample of SAMPLES) {
    const { name, path, stream, verdict, end = verdict, isOver } = sample;
    await t.step(`${path}: ${name}`, () => {
      const judged = judge(path, eventsOf(stream));
      assertEquals(judged.verdict, verdict);
      assertEquals(judged.isOver, isOver ?? false);
      assertEquals(judged.end("clean"), end);
      // The first word stands, whatever becomes of the connection.
      const broken = judged.end("broken", new TypeError("connection reset"));
      if (verdict !== undefined) assertEquals(broken, verdict);
      else {
        assertEquals(broken.status, "truncated");
        const { reason = "" } = broken;
        assert(reason.startsWith("connection lost before "), reason);
        assert(reason.endsWith(": connection reset"), reason);
      }
      // To be asked changes nothing.
      assertEquals(judged.verdict, verdict);
    });
  }
});

Deno.test("a judge says what was thrown, where that says anything", () => {
  const what = "connection lost before response.completed";
  // deno-fmt-ignore
  const table: [error: unknown, reason: string][] = [
    [undefined, what],
    [new Error(""), what],
    [Object.create(null), what],
    [new Error("reset"), `${what}: reset`],
  ];
  for (const [error, reason] of table) {
    assertEquals(judgeFor("responses").end("broken", error), {
      status: "truncated",
      reason,
    });
  }
});

Deno.test("a chat's verdict changes with a later finish_reason, a choice that begins, and an error", () => {
  const judged = judgeFor("chat/completions");
  const said: (string | undefined)[] = [];
  for (
    const event of eventsOf([
      { choices: [{ index: 0, finish_reason: "length" }] },
      { choices: [{ index: 0, finish_reason: "stop" }] },
      { choices: [{ index: 1, finish_reason: null }] },
      { choices: [{ index: 1, finish_reason: "stop" }] },
      { error: "busy" },
      { choices: [{ index: 0, finish_reason: "length" }] },
    ])
  ) {
    judged.take(event);
    const { status, reason } = judged.verdict ?? {};
    said.push(reason ?? status);
  }
  assertEquals(said, [
    "finish_reason: length",
    "complete",
    undefined,
    "complete",
    "busy",
    "busy",
  ]);
});

Deno.test("a reason has no secret, not even half of one, and is not long", () => {
  const secret = "sk-0123456789";
  const redact = (text: string) => text.replaceAll(secret, "[redacted]");
  const streams: [path: string, (text: string) => Sent][] = [
    ["responses", (message) => ({ type: "error", error: { message } })],
    ["responses", (code) => ({ type: "error", code })],
    ["responses", (reason) => ({
      type: "response.incomplete",
      response: { incomplete_details: { reason } },
    })],
    ["completions", (message) => ({ error: { message } })],
    ["completions", (finish_reason) => ({ choices: [{ finish_reason }] })],
    ["messages", (message) => ["error", { error: { message } }]],
    ["other", (message) => ["error", message]],
  ];
  for (const [path, say] of streams) {
    for (const before of [0, 500, 980, 985, 990, 995, 999, 1_000, 5_000]) {
      const judged = judgeFor(path, redact);
      const text = "a".repeat(before) + secret + "b".repeat(2_000);
      for (const event of eventsOf([say(text)])) judged.take(event);
      const { reason = "" } = judged.verdict ?? {};
      assertEquals(reason.length, 1_000, path);
      assert(reason.endsWith("…"));
      assert(!reason.includes("sk-"), `${path}, ${before}: ${reason}`);
    }
  }
  for (const path of PATHS) {
    const thrown = new Error(`no route for ${secret}`);
    const { reason } = judgeFor(path, redact).end("broken", thrown);
    assert(reason?.endsWith("no route for [redacted]"), reason);
  }
  const stopped = judgeFor("messages", redact);
  const delta = { type: "message_delta", delta: { stop_reason: secret } };
  const end = { type: "message_stop" };
  for (const event of eventsOf([delta])) stopped.take(event);
  assert(!stopped.end("clean").reason?.includes(secret));
  for (const event of eventsOf([end])) stopped.take(event);
  assertEquals(stopped.verdict?.reason, "stop_reason: [redacted]");
});

Deno.test("a reason is cut between characters, and one of 1,000 is not", () => {
  const reasonOf = (message: string) =>
    judge("other", eventsOf([{ error: message }])).verdict?.reason;
  const most = "x".repeat(1_000);
  assertEquals(reasonOf(most), most);
  assertEquals(reasonOf(`${most}x`), `${"x".repeat(999)}…`);
  for (const shift of [0, 1]) {
    const reason = reasonOf("x".repeat(shift) + "😀".repeat(800)) ?? "";
    assertEquals(reason.length, 1_000);
    assert(reason.isWellFormed());
  }
});

/**
 * Returns which characters of a text to write as escapes, and in which case.
 */
type Escape = (character: string) => "lower" | "upper" | undefined;

/** Writes JSON as no encoder does, and any may: letters as escapes, space wherever there may be. */
function writeOddly(value: unknown, random: Random, escape: Escape): string {
  const space = () =>
    random.chance(0.3)
      ? random.pick([" ", "\n", "\t", "\r", "  ", " \n\t "])
      : "";
  const text = (value: string) =>
    `"${
      Array.from({ length: value.length }, (_, index) => {
        const character = value.charAt(index);
        const how = escape(character);
        if (how === undefined) return JSON.stringify(character).slice(1, -1);
        const hex = value.charCodeAt(index).toString(16).padStart(4, "0");
        return `\\u${how === "lower" ? hex : hex.toUpperCase()}`;
      }).join("")
    }"`;
  const write = (value: unknown): string => {
    if (typeof value === "string") return text(value);
    if (Array.isArray(value)) {
      return `[${space()}${
        value.map((one) => space() + write(one) + space()).join(",")
      }]`;
    }
    if (typeof value === "object" && value !== null) {
      const fields = random.shuffle(Object.entries(value)).map(
        ([name, one]) =>
          `${space()}${text(name)}${space()}:${space()}${write(one)}${space()}`,
      );
      return `{${fields.join(",")}${space()}}`;
    }
    return JSON.stringify(value);
  };
  return space() + write(value) + space();
}

function rewritten(
  events: readonly ServerSentEvent[],
  random: Random,
  escape: Escape,
): ServerSentEvent[] {
  return events.map((event) => {
    let json: unknown;
    try {
      json = JSON.parse(event.data);
    } catch {
      return event;
    }
    return { ...event, data: writeOddly(json, random, escape) };
  });
}

Deno.test("a judge does not mind how JSON is written", () => {
  const samples: Sample[] = SAMPLES.filter(({ stream }) => stream.length > 0);
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.integer(),
      // Without escapes, only the space must be passed over.
      fc.constantFrom(0, 0.01, 0.1),
      ({ path, stream }, seed, chance) => {
        const random = new Random(seed);
        const events = eventsOf(stream);
        const odd = rewritten(
          events,
          random,
          () =>
            random.chance(chance)
              ? random.pick(["lower", "upper"] as const)
              : undefined,
        );
        assertEquals(factsOf(judge(path, odd)), factsOf(judge(path, events)));
      },
    ),
    propertyParameters(5_000),
  );
});

Deno.test("a judge finds a name of which only one letter is escaped", () => {
  const random = new Random(1);
  for (const { name, path, stream } of SAMPLES) {
    const events = eventsOf(stream);
    const facts = factsOf(judge(path, events));
    for (const letter of "abcdefghijklmnopqrstuvwxyz._") {
      for (const how of ["lower", "upper"] as const) {
        const odd = rewritten(
          events,
          random,
          (character) => character === letter ? how : undefined,
        );
        const message = `${name}: ${letter}, ${how}`;
        assertEquals(factsOf(judge(path, odd)), facts, message);
      }
    }
  }
});

Deno.test("a judge takes whatever comes, and what it has said stands", () => {
  const name = fc.constantFrom(
    "message",
    "error",
    "response.completed",
    "response.failed",
    "response.created",
    "message_stop",
    "message_delta",
    "ping",
    "",
  );
  const value = fc.oneof(
    { maxDepth: 3 },
    fc.jsonValue(),
    fc.constantFrom(
      null,
      "error",
      "response.completed",
      "message_stop",
      "stop",
      {},
      [],
      [[]],
      1e300,
    ),
  );
  const known = fc.record({
    type: value,
    object: value,
    error: value,
    response: fc.oneof(
      value,
      fc.record({
        id: value,
        status: value,
        background: value,
        error: value,
        incomplete_details: value,
      }, { requiredKeys: [] }),
    ),
    sequence_number: value,
    choices: fc.oneof(
      value,
      fc.array(
        fc.record({ index: value, finish_reason: value, error: value }, {
          requiredKeys: [],
        }),
      ),
    ),
    x_groq: value,
    delta: fc.oneof(value, fc.record({ stop_reason: value })),
    ["__proto__"]: value,
  }, { requiredKeys: [] });
  const data = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "",
      "[DONE]",
      "{",
      '{"type":"error"',
      '"error"',
      "[".repeat(20_000) + '"error"' + "]".repeat(20_000),
    ),
    value.map((value) => JSON.stringify(value)),
    known.map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...PATHS),
      fc.array(fc.record({ event: name, data, id: fc.string() }), {
        maxLength: 12,
      }),
      (path, events) => {
        const judged = judgeFor(path);
        for (const event of events) {
          const { verdict, isOver } = judged;
          const end = judged.end("clean");
          judged.take(event);
          if (isOver) {
            assertEquals(judged.verdict, verdict);
            assert(judged.isOver);
          }
          if (
            verdict !== undefined &&
            (path !== "chat/completions" || isOver)
          ) assertEquals(judged.verdict, verdict);
          // A failed stream stays failed.
          if (end.status === "failed" && path !== "chat/completions") {
            assertEquals(judged.end("clean"), end);
          }
          const { reason, ...facts } = judged.end("broken");
          assert(reason === undefined || reason.length > 0);
          assert((reason ?? "").length <= 1_000);
          assert(facts.status !== "expired");
        }
        const { responseId, sequenceNumber, background } = judged;
        assert(responseId === undefined || responseId.length > 0);
        assert(sequenceNumber === undefined || Number.isFinite(sequenceNumber));
        assertEquals(typeof background, "boolean");
      },
    ),
    propertyParameters(2_000),
  );
});

Deno.test("a judge takes time in proportion to what comes", () => {
  // If the cost were its square, this would take hours.
  const spaces = " ".repeat(1_000_000);
  const much = [
    spaces,
    `"error"${spaces}`,
    `"error"${spaces}:${spaces}`,
    `"finish_reason"${spaces}:${spaces}`,
    `"index"${spaces}:${spaces}0${spaces}`,
    `"sequence_number"${spaces}:${spaces}`,
    `"stop_reason"${spaces}:${spaces}`,
    `[DONE]${spaces}x`,
    `"error" `.repeat(100_000),
    `"index":0`.repeat(100_000),
    "\\u00".repeat(250_000),
    `"`.repeat(1_000_000),
    "[".repeat(1_000_000),
    `{"error":"${"x".repeat(1_000_000)}"}`,
  ];
  for (const path of PATHS) {
    const judged = judgeFor(path);
    for (const data of much) judged.take({ event: "message", data, id: "" });
    assert((judged.end("clean").reason ?? "").length <= 1_000);
  }
});
