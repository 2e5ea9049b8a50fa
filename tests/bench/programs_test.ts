/**
 * The programs of `bench/programs/`, each against one server: what they do is the
 * same, so that their lines can be compared.
 *
 * Not for Node and Bun, where the peers would do the same.
 */
import { assert, assertEquals } from "@std/assert";
import {
  countLines,
  LIBRARIES,
  PROGRAMS,
  programTable,
} from "../../bench/programs.ts";
import type {
  AskForData,
  AskWithTools,
  Describe,
  Description,
  Service,
} from "../../bench/programs/service.ts";
import { ask as dataAi } from "../../bench/programs/data/ai.ts";
import { ask as dataOpenai } from "../../bench/programs/data/openai.ts";
import { ask as dataRivulet } from "../../bench/programs/data/rivulet.ts";
import { describe as describeAi } from "../../bench/programs/describe/ai.ts";
import { describe as describeOpenai } from "../../bench/programs/describe/openai.ts";
import { describe as describeRivulet } from "../../bench/programs/describe/rivulet.ts";
import { ask as toolsAi } from "../../bench/programs/tools/ai.ts";
import { ask as toolsOpenai } from "../../bench/programs/tools/openai.ts";
import { ask as toolsRivulet } from "../../bench/programs/tools/rivulet.ts";

type Library = keyof typeof LIBRARIES;

const DESCRIBE: Record<Library, Describe> = {
  rivulet: describeRivulet,
  openai: describeOpenai,
  ai: describeAi,
};
const TOOLS: Record<Library, AskWithTools> = {
  rivulet: toolsRivulet,
  openai: toolsOpenai,
  ai: toolsAi,
};
const DATA: Record<Library, AskForData> = {
  rivulet: dataRivulet,
  openai: dataOpenai,
  ai: dataAi,
};

const LIBRARY_NAMES = Object.keys(LIBRARIES) as Library[]; // its own keys

/** A body that a program has sent. */
interface Sent {
  readonly body: {
    readonly messages: readonly {
      readonly role: string;
      readonly content: unknown;
      readonly tool_call_id?: string;
    }[];
    readonly [field: string]: unknown;
  };
  readonly headers: Headers;
}

function server(
  answers: readonly (() => Response)[],
): { service: Service; sent: Sent[] } {
  const sent: Sent[] = [];
  return {
    sent,
    service: {
      baseURL: "https://example.com/v1",
      apiKey: "key",
      model: "m",
      fetch: async (input, init) => {
        const request = new Request(input, init);
        sent.push({ body: await request.json(), headers: request.headers });
        const answer = answers[sent.length - 1];
        assert(answer, "asked once more");
        return answer();
      },
    },
  };
}

function streaming(...events: unknown[]): () => Response {
  const body = events.map((event) => `data: ${JSON.stringify(event)}\n\n`);
  return () =>
    new Response(body.join(""), {
      headers: { "content-type": "text/event-stream" },
    });
}

const chunk = (delta: unknown, finish_reason: string | null = null) => ({
  id: "chat_1",
  object: "chat.completion.chunk",
  created: 1,
  model: "m",
  choices: [{ index: 0, delta, finish_reason }],
});

const USAGE = {
  prompt_tokens: 1,
  completion_tokens: 2,
  total_tokens: 3,
  queue_time: 0.5,
};

const USAGE_CHUNK = { ...chunk({}), choices: [], usage: USAGE };

const TEXT = [
  chunk({ role: "assistant", content: "A " }),
  chunk({ content: "cat." }),
];

const BUSY = { message: "Bad image", type: "invalid_request_error" };

