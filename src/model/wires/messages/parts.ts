// This module is browser compatible.
import { type Fields, isFields, textOf } from "../event_data.ts";
import { refuse } from "../refusal.ts";

/** The name of this API in messages. */
export const MESSAGES = "Messages";

/**
 * Returns the blocks that content of a message is.
 *
 * @param content Text, or parts in the shape of Responses, of Chat or of this API.
 * @param path Its path in the prompt.
 * @returns The blocks.
 * @throws {TypeError} If this API has no place for a part.
 */
export function blocksOf(content: unknown, path: string): Fields[] {
  if (!Array.isArray(content)) {
    const text = textOf(content);
    return text === "" ? [] : [{ type: "text", text }];
  }
  // Array.isArray makes it any[].
  const parts = content as readonly unknown[];
  return parts.map((part, index) => blockOf(part, `${path}.${index}`));
}

function blockOf(part: unknown, path: string): Fields {
  if (!isFields(part)) refuse(MESSAGES, path, "a part must be an object");
  switch (part.type) {
    case "input_text":
    case "output_text":
      return {
        type: "text",
        text: part.text,
        ...citationsOf(part.annotations),
        ...markOf(part),
      };
    case "refusal":
      return { type: "text", text: part.refusal, ...markOf(part) };
    case "input_image":
    case "image_url":
      return imageBlock(part, path);
    case "input_file":
      return fileBlock(part, part, path);
    case "file": // in the shape of Chat
      return fileBlock(isFields(part.file) ? part.file : part, part, path);
    default:
      if (/^(?:input|output|summary|reasoning)_/.test(textOf(part.type))) {
        refuse(
          MESSAGES,
          path,
          `a part of the type ${JSON.stringify(part.type)}`,
        );
      }
      return part; // is a block, or for the server to refuse
  }
}

function markOf({ cache_control: mark }: Fields): Fields {
  return mark == null ? {} : { cache_control: mark };
}

/** The citations that the API gave: without them it does not know its sources again. */
function citationsOf(annotations: unknown): Fields {
  if (!Array.isArray(annotations)) return {};
  const citations: unknown[] = [];
  // Array.isArray makes it any[].
  for (const annotation of annotations as readonly unknown[]) {
    if (!isFields(annotation)) continue;
    if (isFields(annotation.citation)) citations.push(annotation.citation);
    else if (/_location$/.test(textOf(annotation.type))) {
      citations.push(annotation);
    }
  }
  return citations.length === 0 ? {} : { citations };
}

function imageBlock(part: Fields, path: string): Fields {
  const { image_url: given, file_id: id } = part;
  const isOfChat = isFields(given);
  const url = isOfChat ? given.url : given;
  const detail = isOfChat ? given.detail : part.detail;
  if (detail != null && detail !== "auto") {
    refuse(MESSAGES, `${path}.detail`, "leave it out");
  }
  const source = typeof url === "string"
    ? readDataUrl(url) ?? { type: "url", url }
    : typeof id === "string"
    ? { type: "file", file_id: id }
    : undefined;
  if (source === undefined) {
    refuse(MESSAGES, path, "an image needs an 'image_url' or a 'file_id'");
  }
  return { type: "image", source, ...markOf(part) };
}

function fileBlock(file: Fields, part: Fields, path: string): Fields {
  const source = fileSource(file, path);
  return {
    type: "document",
    source,
    ...(typeof file.filename === "string" ? { title: file.filename } : {}),
    ...markOf(part),
  };
}

function fileSource(file: Fields, path: string): Fields {
  const { file_data: data, file_url: url, file_id: id } = file;
  if (typeof url === "string") return { type: "url", url };
  if (typeof id === "string") return { type: "file", file_id: id };
  const read = typeof data === "string" ? readDataUrl(data) : undefined;
  const type = textOf(read?.media_type);
  if (read !== undefined && type === "application/pdf") return read;
  if (read !== undefined && type.startsWith("text/")) {
    const bytes = Uint8Array.from(
      atob(read.data),
      (character) => character.charCodeAt(0),
    );
    const text = new TextDecoder().decode(bytes);
    return { type: "text", media_type: "text/plain", data: text };
  }
  return refuse(
    MESSAGES,
    path,
    "a file must be PDF or text, as a data: URL, a URL or an id",
  );
}

/** Returns the type and the data of a `data:` URL in Base64; `undefined` for any other URL. */
function readDataUrl(
  url: string,
): { type: "base64"; media_type: string; data: string } | undefined {
  // Not by one expression: a picture has megabytes.
  const comma = url.indexOf(",");
  const [, type = ""] = /^data:([^;,]*)(?:;[^,]*)?;base64$/i.exec(
    url.slice(0, Math.max(0, comma)),
  ) ?? [];
  if (type === "") return undefined;
  return { type: "base64", media_type: type, data: url.slice(comma + 1) };
}
