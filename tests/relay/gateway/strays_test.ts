// Errors that come in no event: a line `error: ...`, JSON without `data:`, an event whose
// blank line is missing. A table of the format, by the place of the error, by its form:
// the relay and the model client say the same of the ending, and so does everybody who
// reads the run.
import { assertEquals } from "@std/assert";
import { subscribe } from "../../../relay/client/mod.ts";
import {
  decodeResponse,
  type ResponseEvent,
  ResponseFailedError,
  type WireApi,
} from "../../../src/model/mod.ts";
import {
  type GatewayWorld,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { scriptedModel } from "../../support/model/scripted_model.ts";

/** A format, in three parts: what follows the last of them counts no more. */
interface Format {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** As the model client is told it; it does not read the others. */
  readonly wireApi?: WireApi;
  readonly start: string;
  /** An end after which more may come. */
  readonly end: string;
  /** Nothing counts behind it. */
  readonly last: string;
}

function format(name: string, end: string, last = ""): Format {
  const { path, headers, start, delta } = WIRE_FORMATS[name]!;
  const said = start + delta("Hi");
  return { path, ...(headers && { headers }), start: said, end, last };
}

function wordOf(name: string, how = "complete"): string {
  return WIRE_FORMATS[name]!.ends.find(([end]) => end === how)![1];
}

const DONE = "data: [DONE]\n\n";

const FORMATS: Readonly<Record<string, Format>> = {
  responses: {
    ...format("Responses", "", wordOf("Responses")),
    wireApi: "responses",
  },
  chat: {
    ...format("Chat", wordOf("Chat", "complete without [DONE]"), DONE),
    wireApi: "chat",
  },
  messages: {
    ...format("Anthropic", "", wordOf("Anthropic")),
    wireApi: "messages",
  },
  ui: format("UI", wordOf("UI").replace(DONE, ""), DONE),
  plain: { path: "audio", start: 'data: {"a":1}\n\n', end: "", last: DONE },
};

// Ids of the relay have no space, so that they cannot contain this by chance.
const SAID = "Oh no";
const ERROR = { error: { code: "server_error", message: SAID } };
const JSON_ERROR = JSON.stringify(ERROR);

/** The forms of an error that is no event. */
const FORMS: Readonly<Record<string, string>> = {
  "a line": `error: ${JSON_ERROR}\n\n`,
  "a line of words": `Error: ${SAID}\n`,
  "JSON": `${JSON_ERROR}\n\n`,
};

/** Those that only the end of the body tells. */
const LAST_FORMS: Readonly<Record<string, string>> = {
  "JSON in lines": JSON.stringify(ERROR, null, 2),
  "JSON without a line's end": JSON_ERROR,
  "a line without an end": `error: ${JSON_ERROR}`,
  "an event without its blank line": `data: ${JSON_ERROR}\n`,
};

interface Row {
  readonly name: string;
  /** The stream. */
  readonly text: string;
  readonly status: "complete" | "failed";
  /** The events in front of the error. */
  readonly before: string;
}

function rowsOf({ start, end, last }: Format): Row[] {
  const rows: Row[] = [];
  for (const [form, error] of Object.entries(FORMS)) {
    const places = [
      ["before anything", "", start + end + last],
      ["in the middle", start, end + last],
      ["after the end", start + end, last],
      ["last", start + end, ""],
    ] as const;
    for (const [place, before, after] of places) {
      const text = before + error + after;
      const name = `${form}, ${place}`;
      rows.push({ name, text, before, status: "failed" });
    }
    const before = start + end + last;
    const name = `${form}, when it is over`;
    rows.push({ name, text: before + error, before, status: "complete" });
  }
  for (const [form, error] of Object.entries(LAST_FORMS)) {
    const before = start + end;
    rows.push({ name: form, text: before + error, before, status: "failed" });
  }
  return rows;
}

async function clientStatus(row: Row, wireApi: WireApi): Promise<string> {
  const model = scriptedModel([{ chunks: [row.text] }], {
    provider: { wireApi },
  });
  return statusOf(await model.ask());
}

function statusOf(
  { events, error }: { events: readonly ResponseEvent[]; error: unknown },
): string {
  if (error instanceof ResponseFailedError) return "failed";
  return error === undefined && events.at(-1)?.type === "completed"
    ? "complete"
    : String(error);
}

/** The status that somebody has who reads the topic with the decoder. */
async function decodedStatus(
  world: GatewayWorld,
  topic: string,
): Promise<string> {
  const events: ResponseEvent[] = [];
  let error: unknown;
  try {
    const read = decodeResponse(subscribe(`${world.url}/topics/${topic}`));
    for await (const event of read) events.push(event);
  } catch (thrown) {
    error = thrown;
  }
  return statusOf({ events, error });
}

for (const [name, format] of Object.entries(FORMATS)) {
  const { path, headers = {}, wireApi } = format;
  Deno.test(`An error in no event of ${name} is told the same to all, wherever it stands`, async () => {
    await using world = await startGateway();
    for (const [index, row] of rowsOf(format).entries()) {
      const topic = `t${index}`;
      const asked = {
        path,
        headers: { "rivulet-topic": topic, "idempotency-key": topic },
      };
      const { exchange, answer } = await world.begin(asked);
      await exchange.stream(row.text, headers);
      await exchange.end();
      const { status } = await world.ended(topic);
      assertEquals(status, row.status, row.name);
      if (wireApi) {
        assertEquals(await clientStatus(row, wireApi), status, row.name);
        assertEquals(await decodedStatus(world, topic), status, row.name);
      }
      // The caller has the provider's bytes.
      const caller = await (await answer).rest();
      assertEquals(caller, { text: row.text, end: "whole" }, row.name);
      const joined = await (await world.ask(asked)).rest();
      const raw = await world.request(`/topics/${topic}?raw`);
      const rawText = await raw.text();
      // The error is the last event, so that those of the caller keep their numbers.
      const count = row.before.split("\n\n").length - 1;
      const events = await world.events(topic);
      const last = events.at(-1);
      assertEquals(events.length, count + +(status === "failed"), row.name);
      for (const text of [joined.text, rawText]) {
        assertEquals(text.includes(SAID), status === "failed", row.name);
        assertEquals(text.split("\n\n").length - 1, events.length, row.name);
      }
      assertEquals(joined.end, "whole", row.name);
      if (status === "failed") {
        assertEquals(last?.data.includes(SAID), true, row.name);
      }
    }
    assertEquals(world.provider.count, rowsOf(format).length);
  });
}

Deno.test("What is no error is left over, and changes no ending", async () => {
  await using world = await startGateway();
  const { path, start, end } = FORMATS["chat"]!;
  const notes = [
    "error: null\n",
    "error\n",
    "error:\n",
    "error: false\n\n",
    '{"message":"Processing"}\n\n',
    '{"error":null}\n\n',
    '{\n"a":1\n}\n\n',
    "warning: slow\n",
  ];
  for (const [index, note] of notes.entries()) {
    const topic = `t${index}`;
    const headers = { "rivulet-topic": topic };
    const { exchange, answer } = await world.begin({ path, headers });
    await exchange.stream(start + note + end);
    await exchange.end(note);
    assertEquals(await world.ended(topic), { status: "complete" }, note);
    assertEquals((await world.events(topic)).length, 3, note);
    assertEquals((await (await answer).rest()).end, "whole");
  }
});