const DESCRIPTIONS: [
  answer: () => Response,
  expected: Omit<Description, "ending"> & { ending: string | RegExp },
][] = [
  [streaming(...TEXT, chunk({}, "stop"), USAGE_CHUNK), {
    text: "A cat.",
    ending: "completed",
    usage: USAGE,
  }],
  [streaming(...TEXT, chunk({}, "length"), USAGE_CHUNK), {
    text: "A cat.",
    ending: "cut off",
    usage: USAGE,
  }],
  [streaming(...TEXT), {
    text: "A cat.",
    ending: /^failed: .*(?:stopped|truncated|disconnected|without a finish)/,
    usage: undefined,
  }],
  [streaming(...TEXT, { error: BUSY }), {
    text: "A cat.",
    ending: "failed: Bad image",
    usage: undefined,
  }],
  [() => Response.json({ error: BUSY }, { status: 400 }), {
    text: "",
    ending: "failed: Bad image",
    usage: undefined,
  }],
];

for (const name of LIBRARY_NAMES) {
  Deno.test(`bench/programs/describe/${name}.ts tells the picture, and how it ended`, async () => {
    for (const [answer, expected] of DESCRIPTIONS) {
      const { service, sent } = server([answer]);
      const url = "https://example.com/cat.png";
      const told = await DESCRIBE[name](service, url);
      const { ending } = expected;
      const isSame = typeof ending === "string"
        ? told.ending === ending
        : ending.test(told.ending);
      assert(isSame, told.ending);
      assertEquals({ ...told, ending }, expected);
      const { body, headers } = sent[0] ?? {};
      assertEquals(headers?.get("request-name"), "cat");
      assertEquals([body?.["temperature"], body?.["max_tokens"]], [0, 100]);
      assertEquals<unknown>(body?.messages[0]?.content, [
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url } },
      ]);
    }
  });

  Deno.test(`bench/programs/tools/${name}.ts goes on after a tool that fails`, async () => {
    const call = (index: number, city: string) => ({
      index,
      id: `call_${index}`,
      type: "function",
      function: { name: "weather", arguments: JSON.stringify({ city }) },
    });
    const { service, sent } = server([
      streaming(
        chunk({ role: "assistant", tool_calls: [call(0, "Paris")] }),
        chunk({ tool_calls: [call(1, "Atlantis")] }),
        chunk({}, "tool_calls"),
      ),
      streaming(chunk({ role: "assistant", content: "21" }), chunk({}, "stop")),
    ]);
    const answer = await TOOLS[name](service, "How warm is it?", (city) => {
      if (city !== "Paris") throw new RangeError("no such city");
      return 21;
    });
    assertEquals(answer, "21");
    const results = sent[1]?.body.messages.filter(({ role }) => role === "tool")
      .map(({ tool_call_id, content }) => [tool_call_id, content]) ?? [];
    assertEquals(results[0], ["call_0", "21"]);
    assertEquals(results[1]?.[0], "call_1");
    assert(String(results[1]?.[1]).includes("no such city"));
  });

  Deno.test(`bench/programs/data/${name}.ts gives the data, or the text`, async () => {
    for (
      const [text, expected] of [
        ['{"degrees":21}', { degrees: 21 }],
        ['{"degrees":"warm"}', { text: '{"degrees":"warm"}' }],
        ["It is warm.", { text: "It is warm." }],
      ] as const
    ) {
      const { service, sent } = server([
        streaming(
          chunk({ role: "assistant", content: text }),
          chunk({}, "stop"),
        ),
      ]);
      assertEquals<unknown>(await DATA[name](service, "Paris"), expected);
      const format = sent[0]?.body["response_format"] as { type: string };
      assertEquals(format.type, "json_schema");
    }
  });
}

Deno.test("programTable has the lines of every program", async () => {
  assertEquals(countLines("// a\n\nb();\n  // c\n  d();\n"), 2);
  const rows = (await programTable()).split("\n");
  assertEquals(rows.length, Object.keys(PROGRAMS).length + 3);
  const page = await Deno.readTextFile(
    new URL("../../docs/numbers.md", import.meta.url),
  );
  const cellsOf = (row: string) => row.split("|").map((cell) => cell.trim());
  const told = page.split("\n").map((row) => cellsOf(row).join("|"));
  // The second is the line below the head, which is as wide as the table.
  for (const row of [rows[0], ...rows.slice(2)]) {
    assert(told.includes(cellsOf(row ?? "").join("|")), row);
  }
});
