// This module is browser compatible.
import {
  fullInstructions,
  inputItems,
  type Reasoning,
  type RequestFacts,
} from "../../prompt.ts";

/** Where the Responses API is, after the provider's base URL. */
export const responsesPath = "/responses";

/** Where to ask for something, after the provider's base URL. */
export interface ResumeTarget {
  /** The path. */
  readonly path: string;
  /** What belongs into the query, beside the provider's own. */
  readonly query: Record<string, string>;
}

/**
 * The body of a request to the Responses API, its fields in the order that the
 * reference has them in.
 *
 * Where it differs from the reference: nothing of one product's prompt or tools
 * is put in, `reasoning` is left out rather than `null`, and it depends on what
 * the caller asks for, not on how the model's name begins (there "o" or "codex"),
 * as the caller knows which models can reason.
 *
 * @param facts What is asked, and of which model.
 * @returns The body, to be made JSON of.
 */
export function responsesBody(facts: RequestFacts): Record<string, unknown> {
  const { model, prompt } = facts;
  const { previousResponseId, include, text, background } = prompt;
  const instructions = fullInstructions(prompt);
  const reasoning = wireReasoning(facts.reasoning);
  return {
    model,
    ...(instructions === undefined ? {} : { instructions }),
    input: inputItems(prompt),
    tools: prompt.tools ?? [],
    tool_choice: "auto",
    parallel_tool_calls: false,
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(previousResponseId === undefined
      ? {}
      : { previous_response_id: previousResponseId }),
    store: prompt.store ?? false,
    stream: true,
    ...(include === undefined ? {} : { include }),
    ...(text === undefined ? {} : { text }),
    ...(background === undefined ? {} : { background }),
    ...prompt.extra,
  };
}

function wireReasoning(
  reasoning: Reasoning | undefined,
): Record<string, string> | undefined {
  const { effort, summary } = reasoning ?? {};
  if (effort === undefined || effort === "none") return undefined;
  return summary === undefined || summary === "none"
    ? { effort }
    : { effort, summary };
}

/**
 * Where to read on in a response that is made in the background.
 *
 * @param responseId The id of the response.
 * @param startingAfter The number of the last event that was read; without it the
 * response is told from its start.
 * @returns The path and the query.
 */
export function resumePath(
  responseId: string,
  startingAfter?: number,
): ResumeTarget {
  return {
    path: `${responsesPath}/${encodeURIComponent(responseId)}`,
    query: {
      stream: "true",
      ...(startingAfter === undefined
        ? {}
        : { starting_after: String(startingAfter) }),
    },
  };
}
