import { escapeInvisible } from "../../logs/escape_invisible.ts";
import type { System } from "../system.ts";

/**
 * Writes a value as a line of JSON. JSON may have bytes in it that a terminal obeys
 * (U+009B begins a control sequence): on a terminal, they are escaped.
 */
export function jsonLine(
  value: unknown,
  { isOutputTerminal }: Pick<System, "isOutputTerminal">,
): string {
  const text = JSON.stringify(value);
  return `${isOutputTerminal ? escapeInvisible(text) : text}\n`;
}
