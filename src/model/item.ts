// This module is browser compatible.
import * as z from "zod";

/**
 * A `type` that this library has no shape for: at run time any text that is not
 * one of the known types. TypeScript cannot say "any text but those", so this
 * says a text that none of them begins with: comparing `type` with a known one
 * then leaves that one's shape alone.
 */
export type OtherType = `(other)${string}`;

/** Text from the user, or from a program. */
export interface InputTextPart {
  /** The type of the part. */
  type: "input_text";
  /** The text. */
  text: string;
  /** All other fields. */
  [field: string]: unknown;
}

/** An image from the user. */
export interface InputImagePart {
  /** The type of the part. */
  type: "input_image";
  /** The URL of the image, or all of it as a `data:` URL. */
  image_url?: string | null;
  /** All other fields. */
  [field: string]: unknown;
}

/** A file from the user. */
export interface InputFilePart {
  /** The type of the part. */
  type: "input_file";
  /** All of it, as a `data:` URL. */
  file_data?: string | null;
  /** Its name. */
  filename?: string | null;
  /** The id under which the provider has it. */
  file_id?: string | null;
  /**
   * The URL of the file. Chat has no place for that. Chat has no place for
   * that.
   */
  file_url?: string | null;
  /** All other fields. */
  [field: string]: unknown;
}

/** Text from the model. */
export interface OutputTextPart {
  /** The type of the part. */
  type: "output_text";
  /** The text. */
  text: string;
  /** All other fields: `annotations`, `logprobs`. */
  [field: string]: unknown;
}

/** An image from the model. */
export interface OutputImagePart {
  /** The type of the part. */
  type: "output_image";
  /** The URL of the image, or all of it as a `data:` URL. */
  image_url: string;
  /** All other fields. */
  [field: string]: unknown;
}

/** Text with which the model refuses. */
export interface RefusalPart {
  /** The type of the part. */
  type: "refusal";
  /** The text. */
  refusal: string;
  /** All other fields. */
  [field: string]: unknown;
}

/** Text that the model was thinking. */
export interface ReasoningTextPart {
  /** The type of the part. */
  type: "reasoning_text";
  /** The text. */
  text: string;
  /** All other fields. */
  [field: string]: unknown;
}

/** A part that this library has no shape for. */
export interface OtherPart {
  /** The type of the part. */
  type: OtherType;
  /** All other fields. */
  [field: string]: unknown;
}

/** A part of an item's content. */
export type ContentPart =
  | InputTextPart
  | InputImagePart
  | InputFilePart
  | OutputTextPart
  | OutputImagePart
  | RefusalPart
  | ReasoningTextPart
  | OtherPart;

/** A message of the user, the model or the application. */
export interface MessageItem {
  /** The type of the item. */
  type: "message";
  /**
   * The role of its author: `"user"`, `"assistant"`, `"system"`, `"developer"`.
   */
  role: string;
  /** The parts of the message. */
  content: ContentPart[];
  /** Its id, where the provider gives one. */
  id?: string;
  /** `"in_progress"`, `"completed"` or `"incomplete"`. */
  status?: string;
  /** All other fields. */
  [field: string]: unknown;
}

/** The reasoning of the model before an answer or a call. */
export interface ReasoningItem {
  /** The type of the item. */
  type: "reasoning";
  /** Its id, where the provider gives one. */
  id?: string;
  /** A summary, in parts of the type `summary_text`. */
  summary?: { type: string; text: string; [field: string]: unknown }[];
  /** The reasoning itself, where the provider shows it. */
  content?: ContentPart[] | null;
  /** All other fields, such as `encrypted_content`. */
  [field: string]: unknown;
}

/** A call of a function, which is to be answered with its output. */
export interface FunctionCallItem {
  /** The type of the item. */
  type: "function_call";
  /** Its id, where the provider gives one. */
  id?: string;
  /** The id that its output refers to. */
  call_id: string;
  /** The name of the function. */
  name: string;
  /** The arguments, as JSON. */
  arguments: string;
  /** `"in_progress"`, `"completed"` or `"incomplete"`. */
  status?: string;
  /**
   * All other fields, such as the signature that Gemini expects to be sent
   * back.
   */
  [field: string]: unknown;
}

/** The output of a function, sent back to the model. */
export interface FunctionCallOutputItem {
  /** The type of the item. */
  type: "function_call_output";
  /** The `call_id` of the call. */
  call_id: string;
  /** The output, as text or as parts. */
  output: string | ContentPart[];
  /** All other fields. */
  [field: string]: unknown;
}

/** A call of a custom tool, which takes plain text. */
export interface CustomToolCallItem {
  /** The type of the item. */
  type: "custom_tool_call";
  /** Its id, where the provider gives one. */
  id?: string;
  /** The id that its output refers to. */
  call_id: string;
  /** The name of the tool. */
  name: string;
  /** The input. */
  input: string;
  /** All other fields. */
  [field: string]: unknown;
}

