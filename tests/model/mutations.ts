/**
 * Ways in which providers send the same answer otherwise: each is an edit of a
 * recorded stream that leaves its text and its calls as they are.
 *
 * @module
 */
import { at, list, str } from "./reference_fold.ts";

/** An event of a stream, to be edited. */
export interface WireBlock {
  name: string | undefined;
  /** Its data: parsed, or text that is not JSON. */
  data: unknown;
}

/** An object of JSON, to be edited. */
type Fields = Record<string, unknown>;

/** An object within a value; one that belongs to nothing, where there is none. */
function fields(value: unknown, ...path: (string | number)[]): Fields {
  const found = at(value, ...path);
  // Whatever else an object is, its fields can be edited.
  return typeof found === "object" && found !== null ? found as Fields : {};
}

/** Chance: a whole number from 0 to below `count`. */
export type Pick = (count: number) => number;

/** An edit of a stream. */
export type Mutation = (blocks: WireBlock[], pick: Pick) => WireBlock[];

type Edit = (object: Fields, place: number) => void;

/** Edits the only choice of each chunk that has one. */
const choices = (edit: Edit): Mutation => (blocks) => {
  let place = 0;
  for (const { data } of blocks) {
    const [choice] = list(at(data, "choices"));
    if (choice !== undefined) edit(fields(choice), place++);
  }
  return blocks;
};

const deltas = (edit: Edit): Mutation =>
  choices((choice, place) => {
    if (choice.delta) edit(fields(choice.delta), place);
  });

function rename(from: string, to: string): Edit {
  return (object) => {
    if (typeof object[from] !== "string") return;
    object[to] = object[from];
    delete object[from];
  };
}

const isDone = ({ data }: WireBlock): boolean => data === "[DONE]";

/** Whether a chunk has a piece of the answer. */
function hasPiece({ data }: WireBlock): boolean {
  const delta = at(data, "choices", 0, "delta") ??
    at(data, "choices", 0, "message");
  const content = at(delta, "content");
  return str(content) !== "" || list(content).length > 0 ||
    str(at(delta, "text")) !== "" || list(at(delta, "tool_calls")).length > 0;
}

const CHAT: Record<string, Mutation> = {
  "choices from 1": choices((choice) => choice.index = 1),
  "choices by chunk": choices((choice, place) => choice.index = place),
  "choices as text": choices((choice) => choice.index = `${choice.index}`),
  "choices without index": choices((choice) => delete choice.index),
  "finish_reason in every chunk": (blocks) => {
    const said = blocks.map(({ data }) =>
      at(data, "choices", 0, "finish_reason")
    ).findLast((reason) => str(reason) !== "");
    return choices((choice) => choice.finish_reason = said ?? "stop")(
      blocks,
      () => 0,
    );
  },
  "finish_reason early": (blocks, pick) => {
    const chunks = blocks.filter(({ data }) =>
      at(data, "choices", 0) !== undefined
    );
    const said =
      chunks.map(({ data }) => at(data, "choices", 0, "finish_reason"))
        .findLast((reason) => str(reason) !== "") ?? "stop";
    // With a piece, or before all of them: in a chunk of its own, only what follows
    // tells it from the last word, and that is waited for two seconds.
    const first = chunks.findIndex(hasPiece);
    const early = chunks.filter((chunk, place) =>
      place <= first || hasPiece(chunk)
    );
    const chunk = early[pick(early.length)];
    fields(chunk?.data, "choices", 0).finish_reason = said;
    return blocks;
  },
  "nulls": deltas((delta) => {
    for (const name of ["content", "tool_calls", "refusal", "function_call"]) {
      delta[name] ??= null;
    }
  }),
  "message for delta": choices((choice) => {
    choice.message ??= choice.delta;
    delete choice.delta;
  }),
  "text for content": deltas(rename("content", "text")),
  "content in parts": deltas((delta) => {
    if (typeof delta.content !== "string") return;
    delta.content = [{ type: "text", text: delta.content }];
  }),
  "reasoning_text": deltas(rename("reasoning", "reasoning_text")),
  "thinking": deltas(rename("reasoning_content", "thinking")),
  "without [DONE]": (blocks) => {
    // Some have nothing else to say that they are whole.
    const hasReason = blocks.some(({ data }) =>
      str(at(data, "choices", 0, "finish_reason")) !== ""
    );
    return hasReason ? blocks.filter((block) => !isDone(block)) : blocks;
  },
  "without usage": (blocks) => {
    for (const { data } of blocks) delete fields(data).usage;
    return blocks;
  },
  "without ids": (blocks) => {
    for (const { data } of blocks) delete fields(data).id;
    return blocks;
  },
  "role again and again": deltas((delta) => delta.role = "assistant"),
  "comments in data": (blocks) =>
    blocks.flatMap((block) => [block, { name: "ping", data: {} }]),
  "all at the end": (blocks) => {
    const last = blocks.findLastIndex(hasPiece);
    let content = "";
    let hasCalls = false;
    for (const { data } of blocks) {
      const delta = at(data, "choices", 0, "delta");
      const given = at(delta, "content");
      content += str(given);
      for (const part of list(given)) content += str(at(part, "text"));
      if (at(delta, "tool_calls")) hasCalls = true;
    }
    const block = blocks[last];
    // Calls are told in fragments, which only their own test puts together, and after
    // "message for delta" there is nothing left to put at the end.
    if (!block || hasCalls || content === "") return blocks;
    fields(block.data, "choices", 0).message = { role: "assistant", content };
    for (const { data } of blocks) {
      delete fields(data, "choices", 0, "delta").content;
    }
    return blocks;
  },
};

