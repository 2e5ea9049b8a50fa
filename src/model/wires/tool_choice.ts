// This module is browser compatible.
import { nameOf, type Tool, type ToolChoice } from "../prompt.ts";

/**
 * Returns the choice of a tool by its name as one by its type and name.
 *
 * @param choice The choice.
 * @param tools The tools that there are.
 * @returns The choice with its type.
 */
export function toolNamed(
  choice: Exclude<ToolChoice, string>,
  tools: readonly Tool[],
): { type: string; [field: string]: unknown } {
  if ("type" in choice) return choice;
  const tool = tools.find((tool) => nameOf(tool) === choice.name);
  return { type: tool?.type ?? "function", name: choice.name };
}