/** A command that the model wants to be run on the caller's machine. */
export interface LocalShellCallItem {
  /** The type of the item. */
  type: "local_shell_call";
  /** Its id, where the provider gives one. */
  id?: string | null;
  /** The id that its output refers to. */
  call_id?: string | null;
  /** `"in_progress"`, `"completed"` or `"incomplete"`. */
  status: string;
  /** The command to run, and its settings. */
  action: {
    type: string;
    command?: string[];
    [field: string]: unknown;
  };
  /** All other fields. */
  [field: string]: unknown;
}

/** An item that this library has no shape for: it is passed on as it came. */
export interface OtherItem {
  /** The type of the item. */
  type: OtherType;
  /** All other fields. */
  [field: string]: unknown;
}

/**
 * An item of a conversation, in the shape that the Responses API has for it.
 *
 * Items keep all of their fields, and items of unknown types are kept whole, so
 * that everything from a provider can be sent back.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/responses/object | Responses: the response object}
 *
 * @example Find the calls that a response asks for
 * ```ts
 * import type { FunctionCallItem, ResponseItem } from "@rivulet/rivulet/model";
 *
 * const calls = (items: ResponseItem[]): FunctionCallItem[] =>
 *   items.filter((item) => item.type === "function_call");
 * ```
 */
export type ResponseItem =
  | MessageItem
  | ReasoningItem
  | FunctionCallItem
  | FunctionCallOutputItem
  | CustomToolCallItem
  | LocalShellCallItem
  | OtherItem;

/**
 * An item as a caller may write it: one of a response, a message without its
 * `type` or with its text as `content`, a message in the shape of Chat
 * Completions, or anything else that has a `type`.
 *
 * @example Ask with an image
 * ```ts
 * import type { InputItem } from "@rivulet/rivulet/model";
 *
 * const question: InputItem = {
 *   role: "user",
 *   content: [
 *     { type: "input_text", text: "What is this?" },
 *     { type: "input_image", image_url: "https://example.com/cat.png" },
 *   ],
 * };
 * ```
 */
export type InputItem =
  | ResponseItem
  | {
    type?: "message";
    role: string;
    content: string | readonly { type: string; [field: string]: unknown }[];
    [field: string]: unknown;
  }
  | {
    role: string;
    content?: null;
    tool_calls: readonly { id: string; [field: string]: unknown }[];
    [field: string]: unknown;
  }
  | { type: string; [field: string]: unknown };

/** Types of the calls that the caller has to answer; the provider makes others itself. */
export const CALLERS_CALLS: ReadonlySet<string> = new Set([
  "function_call",
  "custom_tool_call",
  "local_shell_call",
  "shell_call",
  "apply_patch_call",
  "computer_call",
]);

const parts = z.array(z.looseObject({ type: z.string() }));
const optionalId = z.string().nullish();

/** The shapes of the items that have one here; what does not fit is an {@linkcode OtherItem}. */
const shapes = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("message"),
    role: z.string(),
    content: parts,
  }),
  z.looseObject({
    type: z.literal("reasoning"),
    summary: z.array(z.looseObject({ type: z.string(), text: z.string() }))
      .optional(),
    content: parts.nullish(),
  }),
  z.looseObject({
    type: z.literal("function_call"),
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
  z.looseObject({
    type: z.literal("function_call_output"),
    call_id: z.string(),
    output: z.union([z.string(), parts]),
  }),
  z.looseObject({
    type: z.literal("custom_tool_call"),
    call_id: z.string(),
    name: z.string(),
    input: z.string(),
  }),
  z.looseObject({
    type: z.literal("local_shell_call"),
    id: optionalId,
    call_id: optionalId,
    status: z.string(),
    action: z.looseObject({ type: z.string() }),
  }),
]);

/**
 * Returns what a provider sent as a typed item.
 *
 * Nothing of it is changed or left out.
 *
 * @param value The value that came.
 * @returns The item; `undefined` if it is none: no object, without a `type`, or
 * of a known type and not in its shape, so that whoever trusts the type would
 * fall over it.
 */
export function parseItem(value: unknown): ResponseItem | undefined {
  if (!isItem(value)) return undefined;
  // Not what the schema returns: that is a copy, with its fields in another order.
  if (shapes.safeParse(value).success) return value as ResponseItem;
  const known = shapes.options.some(({ shape }) =>
    shape.type.value === value.type
  );
  // The type that cannot be said, see OtherType.
  return known ? undefined : value as OtherItem;
}

function isItem(value: unknown): value is { type: string } {
  return typeof value === "object" && value !== null && "type" in value &&
    typeof value.type === "string";
}