const ofType = (type: RegExp) => ({ data }: WireBlock): boolean =>
  type.test(str(at(data, "type")));
const without = (type: RegExp): Mutation => (blocks) =>
  blocks.filter((block) => !ofType(type)(block));
const twice = (type: RegExp): Mutation => (blocks) =>
  blocks.flatMap((block) =>
    ofType(type)(block) ? [block, structuredClone(block)] : [block]
  );
const items = (edit: (item: Fields) => void): Mutation => (blocks) => {
  for (const { data } of blocks.filter(ofType(/output_item\.done$/))) {
    edit(fields(data, "item"));
  }
  return blocks;
};
const outputs = (edit: (item: Fields) => void): Mutation => (blocks) => {
  for (const { data } of blocks.filter(ofType(/^response\.completed$/))) {
    for (const item of list(at(data, "response", "output"))) edit(fields(item));
  }
  return blocks;
};

/** Whether the last event has all of the output, as OpenAI's has. */
function isTold(blocks: WireBlock[]): boolean {
  const last = blocks.find(ofType(/^response\.completed$/));
  const told = list(at(last?.data, "response", "output")).length;
  return told > 0 && told >= blocks.filter(ofType(/output_item\.done$/)).length;
}

function disfigure(item: Fields): void {
  if (item.type === "reasoning" && list(item.summary).length === 0) {
    item.summary = null;
  }
  const content = list(item.content);
  if (item.type === "message" && content.length === 1) {
    if (at(content, 0, "type") === "output_text") {
      item.content = at(content, 0, "text");
    }
  }
  if (item.type === "function_call") {
    const text = str(item.arguments);
    if (text !== "") item.arguments = JSON.parse(text);
    delete item.id;
  }
}

const RESPONSES: Record<string, Mutation> = {
  "response.done": (blocks) => {
    for (const block of blocks.filter(ofType(/^response\.completed$/))) {
      fields(block.data).type = block.name = "response.done";
    }
    return blocks;
  },
  "only the last event": (blocks) =>
    isTold(blocks) ? blocks.filter(ofType(/^response\.completed$/)) : blocks,
  "only the beginning and the end": (blocks) =>
    isTold(blocks)
      ? blocks.filter(ofType(/^response\.(?:created|completed)$/))
      : blocks,
  "without items done": (blocks) =>
    isTold(blocks) ? without(/output_item\.done$/)(blocks, () => 0) : blocks,
  "without items added": without(/output_item\.added$/),
  "without what repeats": without(
    /(?:content_part|summary_part)\.|(?:text|arguments|refusal)\.done$/,
  ),
  "without created": without(/^response\.(?:created|in_progress)$/),
  "without the output at the end": (blocks) => {
    // Unless it is nowhere else.
    if (!blocks.some(ofType(/output_item\.done$/))) return blocks;
    for (const { data } of blocks.filter(ofType(/^response\.completed$/))) {
      fields(data, "response").output = [];
    }
    return blocks;
  },
  "items added twice": twice(/output_item\.added$/),
  "items done twice": twice(/output_item\.done$/),
  "created twice": twice(/^response\.(?:created|in_progress)$/),
  "places from 3": (blocks) => {
    for (const { data } of blocks) {
      const event = fields(data);
      const { output_index: index } = event;
      if (typeof index === "number") event.output_index = index + 3;
    }
    return blocks;
  },
  "places as text": (blocks) => {
    for (const { data } of blocks) {
      const event = fields(data);
      const { output_index: index } = event;
      if (typeof index === "number") event.output_index = `${index}`;
    }
    return blocks;
  },
  "places all 0": (blocks) => {
    for (const { data } of blocks) {
      const event = fields(data);
      if (typeof event.output_index === "number") event.output_index = 0;
    }
    return blocks;
  },
  "no numbers": (blocks) => {
    for (const { data } of blocks) delete fields(data).sequence_number;
    return blocks;
  },
  "odd items": items(disfigure),
  "odd output": outputs(disfigure),
  "empty messages": items((item) => {
    if (item.type === "message") item.content = [];
  }),
  "other ids at the end": outputs((item) => {
    if (item.id) item.id = `x${item.id}`;
  }),
  "text in objects": (blocks) => {
    for (const { data } of blocks.filter(ofType(/output_text\.delta$/))) {
      fields(data).delta = { text: at(data, "delta") };
    }
    return blocks;
  },
  "types in names": (blocks) => {
    for (const block of blocks) {
      block.name = str(at(block.data, "type")) || block.name;
      delete fields(block.data).type;
    }
    return blocks;
  },
};

/** The wire APIs of OpenAI, which others follow more or less. */
export type OpenAiWire = "chat" | "responses";

/** The mutations of each wire API, by name. */
export const MUTATIONS: Readonly<
  Record<OpenAiWire, Readonly<Record<string, Mutation>>>
> = { chat: CHAT, responses: RESPONSES };
