import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { propertyParameters } from "../../../support/property.ts";
import {
  calls,
  choice,
  chunk,
  decode,
  DONE,
  finish,
  itemsOf,
  othersOf,
  textOf,
} from "./decode.ts";
import { errorOf, lastOf } from "../decoded.ts";

/** A call that is done: id, name, arguments. */
type Whole = readonly [string, string, string];

interface Row {
  readonly name: string;
  /** The `tool_calls` of each chunk. */
  readonly chunks: readonly (readonly unknown[])[];
  readonly done: readonly Whole[];
  /** The calls left in `unfinished`. */
  readonly unfinished?: readonly Whole[];
}

const fn = (name?: unknown, args?: unknown) => ({
  function: {
    ...(name === undefined ? {} : { name }),
    ...(args === undefined ? {} : { arguments: args }),
  },
});

const TABLE: readonly Row[] = [
  {
    name: "OpenAI: id and name first, then pieces of arguments",
    chunks: [
      [{ index: 0, id: "a", type: "function", ...fn("f", "") }],
      [{ index: 0, ...fn(undefined, '{"x"') }],
      [{ index: 0, ...fn(undefined, ":1}") }],
      [{ index: 1, id: "b", type: "function", ...fn("g", "") }],
      [{ index: 1, ...fn(undefined, '{"y":2}') }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "pieces of two calls in turns",
    chunks: [
      [{ index: 0, id: "a", ...fn("f") }],
      [{ index: 1, id: "b", ...fn("g") }],
      [{ index: 0, ...fn(undefined, '{"x":') }],
      [{ index: 1, ...fn(undefined, '{"y":') }],
      [{ index: 0, ...fn(undefined, "1}") }],
      [{ index: 1, ...fn(undefined, "2}") }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "several calls in one delta (vLLM)",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", "{") }, {
        index: 1,
        id: "b",
        ...fn("g", '{"y":'),
      }],
      [{ index: 0, ...fn(undefined, "}") }, {
        index: 1,
        ...fn(undefined, "2}"),
      }],
    ],
    done: [["a", "f", "{}"], ["b", "g", '{"y":2}']],
  },
  {
    name: "an id repeated with every piece, and the name too (vLLM)",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x"') }],
      [{ index: 0, id: "a", ...fn("f", ":") }],
      [{ index: 0, id: "a", ...fn("f", "1}") }],
      [{ index: 0, id: "a", ...fn("f", "") }],
      [{ index: 0, id: "a", ...fn("f", "\n") }],
    ],
    done: [["a", "f", '{"x":1}\n']],
  },
  {
    name: "a name repeated without an id",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x"') }],
      [{ index: 0, ...fn("f", ":1}") }],
      [{ index: 0, ...fn("f", "") }],
      [{ index: 0, ...fn("f", "\n") }],
    ],
    done: [["a", "f", '{"x":1}\n']],
  },
  {
    name: 'id and name "" with every further piece (Alibaba)',
    chunks: [
      [{ index: 0, id: "a", ...fn("f", "") }],
      [{ index: 0, id: "", ...fn("", '{"x"') }],
      [{ index: 0, id: "", ...fn("", ":1}") }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "id, name and arguments null with every further piece",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", null) }],
      [{ index: 0, id: null, ...fn(null, '{"x":1}') }],
      [{ index: 0, id: null, ...fn(null, null) }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "another id with every piece (OCI)",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", "") }],
      [{ index: 0, id: "b", ...fn(undefined, '{"x":{') }],
      [{ index: 0, id: "c", ...fn("", '"y":"}"}') }],
      [{ index: 0, id: "d", ...fn(undefined, "}") }],
      [{ index: 0, id: "e", ...fn(undefined, "") }],
      [{ index: 0, id: "f", ...fn(undefined, " ") }],
    ],
    done: [["a", "f", '{"x":{"y":"}"}}']],
  },
  {
    name: "another id with every piece, and no index",
    chunks: [
      [{ id: "a", ...fn("f", '{"x"') }],
      [{ id: "b", ...fn(undefined, ":1}") }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "no id at all",
    chunks: [
      [{ index: 0, ...fn("f", "{}") }],
      [{ index: 1, ...fn("g", '{"y":2}') }],
    ],
    done: [["call_c1_0", "f", "{}"], ["call_c1_1", "g", '{"y":2}']],
  },
  {
    name: "an id that comes late",
    chunks: [
      [{ index: 0, ...fn("f", '{"x"') }],
      [{ index: 0, id: "a", ...fn(undefined, ":1}") }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "an id that comes alone, and first",
    chunks: [
      [{ index: 0, id: "a" }],
      [{ index: 0, ...fn("f", '{"x":1}') }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "no index, ids with the first pieces (Mistral)",
    chunks: [
      [{ id: "a", ...fn("f", '{"x"') }],
      [{ ...fn(undefined, ":1}") }],
      [{ id: "b", ...fn("g", '{"y"') }],
      [{ ...fn(undefined, ":2}") }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "no index, pieces of two calls in turns, by id",
    chunks: [
      [{ id: "a", ...fn("f", '{"x"') }, { id: "b", ...fn("g", '{"y"') }],
      [{ id: "a", ...fn(undefined, ":1}") }],
      [{ id: "b", ...fn(undefined, ":2}") }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "no index and no id: whole calls (Ollama, Gemini)",
    chunks: [
      [fn("f", '{"x":1}'), fn("g", '{"y":2}')],
      [fn("g", '{"y":3}')],
    ],
    done: [
      ["call_c1_0", "f", '{"x":1}'],
      ["call_c1_1", "g", '{"y":2}'],
      ["call_c1_2", "g", '{"y":3}'],
    ],
  },
  {
    name: "no index and no id: calls without arguments",
    chunks: [[fn("f"), fn("g")]],
    done: [["call_c1_0", "f", "{}"], ["call_c1_1", "g", "{}"]],
  },
  {
    name: "all indexes 0, ids, whole arguments",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
      [{ index: 0, id: "b", ...fn("f", '{"x":2}') }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "f", '{"x":2}']],
  },
  {
    name: "all indexes 0, ids, pieces one call after the other (dynamo)",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", "") }],
      [{ index: 0, ...fn(undefined, '{"x":1') }],
      [{ index: 0, ...fn(undefined, "}") }],
      [{ index: 0, id: "b", ...fn("g", "") }],
      [{ index: 0, ...fn(undefined, '{"y":2}') }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "all indexes 0, ids, pieces in turns",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x"') }],
      [{ index: 0, id: "b", ...fn("g", '{"y"') }],
      [{ index: 0, id: "a", ...fn(undefined, ":1}") }],
      [{ index: 0, id: "b", ...fn(undefined, ":2}") }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "all indexes 0, no ids, whole calls",
    chunks: [
      [{ index: 0, ...fn("f", '{"x":1}') }, { index: 0, ...fn("g", "{}") }],
      [{ index: 0, ...fn("h", '{"z":3}') }],
    ],
    done: [
      ["call_c1_0", "f", '{"x":1}'],
      ["call_c1_1", "g", "{}"],
      ["call_c1_2", "h", '{"z":3}'],
    ],
  },
  {
    name: "all indexes 0, ids, the second without a name as yet",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
      [{ index: 0, id: "b", ...fn(undefined, '{"y":2}') }],
      [{ index: 0, id: "b", ...fn("g") }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "another id and name while the arguments are cut",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x":') }],
      [{ index: 0, id: "b", ...fn("g", '{"y":2}') }],
    ],
    done: [["b", "g", '{"y":2}']],
    unfinished: [["a", "f", '{"x":']],
  },
  {
    name: "an index that starts at 1",
    chunks: [
      [{ index: 1, id: "a", ...fn("f", "") }],
      [{ index: 1, ...fn(undefined, '{"x":1}') }],
      [{ index: 2, id: "b", ...fn("g", '{"y":2}') }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "an index that comes with the second piece",
    chunks: [
      [{ id: "a", ...fn("f", '{"x"') }],
      [{ index: 0, ...fn(undefined, ":") }],
      [{ index: 0, ...fn(undefined, "1}") }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "an index that goes on while the id stays",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x"') }],
      [{ index: 1, id: "a", ...fn(undefined, ":") }],
      [{ index: 2, id: "a", ...fn(undefined, "1}") }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "one id for two calls with an index each (Bedrock)",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
      [{ index: 1, id: "a", ...fn("f", '{"x"') }],
      [{ index: 1, ...fn(undefined, ":2}") }],
    ],
    done: [["a", "f", '{"x":1}'], ["a", "f", '{"x":2}']],
  },
  {
    name: "one id for two calls whose pieces come in turns",
    chunks: [
      [{ index: 0, id: "a", ...fn("f") }, { index: 1, id: "a", ...fn("g") }],
      [{ index: 1, id: "a", ...fn(undefined, '{"y":2}') }],
      [{ index: 0, id: "a", ...fn(undefined, '{"x":1}') }],
    ],
    done: [["a", "f", '{"x":1}'], ["a", "g", '{"y":2}']],
  },
  {
    name: "one id for two calls, the second with its arguments before its name",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
      [{ index: 1, id: "a", ...fn(undefined, '{"y":2}') }],
      [{ index: 1, ...fn("g") }],
    ],
    done: [["a", "f", '{"x":1}'], ["a", "g", '{"y":2}']],
  },
  {
    name: "a second call with its arguments before its name, and no id",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
      [{ index: 1, ...fn(undefined, '{"y":2}') }],
      [{ index: 1, id: "b", ...fn("g") }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "the same after a call whose index came late",
    chunks: [
      [{ id: "a", ...fn("f", '{"x"') }],
      [{ index: 0, ...fn(undefined, ":1}") }],
      [{ index: 1, ...fn(undefined, '{"y":2}') }],
      [{ index: 1, id: "b", ...fn("g") }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "a second call with an index, after one without",
    chunks: [
      [{ id: "a", ...fn("f", '{"x":1}') }],
      [{ index: 0, id: "b", ...fn(undefined, '{"y":2}') }],
      [{ index: 0, ...fn("g") }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "no index and no id: the same function, first with `{}`",
    chunks: [[fn("f", "{}"), fn("f", '{"x":1}')]],
    done: [["call_c1_0", "f", "{}"], ["call_c1_1", "f", '{"x":1}']],
  },
  {
    name: "`{}`, then the arguments",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", "{}") }],
      [{ index: 0, ...fn(undefined, '{"x"') }],
      [{ index: 0, ...fn(undefined, ":1}") }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "`{}`, then the arguments, id and name repeated",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", "{}") }],
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "`{}`, then the arguments, with the name and without ids",
    chunks: [
      [{ index: 0, ...fn("f", "{}") }],
      [{ index: 0, ...fn("f", '{"x":1}') }],
    ],
    done: [["call_c1_0", "f", '{"x":1}']],
  },
  {
    name: "`{}{...}` in one piece, and cut in odd places",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{}{"x":1}') }],
      [{ index: 1, id: "b", ...fn("g", " { ") }],
      [{ index: 1, ...fn(undefined, "} \n") }],
      [{ index: 1, ...fn(undefined, '\t{"y":2}') }],
    ],
    done: [["a", "f", '{"x":1}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "`{}` and white space",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", "{}") }],
      [{ index: 0, ...fn(undefined, "\n") }],
    ],
    done: [["a", "f", "{}\n"]],
  },
  {
    name: "arguments as an object (Ollama)",
    chunks: [
      [{ id: "a", ...fn("f", { x: [1, "}"] }) }],
      [{ index: 1, id: "b", ...fn("g", {}) }],
      [{ index: 1, ...fn(undefined, { y: 2 }) }],
    ],
    done: [["a", "f", '{"x":[1,"}"]}'], ["b", "g", '{"y":2}']],
  },
  {
    name: "arguments before the name (SGLang)",
    chunks: [
      [{ index: 0, id: "a", ...fn(undefined, '{"x"') }],
      [{ index: 0, ...fn(undefined, ":1}") }],
      [{ index: 0, ...fn("f") }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "a name in pieces",
    chunks: [
      [{ index: 0, id: "a", ...fn("get_") }],
      [{ index: 0, ...fn("weather", "") }],
      [{ index: 0, ...fn(undefined, '{"x":1}') }],
    ],
    done: [["a", "get_weather", '{"x":1}']],
  },
  {
    name: "a signature in a delta of its own (Gemini)",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
      [{ index: 0, id: "", extra_content: { google: { s: "x" } } }],
    ],
    done: [["a", "f", '{"x":1}']],
  },
  {
    name: "no arguments: none, empty, null, blank",
    chunks: [
      [{ index: 0, id: "a", ...fn("f") }, {
        index: 1,
        id: "b",
        ...fn("g", ""),
      }],
      [{ index: 2, id: "c", ...fn("h", null) }],
      [{ index: 3, id: "d", ...fn("i", " ") }],
    ],
    done: [
      ["a", "f", "{}"],
      ["b", "g", "{}"],
      ["c", "h", "{}"],
      ["d", "i", "{}"],
    ],
  },
  {
    name: "fragments that say nothing",
    chunks: [
      [{}, null, { index: 0, function: {} }],
      [{ index: 0, id: "a", ...fn("f", "{}") }],
      [{ index: 5, type: "function", ...fn("", "") }],
    ],
    done: [["a", "f", "{}"]],
  },
  {
    name: "arguments that are cut",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
      [{ index: 1, id: "b", ...fn("g", '{"y":"') }],
    ],
    done: [["a", "f", '{"x":1}']],
    unfinished: [["b", "g", '{"y":"']],
  },
  {
    name: "arguments that are no JSON, though their brackets match",
    chunks: [[{ index: 0, id: "a", ...fn("f", "{x: 1}") }]],
    done: [],
    unfinished: [["a", "f", "{x: 1}"]],
  },
  {
    name: "arguments twice",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
      [{ index: 0, ...fn(undefined, '{"x":1}') }],
    ],
    done: [],
    unfinished: [["a", "f", '{"x":1}{"x":1}']],
  },
  {
    name: "arguments twice, with id and name: not two calls to run",
    chunks: [
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
      [{ index: 0, id: "a", ...fn("f", '{"x":1}') }],
    ],
    done: [],
    unfinished: [["a", "f", '{"x":1}{"x":1}']],
  },
  {
    name: "no name",
    chunks: [[{ index: 0, id: "a", ...fn(undefined, "{}") }]],
    done: [],
    unfinished: [["a", "", "{}"]],
  },
];

function call([call_id, name, args]: Whole, status: string) {
  return { type: "function_call", call_id, name, arguments: args, status };
}

for (const { name, chunks, done, unfinished = [] } of TABLE) {
  Deno.test(`ToolCalls reads ${name}`, () => {
    const stream = [
      ...chunks.map((fragments) => calls(...fragments)),
      finish("tool_calls"),
      DONE,
    ];
    for (const deltas of [true, false]) {
      const decoded = decode(stream, deltas);
      const items = itemsOf(decoded).map(({ extra_content: _, ...item }) =>
        item
      );
      assertEquals<unknown>(
        items,
        done.map((whole) => call(whole, "completed")),
      );
      const last = lastOf(decoded);
      assertEquals<unknown>(
        last.type === "incomplete" ? last.unfinished : [],
        unfinished.map((cut) => call(cut, "incomplete")),
      );
      assertEquals(
        last.type === "incomplete" ? last.reason : undefined,
        unfinished.length > 0 ? "tool_call_arguments" : undefined,
      );
      if (!deltas) continue;

      // The deltas say the same as the items.
      for (const event of decoded.events) {
        if (event.type !== "output_item.done") continue;
        const { outputIndex, item } = event;
        assertEquals(
          textOf(decoded, "tool_call.delta", outputIndex),
          item.arguments,
        );
        const added = decoded.events.filter((other) =>
          other.type === "output_item.added" &&
          other.outputIndex === outputIndex
        );
        assertEquals(added.length, 1);
      }
    }
  });
}

Deno.test("ToolCalls tells a call once its name is known, and its arguments as they come", () => {
  const { events } = decode([
    calls({ index: 0, id: "a", ...fn(undefined, '{"x"') }),
    calls({ index: 0, ...fn(undefined, ":[") }),
    calls({ index: 0, ...fn("f") }),
    calls({ index: 0, ...fn(undefined, "1]}") }),
    finish("tool_calls"),
  ]);
  const item = {
    type: "function_call",
    call_id: "a",
    name: "f",
    arguments: "",
    status: "in_progress",
  };
  const at = { itemId: "c1:0", outputIndex: 0 };
  assertEquals<unknown>(events, [
    { type: "created", responseId: "c1", model: "m" },
    { type: "output_item.added", item, outputIndex: 0 },
    { type: "tool_call.delta", ...at, delta: '{"x":[' },
    { type: "tool_call.delta", ...at, delta: "1]}" },
    {
      type: "output_item.done",
      item: { ...item, arguments: '{"x":[1]}', status: "completed" },
      outputIndex: 0,
    },
  ]);
});

Deno.test("ToolCalls keeps what it does not know, for the next request", () => {
  const decoded = decode([
    calls({
      index: 0,
      id: "a",
      ...fn("f", "{}"),
      extra_content: { google: { thought_signature: "s" } },
      name: "not this",
      status: "odd",
      empty: {},
    }),
    calls({ index: 0, extra_content: { more: 1 }, provider_fields: [1] }),
    `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"__proto__":{"polluted":true}}]}}]}`,
    finish("tool_calls"),
  ]);
  const [item] = itemsOf(decoded);
  assertEquals(
    JSON.stringify(item),
    '{"type":"function_call","call_id":"a","name":"f","arguments":"{}","status":"completed",' +
      '"extra_content":{"google":{"thought_signature":"s"},"more":1},"provider_fields":[1],' +
      '"__proto__":{"polluted":true}}',
  );
  assert(!("polluted" in {}));
});

Deno.test("ToolCalls reads the old function_call", () => {
  const decoded = decode([
    choice({
      role: "assistant",
      content: null,
      function_call: { name: "f", arguments: "" },
    }),
    choice({ function_call: { arguments: '{"x"' } }),
    choice({ function_call: { arguments: ":1}" } }),
    finish("function_call"),
    DONE,
  ]);
  assertEquals(lastOf(decoded).type, "completed");
  assertEquals<unknown>(itemsOf(decoded), [
    call(["call_c1_0", "f", '{"x":1}'], "completed"),
  ]);
});

Deno.test("ToolCalls reads a call once that comes in the old way and the new", () => {
  const body = { name: "f", arguments: '{"x":1}' };
  const decoded = decode([
    choice({
      function_call: body,
      tool_calls: [{ index: 0, id: "a", function: body }],
    }, "tool_calls"),
  ]);
  assertEquals<unknown>(itemsOf(decoded), [
    call(["a", "f", '{"x":1}'], "completed"),
  ]);
});

Deno.test("ToolCalls reads tool_calls that are no list", () => {
  const decoded = decode([
    choice({ tool_calls: { id: "a", ...fn("f", "{}") } }, "stop"),
  ]);
  assertEquals<unknown>(itemsOf(decoded), [
    call(["a", "f", "{}"], "completed"),
  ]);
  const odd = choice({ tool_calls: ["odd"] }, "stop");
  assertEquals(othersOf(decode([odd])), [JSON.parse(odd)]);
});

Deno.test("ToolCalls reads the input of a custom tool, which need not be JSON", () => {
  const decoded = decode([
    calls({
      index: 0,
      id: "a",
      type: "custom",
      custom: { name: "f", input: "{}" },
    }),
    calls({ index: 0, custom: { input: "{not json" } }),
    finish("tool_calls"),
  ]);
  assertEquals(lastOf(decoded).type, "completed");
  assertEquals<unknown>(itemsOf(decoded), [{
    type: "custom_tool_call",
    call_id: "a",
    name: "f",
    input: "{}{not json",
    status: "completed",
  }]);
  assertEquals(textOf(decoded, "tool_call.delta", 0), "{}{not json");
});

Deno.test("ToolCalls is done with a call whatever word the server has for it", () => {
  for (const reason of ["stop", "tool_calls", "STOP", "tool_use"]) {
    const decoded = decode([
      calls({ index: 0, id: "a", ...fn("f", "{}") }),
      finish(reason),
    ]);
    assertEquals(itemsOf(decoded).length, 1, reason);
  }
});

Deno.test("ToolCalls is done with no call of a response that is cut off", () => {
  const stream = [
    choice({ content: "I " }),
    calls({ index: 0, id: "a", ...fn("f", '{"x":1}') }),
    calls({ index: 1, id: "b", ...fn("g") }),
  ];
  const cut = decode([...stream, finish("length"), DONE]);
  assertEquals(itemsOf(cut).map(({ type }) => type), ["message"]);
  assertEquals<unknown>(lastOf(cut), {
    type: "incomplete",
    reason: "max_output_tokens",
    responseId: "c1",
    unfinished: [
      call(["a", "f", '{"x":1}'], "incomplete"),
      call(["b", "g", ""], "incomplete"),
    ],
  });

  const torn = decode(stream);
  assertEquals(errorOf(torn).code, "truncated");
  assertEquals(itemsOf(torn).map(({ type }) => type), ["message"]);
});

Deno.test("ToolCalls takes a call without arguments for cut if nobody says that it is not", () => {
  const decoded = decode([
    calls({ index: 0, id: "a", ...fn("f") }, {
      index: 1,
      id: "b",
      ...fn("g", "{}"),
    }),
    DONE,
  ]);
  assertEquals<unknown>(itemsOf(decoded), [
    call(["b", "g", "{}"], "completed"),
  ]);
  const last = lastOf(decoded);
  assertEquals(
    last.type === "incomplete" && last.reason,
    "tool_call_arguments",
  );
});

Deno.test("ToolCalls tells what was held back when the stream breaks off", () => {
  const decoded = decode([calls({ index: 0, id: "a", ...fn("f", "{") })]);
  assertEquals(errorOf(decoded).code, "truncated");
  assertEquals(textOf(decoded, "tool_call.delta", 0), "{");
});

Deno.test("ToolCalls makes no call of a signature, or an id, alone", () => {
  const signature = calls({ extra_content: { google: { s: "x" } } });
  const id = calls({ index: 3, id: "z" });
  const decoded = decode([
    choice({ content: "Hi" }),
    signature,
    id,
    finish("stop"),
  ]);
  assertEquals(lastOf(decoded).type, "completed");
  assertEquals(itemsOf(decoded).map(({ type }) => type), ["message"]);
  assertEquals(othersOf(decoded), [JSON.parse(signature), JSON.parse(id)]);
});

Deno.test("ToolCalls puts text and calls in the order in which they began", () => {
  const decoded = decode([
    choice({ content: "One" }),
    calls({ index: 0, id: "a", ...fn("f", "{}") }),
    choice({ content: "Two" }),
    calls({ index: 1, id: "b", ...fn("g", "{}") }),
    choice({ content: "Three" }, "tool_calls"),
  ]);
  const done = decoded.events.flatMap((event) =>
    event.type === "output_item.done"
      ? [[event.outputIndex, event.item.type]]
      : []
  );
  assertEquals(done, [
    [0, "message"],
    [2, "message"],
    [1, "function_call"],
    [3, "function_call"],
    [4, "message"],
  ]);
});

/** Arguments, with what makes their end hard to see. */
const argumentsText = fc.dictionary(
  fc.string({ maxLength: 4 }),
  fc.oneof(fc.string(), fc.constantFrom('"}', "\\", "{", "[]"), fc.jsonValue()),
  { minKeys: 1, maxKeys: 3 },
).map((value) => JSON.stringify(value));

/**
 * The ways in which servers mark the fragments of a call: the first one, and
 * the others.
 */
const MARKS: readonly ((
  at: number,
  id: string,
  isFirst: boolean,
  piece: number,
) => Record<string, unknown>)[] = [
  (at, id, isFirst) => isFirst ? { index: at, id } : { index: at },
  (at, id) => ({ index: at, id }),
  (at, id) => ({ index: at + 1, id }),
  (_, id) => ({ id }),
  (_, id, isFirst) => isFirst ? { id } : {},
  (_, id, isFirst) => isFirst ? { index: 0, id } : { index: 0, id: "" },
  (_, id) => ({ index: 0, id }),
  (at, id, isFirst, piece) => ({
    index: at,
    id: isFirst ? id : `${id}-${piece}`,
  }),
  (_, id, isFirst, piece) => ({
    index: 0,
    id: isFirst ? id : `${id}-${piece}`,
  }),
];

Deno.test("ToolCalls puts calls together wherever their arguments are cut, and however they are marked", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          text: argumentsText,
          sizes: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 20 }),
        }),
        {
          minLength: 1,
          maxLength: 4,
        },
      ),
      fc.constantFrom(...MARKS),
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      (wanted, mark, nameRepeated, placeholder, inOneChunk) => {
        const fragments: unknown[] = [];
        wanted.forEach(({ text, sizes }, at) => {
          const pieces: string[] = [];
          let rest = text;
          for (const size of sizes) {
            pieces.push(rest.slice(0, size));
            rest = rest.slice(size);
          }
          pieces.push(rest);
          if (placeholder) pieces.unshift("{}");
          pieces.forEach((piece, n) => {
            fragments.push({
              ...mark(at, `id${at}`, n === 0, n),
              // A name with another id begins a call: those servers do not repeat it.
              ...fn(
                n === 0 || nameRepeated && MARKS.indexOf(mark) < 7
                  ? `f${at}`
                  : "",
                piece,
              ),
            });
          });
        });
        // With ids that change, `{}` cannot be told from the arguments of another call.
        if (placeholder && MARKS.indexOf(mark) >= 7) return;
        const chunks = inOneChunk
          ? [calls(...fragments)]
          : fragments.map((fragment) => calls(fragment));
        const decoded = decode([...chunks, finish("tool_calls"), DONE]);
        assertEquals<unknown>(
          itemsOf(decoded),
          wanted.map(({ text }, at) =>
            call([`id${at}`, `f${at}`, text], "completed")
          ),
        );
        assertEquals(lastOf(decoded).type, "completed");
        wanted.forEach(({ text }, at) =>
          assertEquals(textOf(decoded, "tool_call.delta", at), text)
        );
      },
    ),
    propertyParameters(500),
  );
});

Deno.test("ToolCalls takes a time that grows with the length of the arguments, not with its square", () => {
  // The worst of it: pieces of one character, ids that change, many placeholders.
  const count = 20_000;
  const stream = [
    calls({ index: 0, id: "a", ...fn("f", "{}".repeat(count) + '{"x":"') }),
  ];
  for (let i = 0; i < count; i++) {
    stream.push(calls({ index: 0, id: `b${i}`, ...fn("", "}") }));
  }
  stream.push(calls({ index: 0, ...fn("", '"}') }), finish("stop"));
  const [item] = itemsOf(decode(stream));
  assertEquals(item?.arguments, `{"x":"${"}".repeat(count)}"}`);
});

Deno.test("ToolCalls leaves chunks of other choices alone", () => {
  const other = chunk({
    choices: [{
      index: 1,
      delta: { tool_calls: [{ index: 0, id: "a", ...fn("f", "{}") }] },
    }],
  });
  const stream = [choice({ content: "Hi" }), other, finish("stop")];
  const decoded = decode(stream, true, true);
  assertEquals(itemsOf(decoded).map(({ type }) => type), ["message"]);
  assertEquals(othersOf(decoded), [JSON.parse(other)]);
});
