/** A part of a model's answer that an event adds to. */
export interface Piece {
  readonly kind: "text" | "reasoning" | "tool" | "result" | "user";
  /**
   * The key of the part that it belongs to: the texts of one part follow each
   * other.
   */
  readonly key: string;
  /** The name of the tool that is called. */
  readonly name?: string | undefined;
  readonly text: string;
  /** Whether the answer before it is over. */
  readonly isFirst?: boolean;
}

/** Any value of JSON; what is not there is `undefined`, however deep. */
// deno-lint-ignore no-explicit-any -- four providers' formats, of which a few fields are read
type Json = any;

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function piece(
  kind: Piece["kind"],
  key: unknown,
  value: unknown,
  name?: unknown,
): Piece[] {
  return text(value) || name
    ? [{ kind, key: `${kind} ${key}`, text: text(value), name: text(name) }]
    : [];
}

/** The types of events with the next characters of some part. */
const DELTA = /(text|refusal|reasoning|arguments|input)[.-]delta$/;

/** The Responses API, and UI messages of the AI SDK. */
function ofParts(type: string, json: Json): Piece[] {
  const { item, delta, inputTextDelta, id, toolCallId } = json;
  const place = id ?? toolCallId ?? json.output_index;
  const [, part] = DELTA.exec(type) ?? [];
  if (part) {
    return /^(arguments|input)$/.test(part)
      ? piece("tool", place, delta ?? inputTextDelta)
      : piece(
        type.includes("reasoning") ? "reasoning" : "text",
        `${place}.${json.content_index ?? json.summary_index}`,
        delta,
      );
  }
  switch (type) {
    case "response.output_item.added":
      return /_call$/.test(item?.type)
        ? piece("tool", place, "", item.name ?? item.type)
        : [];
    case "tool-input-start":
      return piece("tool", place, "", json.toolName);
    case "tool-output-available":
      return piece("result", place, JSON.stringify(json.output));
    case "data-rivulet-turn":
      return (json.data?.message?.parts ?? []).flatMap((part: Json) =>
        piece("user", "", part?.text)
      );
  }
  return [];
}

/** Chat Completions. */
function ofChat(json: Json): Piece[] {
  return (json.choices ?? []).flatMap(({ index = 0, delta = {} }: Json) => [
    ...piece("reasoning", index, delta.reasoning_content ?? delta.reasoning),
    ...piece("text", index, delta.content),
    ...(delta.tool_calls ?? []).flatMap((call: Json) =>
      piece(
        "tool",
        `${index}.${call.index}`,
        call.function?.arguments,
        call.function?.name,
      )
    ),
  ]);
}

/** Anthropic's Messages. */
function ofMessages(json: Json): Piece[] {
  const { index, content_block: block, delta } = json;
  return [
    ...piece("tool", index, delta?.partial_json, block?.name),
    ...piece("text", index, delta?.text ?? block?.text),
    ...piece("reasoning", index, delta?.thinking),
  ];
}

/** The events with which an answer begins. */
const FIRST = /^(response\.created|message_start|data-rivulet-turn)$/;

/** Returns what an event adds to an answer: nothing, where it is of no known format. */
export function piecesOf(event: string, data: string): Piece[] {
  try {
    const json: Json = JSON.parse(data);
    const type = text(json.type ?? event);
    const pieces = json.choices
      ? ofChat(json)
      : /^content_block/.test(type)
      ? ofMessages(json)
      : ofParts(type, json);
    return FIRST.test(type)
      ? [{ kind: "text", key: "", text: "", isFirst: true }, ...pieces]
      : pieces;
  } catch {
    return []; // Not JSON, or not as the format has it.
  }
}
