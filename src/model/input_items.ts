// This module is browser compatible.
import type {
  ContentPart,
  FunctionCallOutputItem,
  InputFilePart,
  InputImagePart,
  MessageItem,
} from "./item.ts";

/**
 * Makes a message from the user.
 *
 * @param content The text of the user, and parts such as {@linkcode image}s and
 * {@linkcode file}s.
 * @returns The message.
 *
 * @example Ask
 * ```ts
 * import { user } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(user("Why is the sky blue?"), {
 *   type: "message",
 *   role: "user",
 *   content: [{ type: "input_text", text: "Why is the sky blue?" }],
 * });
 * ```
 *
 * @example Ask about an image
 * ```ts
 * import { image, type Prompt, user } from "@rivulet/rivulet/model";
 *
 * const prompt: Prompt = {
 *   input: [user("What is this?", image("https://example.com/cat.png"))],
 * };
 * ```
 */
export function user(
  ...content: readonly (string | ContentPart)[]
): MessageItem {
  return message("user", content);
}

/**
 * Makes a message that tells the model how to behave, at its place in the
 * conversation. For all of the conversation, there is `instructions`.
 *
 * @param content The text of the message.
 * @returns The message.
 *
 * @example Change the tone
 * ```ts
 * import { system } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(system("Be brief from now on.").role, "system");
 * ```
 */
export function system(
  ...content: readonly (string | ContentPart)[]
): MessageItem {
  return message("system", content);
}

/**
 * Makes a message from the model, for conversations that come from elsewhere: of
 * a response, send back its `output`.
 *
 * @param text The text of the model.
 * @returns The message.
 *
 * @example Show the model how to answer
 * ```ts
 * import { assistant, type Prompt, user } from "@rivulet/rivulet/model";
 *
 * const prompt: Prompt = {
 *   input: [user("2 + 2"), assistant("4"), user("3 + 5")],
 * };
 * ```
 */
export function assistant(text: string): MessageItem {
  return {
    type: "message",
    role: "assistant",
    content: [{ type: "output_text", text, annotations: [] }],
  };
}

/** Options for {@linkcode image}. */
export interface ImageOptions {
  /**
   * The detail in which the model looks at the image: `"low"`, `"high"`, `"auto"`.
   *
   * @default what the provider thinks best
   */
  readonly detail?: string | undefined;
  /**
   * The media type of bytes.
   *
   * @default {"image/png"}
   */
  readonly mediaType?: string | undefined;
}

/**
 * Makes a part of a message from an image.
 *
 * @param source Its URL, which may be a `data:` URL, or its bytes.
 * @param options The detail, and the media type of bytes.
 * @returns The part, for {@linkcode user}.
 *
 * @example Send the bytes
 * ```ts
 * import { image } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(image(new Uint8Array([1, 2, 3]), { mediaType: "image/webp" }), {
 *   type: "input_image",
 *   image_url: "data:image/webp;base64,AQID",
 * });
 * ```
 */
export function image(
  source: string | URL | Uint8Array,
  { detail, mediaType = "image/png" }: ImageOptions = {},
): InputImagePart {
  return {
    type: "input_image",
    image_url: urlOf(source, mediaType),
    ...(detail === undefined ? {} : { detail }),
  };
}

/** Options for {@linkcode file}. */
export interface FileOptions {
  /**
   * Its name.
   *
   * @default {"file"}
   */
  readonly name?: string | undefined;
  /**
   * The media type of bytes.
   *
   * @default {"application/pdf"}
   */
  readonly mediaType?: string | undefined;
}

/**
 * Makes a part of a message from a file.
 *
 * @param source Its bytes, its URL (a `data:` URL, or one that the provider is to
 * fetch: Chat has no place for those), or the id under which the provider has it.
 * @param options The name, and the media type of bytes.
 * @returns The part, for {@linkcode user}.
 *
 * @example Send the bytes
 * ```ts
 * import { file } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(file(new Uint8Array([1, 2, 3]), { name: "bill.pdf" }), {
 *   type: "input_file",
 *   filename: "bill.pdf",
 *   file_data: "data:application/pdf;base64,AQID",
 * });
 * assertEquals(file("file-6F2ksmvXxt4VdoqmHRw6kL").file_id, "file-6F2ksmvXxt4VdoqmHRw6kL");
 * ```
 */
export function file(
  source: string | URL | Uint8Array,
  { name, mediaType = "application/pdf" }: FileOptions = {},
): InputFilePart {
  const url = urlOf(source, mediaType);
  if (/^data:/i.test(url)) {
    return { type: "input_file", filename: name ?? "file", file_data: url };
  }
  const named = name === undefined ? {} : { filename: name };
  return /^https?:/i.test(url)
    ? { type: "input_file", ...named, file_url: url }
    : { type: "input_file", ...named, file_id: url };
}

/**
 * Makes the answer to a call of a function.
 *
 * @param callId The `call_id` of the call.
 * @param output The output of the function: text, parts, or a value that the
 * model is sent as JSON.
 * @returns The item to send after the call.
 *
 * @example Answer a call
 * ```ts
 * import { functionCallOutput } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(functionCallOutput("call_1", "21 degrees"), {
 *   type: "function_call_output",
 *   call_id: "call_1",
 *   output: "21 degrees",
 * });
 * assertEquals(functionCallOutput("call_2", { degrees: 21 }).output, '{"degrees":21}');
 * ```
 */
export function functionCallOutput(
  callId: string,
  output: unknown,
): FunctionCallOutputItem {
  return {
    type: "function_call_output",
    call_id: callId,
    output: outputOf(output),
  };
}

/** Writes the value that a tool has returned so that the model can read it. */
function outputOf(value: unknown): string | ContentPart[] {
  if (typeof value === "string") return value;
  if (isParts(value)) return value;
  // A value without JSON, such as `undefined`, has no text.
  return JSON.stringify(value) ?? "";
}

/** Whether it is a list of parts, and not just any list. */
function isParts(value: unknown): value is ContentPart[] {
  return Array.isArray(value) && value.length > 0 &&
    // Array.isArray makes it any[].
    (value as readonly unknown[]).every((part) =>
      typeof part === "object" && part !== null && "type" in part &&
      typeof part.type === "string" && /^(input|output)_/.test(part.type)
    );
}

function message(
  role: string,
  content: readonly (string | ContentPart)[],
): MessageItem {
  return {
    type: "message",
    role,
    content: content.map((part) =>
      typeof part === "string" ? { type: "input_text", text: part } : part
    ),
  };
}

function urlOf(source: string | URL | Uint8Array, mediaType: string): string {
  if (!(source instanceof Uint8Array)) return String(source);
  let text = "";
  // In pieces: as many arguments as a file has bytes overflow the stack.
  for (let at = 0; at < source.length; at += 8_192) {
    text += String.fromCharCode(...source.subarray(at, at + 8_192));
  }
  return `data:${mediaType};base64,${btoa(text)}`;
}
