import {
  getAnsiColorFormatter,
  getJsonLinesFormatter,
  getTextFormatter,
  type LogRecord,
  type TextFormatter,
} from "@logtape/logtape";
import { escapeInvisible } from "./escape_invisible.ts";
import { type PlainValue, plainValue } from "./plain_value.ts";

/** The format of a log line. */
export type LogFormat =
  | { readonly kind: "text"; readonly colors: boolean }
  | { readonly kind: "json" };

/** Written as it is in a line of text: all else is quoted, so that it is known where it ends. */
const WORD = /^[\w.:/?&=*@%+~#[\]-]+$/;

const TIMESTAMP = "rfc3339";

/**
 * Makes what writes a record: on one line, whatever it is about. In text,
 * characters that are not seen are written as in JSON; a record of JSON has
 * `@timestamp`, `level`, `message`, `logger` and `properties`.
 *
 * @param worker The number of the worker that logs, which is in each line. Default: none
 * is.
 */
export function logFormat(format: LogFormat, worker?: number): TextFormatter {
  const write = formatterOf(format);
  const prefix = worker === undefined ? "" : `worker ${worker}: `;
  return (record) => {
    const message = textOf(record);
    if (format.kind === "text") {
      const text = prefix + escapeInvisible(message);
      return write({ ...record, message: [text] });
    }
    const properties = plainProperties({
      ...record.properties,
      ...(worker !== undefined && { worker }),
    });
    const line = write({ ...record, message: [message], properties });
    return `${escapeInvisible(line.trimEnd())}\n`;
  };
}

function formatterOf(format: LogFormat): TextFormatter {
  // `escapeInvisible` escapes all that `sanitize` would, and more.
  const options = { timestamp: TIMESTAMP, sanitize: false } as const;
  if (format.kind === "json") {
    return getJsonLinesFormatter({ properties: "nest:properties" });
  }
  return format.colors
    ? getAnsiColorFormatter(options)
    : getTextFormatter(options);
}

function plainProperties(
  properties: Readonly<Record<string, unknown>>,
): Record<string, PlainValue> {
  const plain = plainValue(properties);
  // of an object it is one
  return plain as Record<string, PlainValue>;
}

function textOf({ message }: LogRecord): string {
  return message.map((part, index) => {
    // Every other one is of the template, which is ours.
    if (index % 2 === 0) return String(part);
    return shown(plainValue(part));
  }).join("");
}

function shown(value: PlainValue | undefined): string {
  if (value === null || value === undefined) return "-";
  if (typeof value === "string") {
    return WORD.test(value) ? value : JSON.stringify(value);
  }
  if (typeof value !== "object") return String(value);
  return "name" in value && "message" in value
    ? shownError(value)
    : JSON.stringify(value);
}

/** As people read it; its parts are as `plainValue` makes them. */
function shownError(
  { name, code, message, stack, cause }: { readonly [key: string]: PlainValue },
): string {
  const kind = code === undefined
    ? shown(name)
    : `${shown(name)} ${shown(code)}`;
  const from = typeof stack === "string"
    ? ` ${stack.replaceAll("\n", " ")}`
    : "";
  const because = cause === undefined ? "" : `, caused by ${shown(cause)}`;
  return `${kind}: ${shown(message)}${from}${because}`;
}
