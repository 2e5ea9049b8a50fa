// This module is browser compatible.
import type { Tool, ToolChoice } from "../../prompt.ts";
import { type Fields, isFields } from "../event_data.ts";
import { refuse } from "../refusal.ts";
import { toolNamed } from "../tool_choice.ts";
import { CHAT } from "./parts.ts";

/** Tools that only a provider of the Responses API runs, or knows. */
const OF_RESPONSES =
  /^(web_search|file_search|code_interpreter|computer|image_generation|mcp|local_shell|shell|apply_patch|tool_search|namespace)/;

/**
 * Translates a tool.
 *
 * @param tool The tool, in the shape of either API.
 * @param path Its path.
 * @returns The tool in the shape of Chat.
 * @throws {TypeError} If Chat has no place for it.
 */
export function chatTool(tool: Tool, path: string): Fields {
  const { type, ...definition } = tool;
  if (isFields(tool[type])) return tool; // is one already
  if (type === "function") {
    const { cache_control, ...own } = definition;
    return {
      type,
      function: own,
      ...(cache_control === undefined ? {} : { cache_control }),
    };
  }
  if (type === "custom") {
    const { format, ...own } = definition;
    return {
      type,
      custom: format === undefined
        ? own
        : { ...own, format: grammarOf(format) },
    };
  }
  if (OF_RESPONSES.test(type)) {
    refuse(CHAT, path, `a tool of the type ${JSON.stringify(type)}`);
  }
  return tool; // a server's own
}

/** Chat has one level more than Responses. */
function grammarOf(format: unknown): unknown {
  if (!isFields(format) || format.type !== "grammar") return format;
  const { type, ...grammar } = format;
  return isFields(grammar.grammar) ? format : { type, grammar };
}

/**
 * Translates the choice of a tool.
 *
 * @param choice The choice, in the shape of either API.
 * @param tools The tools that there are.
 * @returns The choice in the shape of Chat.
 * @throws {TypeError} If Chat has no place for it.
 */
export function chatToolChoice(
  choice: ToolChoice,
  tools: readonly Tool[],
): unknown {
  if (typeof choice === "string") return choice;
  const named = toolNamed(choice, tools);
  const { type, ...definition } = named;
  if (isFields(named[type])) return named; // is one already
  if (type === "function" || type === "custom") {
    return { type, [type]: definition };
  }
  if (type === "allowed_tools") {
    const allowed = Array.isArray(named.tools)
      // Array.isArray makes it any[].
      ? (named.tools as readonly unknown[]).map((tool) =>
        isFields(tool) && typeof tool.type === "string"
          ? chatToolChoice({ ...tool, type: tool.type }, tools)
          : tool
      )
      : named.tools;
    return { type, allowed_tools: { mode: named.mode, tools: allowed } };
  }
  return refuse(
    CHAT,
    "prompt.toolChoice",
    `a choice of the type ${JSON.stringify(type)}`,
  );
}
