// This module is browser compatible.
import { refuse } from "../refusal.ts";
import { type Fields, isFields, textOf } from "../event_data.ts";

/** The name of this API in messages. */
export const CHAT = "Chat Completions";

/** Fields of the model's own text, which say something about it and ask for nothing. */
const ABOUT_TEXT: ReadonlySet<string> = new Set([
  "type",
  "text",
  "annotations",
  "logprobs",
]);

/**
 * The text of content, or what it says in refusal.
 *
 * @param content The content of a message.
 * @param kind The kind of text.
 * @returns The text; `""` if there is none.
 */
export function plainText(
  content: unknown,
  kind: "text" | "refusal",
): string {
  if (!Array.isArray(content)) return kind === "text" ? textOf(content) : "";
  let text = "";
  // Array.isArray makes it any[].
  for (const part of content as readonly unknown[]) {
    if (isFields(part) && (part.type === "refusal") === (kind === "refusal")) {
      text += textOf(part[kind]);
    }
  }
  return text;
}

/**
 * Translates the content of a message.
 *
 * @param content The content.
 * @param path Its path.
 * @returns Text, unless there is more than text in it.
 * @throws {TypeError} If Chat has no place for a part.
 */
export function contentOf(content: unknown, path: string): string | Fields[] {
  if (!Array.isArray(content)) return textOf(content);
  // Array.isArray makes it any[].
  const parts = (content as readonly unknown[]).filter(isFields)
    .map((part, index) => chatPart(part, `${path}.${index}`));
  return parts.every(isPlain) ? plainText(parts, "text") : parts;
}

/**
 * Translates what a tool has returned: Chat has a place for text alone.
 *
 * @param output The output.
 * @param path Its path.
 * @returns Text, unless a part of it has something else, such as `cache_control`.
 * @throws {TypeError} If there is something else in it.
 */
export function outputOf(output: unknown, path: string): string | Fields[] {
  if (typeof output === "string") return output;
  if (!Array.isArray(output)) {
    return refuse(
      CHAT,
      path,
      "a tool's output must be text: functionCallOutput() makes JSON of other values",
    );
  }
  const parts = contentOf(output, path);
  if (typeof parts === "string") return parts;
  for (const [index, { type }] of parts.entries()) {
    if (type !== "text") {
      refuse(
        CHAT,
        `${path}.${index}`,
        `a tool's output must be text, and this is of the type ${
          JSON.stringify(type)
        }: send it in a message of the user`,
      );
    }
  }
  return parts;
}

function isPlain(part: Fields): boolean {
  return part.type === "text" && Object.keys(part).length === 2;
}

function chatPart(part: Fields, path: string): Fields {
  switch (part.type) {
    case "text":
    case "input_text":
    case "output_text":
      return { type: "text", text: part.text, ...rest(part, ABOUT_TEXT) };
    case "input_image":
      return imagePart(part, path);
    case "input_file":
      return filePart(part, path);
    default:
      // In Chat's own shape, or a server's own: it knows better.
      return part;
  }
}

/** The reference drops images. */
function imagePart(part: Fields, path: string): Fields {
  const { type: _, image_url: given, detail, file_id, ...more } = part;
  if (file_id != null) {
    refuse(CHAT, `${path}.file_id`, "send the image itself as 'image_url'");
  }
  const image = isFields(given) ? given : { url: given };
  return {
    type: "image_url",
    image_url: detail == null ? image : { ...image, detail },
    ...more,
  };
}

function filePart(part: Fields, path: string): Fields {
  const { type: _, file_id, filename, file_data, file_url, ...more } = part;
  if (file_url != null) {
    refuse(CHAT, `${path}.file_url`, "send the file itself as 'file_data'");
  }
  return {
    type: "file",
    file: {
      ...(file_id == null ? {} : { file_id }),
      ...(filename == null ? {} : { filename }),
      ...(file_data == null ? {} : { file_data }),
    },
    ...more,
  };
}

/**
 * The fields of an object without some of them.
 *
 * @param fields The object.
 * @param without The names of the fields to leave out.
 * @returns A copy.
 */
export function rest(
  fields: Fields,
  without: ReadonlySet<string>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([field]) => !without.has(field)),
  );
}
