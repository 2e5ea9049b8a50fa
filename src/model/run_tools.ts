// This module is browser compatible.
import { abortable } from "../fetch/abortable.ts";
import { messageOf } from "../fetch/message_of.ts";
import type { StreamOptions } from "./client.ts";
import { TurnLimitError } from "./errors/turn_limit_error.ts";
import { functionCallOutput } from "./input_items.ts";
import {
  CALLERS_CALLS,
  type FunctionCallItem,
  type FunctionCallOutputItem,
  type InputItem,
} from "./item.ts";
import {
  inputItems,
  nameOf,
  type Prompt,
  type StructuredPrompt,
} from "./prompt.ts";
import type { ResponseEvent } from "./response_event.ts";
import type { FinalResponse, ResponseStream } from "./response_stream.ts";
import type { StructuredResponse } from "./structured_stream.ts";
import type { RunnableTool } from "./tool.ts";

/** A tool begins to run. */
export interface ToolStartedEvent {
  /** The type of the event. */
  readonly type: "tool.started";
  /** The number of the response with the call, from 1. */
  readonly turn: number;
  /** The call. */
  readonly call: FunctionCallItem;
}

/** A tool has run, or could not: the model is sent its output. */
export interface ToolDoneEvent {
  /** The type of the event. */
  readonly type: "tool.done";
  /** The number of the response with the call, from 1. */
  readonly turn: number;
  /** The call. */
  readonly call: FunctionCallItem;
  /** The output that the model is sent. */
  readonly output: FunctionCallOutputItem;
  /** The error that the tool threw, or the fault of the call; `undefined` if it went well. */
  readonly error?: unknown;
}

/**
 * An event of {@linkcode runTools}: those of all responses, and of the tools.
 *
 * @example Show what the tools do
 * ```ts
 * import type { RunEvent } from "@rivulet/rivulet/model";
 *
 * function show(event: RunEvent): void {
 *   if (event.type === "output_text.delta") console.log(event.delta);
 *   if (event.type === "tool.started") console.log(`${event.call.name}...`);
 * }
 * ```
 */
export type RunEvent = ResponseEvent | ToolStartedEvent | ToolDoneEvent;

/** The result of a whole run, beside its last response. */
export interface RunFacts {
  /** The number of responses. */
  readonly turns: number;
  /**
   * The whole conversation, the last response included: add what the user says
   * next, and it is the next `input`.
   */
  readonly input: readonly InputItem[];
}

/** Options for {@linkcode runTools}; the rest is said of every response. */
export interface RunOptions extends StreamOptions {
  /** The tools that the model may call, and that are run for it. */
  readonly tools: readonly RunnableTool[];
  /**
   * The most responses. If the last response still has calls, the run ends
   * with a {@linkcode TurnLimitError}.
   *
   * @default {10}
   */
  readonly maxTurns?: number | undefined;
  /**
   * Returns the options of one response alone, such as its `Idempotency-Key`. Its headers
   * are sent beside those of the run.
   *
   * @param turn The number of the response, from 1.
   * @returns The options, over those of the run.
   */
  readonly perTurn?:
    | ((turn: number) => Omit<StreamOptions, "signal">)
    | undefined;
}

/** The part of a {@linkcode ModelClient} that a run uses. */
export interface RunClient {
  /** Asks for a response. */
  stream(prompt: Prompt, options?: StreamOptions): Promise<ResponseStream>;
}

const MAX_TURNS = 10;

/**
 * The events of a run of {@linkcode runTools}.
 *
 * Nothing is requested until it is iterated, or until {@linkcode ToolRun.final}
 * is called. Leaving a `for await` loop closes the connection, and aborts the
 * tools.
 *
 * @typeParam R The type of the last response.
 *
 * @example Take the last response without its events
 * ```ts
 * import type { ToolRun } from "@rivulet/rivulet/model";
 *
 * const answer = async (run: ToolRun): Promise<string> =>
 *   (await run.final()).outputText;
 * ```
 */
export class ToolRun<R extends FinalResponse = FinalResponse>
  implements AsyncIterable<RunEvent> {
  readonly #events: AsyncGenerator<RunEvent, void, undefined>;
  readonly #settled: Promise<R & RunFacts>;
  #isTaken = false;

  /** Made by {@linkcode runTools}. */
  constructor(
    events: (
      settle: (result: R & RunFacts) => void,
    ) => AsyncGenerator<RunEvent, void, undefined>,
  ) {
    let resolve!: (result: R & RunFacts) => void;
    let reject!: (error: unknown) => void;
    this.#settled = new Promise((yes, no) => {
      resolve = yes;
      reject = no;
    });
    // Only final() asks for it, and nobody has to call that.
    this.#settled.catch(() => {});
    this.#events = settling(events(resolve), reject);
  }

  /**
   * Runs to the end.
   *
   * Where the events are being iterated, it waits until they have been; else it
   * takes them itself. An iteration that begins in the same turn of the event loop
   * counts.
   *
   * @returns The last response, and the whole conversation.
   * @throws {TurnLimitError} If the model still calls tools after all turns.
   * @throws {ModelError} If a response failed, or its stream broke off.
   */
  async final(): Promise<R & RunFacts> {
    // Lets an iteration begin that is on the next line.
    await Promise.resolve();
    if (!this.#isTaken) { for await (const _ of this); }
    return await this.#settled;
  }

  /**
   * For `for await`.
   *
   * @returns The events.
   */
  [Symbol.asyncIterator](): AsyncGenerator<RunEvent, void, undefined> {
    this.#isTaken = true;
    return this.#events;
  }
}

/** Tells what becomes of the events. */
async function* settling(
  events: AsyncGenerator<RunEvent, void, undefined>,
  reject: (error: unknown) => void,
): AsyncGenerator<RunEvent, void, undefined> {
  try {
    yield* events;
  } catch (error) {
    reject(error);
    throw error;
  } finally {
    // Without effect, if it has come to its end.
    reject(new DOMException("The run was left", "AbortError"));
  }
}

/**
 * Asks a model, makes the calls that it asks for, sends it their results, and
 * asks again, until it answers.
 *
 * Calls of one response run at the same time. If a tool throws, if arguments do
 * not fit its schema, or if there is no such tool, the model is told so and may
 * try again; `tool.done` has the error. A response that was cut off ends the
 * run, and so do calls of tools that only `prompt.tools` has: the caller
 * answers those.
 *
 * A `toolChoice` that demands a call holds for the first response.
 *
 * @param client The client.
 * @param prompt The prompt. Its `tools` are those that the provider runs
 * itself, and those whose calls the caller answers.
 * @param options The tools, a bound on turns, a signal, and what is said of every
 * response: `timeout` is that of one response.
 * @returns The events of all responses, and of the tools.
 * @throws {TypeError} If two tools have one name.
 * @throws {RangeError} If `maxTurns` is no number of turns.
 *
 * @example A tool, and the answer
 * ```ts
 * import { ModelClient, providers, runTools, tool } from "@rivulet/rivulet/model";
 * import { ScriptedFetch } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 * import { z } from "zod";
 *
 * // Stands for a provider whose model calls the tool, and then answers.
 * const chat = (delta: unknown, finish_reason: string) => ({
 *   chunks: [`data: ${JSON.stringify({ choices: [{ delta, finish_reason }] })}\n\n`],
 * });
 * const call = { id: "call_1", function: { name: "weather", arguments: '{"city":"Paris"}' } };
 * const script = new ScriptedFetch([
 *   chat({ tool_calls: [call] }, "tool_calls"),
 *   chat({ content: "It is 21 degrees." }, "stop"),
 * ]);
 * const client = new ModelClient({
 *   model: "llama3",
 *   provider: providers.ollama,
 *   fetch: script.fetch,
 * });
 *
 * const weather = tool({
 *   name: "weather",
 *   description: "The weather in a city",
 *   parameters: z.object({ city: z.string() }),
 *   run: ({ city }) => ({ city, degrees: 21 }),
 * });
 * const run = runTools(client, { input: "How warm is it in Paris?" }, { tools: [weather] });
 * let text = "";
 * for await (const event of run) {
 *   if (event.type === "output_text.delta") text += event.delta;
 * }
 * assertEquals(text, "It is 21 degrees.");
 * assertEquals((await run.final()).turns, 2);
 * ```
 */
export function runTools<T>(
  client: RunClient,
  prompt: StructuredPrompt<T> & { tools?: undefined },
  options: RunOptions,
): ToolRun<StructuredResponse<T>>;
/**
 * The same for an answer that fits a schema, unless the run ends with calls that
 * the caller has to answer.
 *
 * @param client The client.
 * @param prompt The prompt.
 * @param options The tools, and more.
 * @returns The events of all responses, and of the tools.
 */
export function runTools<T>(
  client: RunClient,
  prompt: StructuredPrompt<T>,
  options: RunOptions,
): ToolRun<StructuredResponse<T | undefined>>;
/**
 * The same for an answer in words.
 *
 * @param client The client.
 * @param prompt The prompt.
 * @param options The tools, and more.
 * @returns The events of all responses, and of the tools.
 */
export function runTools(
  client: RunClient,
  prompt: Prompt,
  options: RunOptions,
): ToolRun;
export function runTools(
  client: RunClient,
  prompt: Prompt,
  options: RunOptions,
): ToolRun {
  const { maxTurns = MAX_TURNS } = options;
  if (!Number.isInteger(maxTurns) || maxTurns < 1) {
    throw new RangeError(
      `Cannot run tools as 'maxTurns' must be a whole number from 1: current value is ${maxTurns}`,
    );
  }
  const byName = new Map<string, RunnableTool>();
  for (const tool of options.tools) {
    const { name } = tool.definition;
    if (byName.has(name)) {
      throw new TypeError(
        `Cannot run tools as two of them are named '${name}'`,
      );
    }
    byName.set(name, tool);
  }
  return new ToolRun((settle) =>
    eventsOf(client, prompt, { ...options, maxTurns, byName, settle })
  );
}

interface Run extends RunOptions {
  readonly maxTurns: number;
  readonly byName: ReadonlyMap<string, RunnableTool>;
  readonly settle: (result: FinalResponse & RunFacts) => void;
}

async function* eventsOf(
  client: RunClient,
  prompt: Prompt,
  run: Run,
): AsyncGenerator<RunEvent, void, undefined> {
  const { tools, maxTurns, perTurn, byName, settle, signal: given, ...each } =
    run;
  const controller = new AbortController();
  const { signal } = controller;
  const onAbort = () => controller.abort(given?.reason);
  given?.addEventListener("abort", onAbort);
  if (given?.aborted) onAbort();
  try {
    let input = inputItems(prompt);
    for (let turn = 1;; turn++) {
      const asked: Prompt = {
        ...prompt,
        input,
        tools: [
          ...prompt.tools ?? [],
          ...tools.map(({ definition }) => definition),
        ],
        toolChoice: turn === 1 ? prompt.toolChoice : later(prompt.toolChoice),
      };
      const own = perTurn?.(turn);
      const stream = await client.stream(asked, {
        ...each,
        ...own,
        headers: { ...each.headers, ...own?.headers },
        signal,
      });
      yield* stream;
      const response = await stream.final();
      const calls = callsIn(response, prompt, byName);
      if (calls.length === 0) {
        settle({
          ...response,
          turns: turn,
          input: [...input, ...response.output],
        });
        return;
      }
      if (turn === maxTurns) throw new TurnLimitError(turn, input);
      const outputs: FunctionCallOutputItem[] = [];
      yield* callAll(calls, { turn, signal, byName, outputs });
      input = [...input, ...response.output, ...outputs];
    }
  } finally {
    given?.removeEventListener("abort", onAbort);
    // Nobody needs the calls that are still running.
    controller.abort(new DOMException("The run has ended", "AbortError"));
  }
}

/** A choice that demands a call would never let the model answer. */
function later(choice: Prompt["toolChoice"]): Prompt["toolChoice"] {
  return choice === "none" || choice === "auto" ? choice : undefined;
}

/** The calls that are to be made; none if some of them are the caller's. */
function callsIn(
  { status, output }: FinalResponse,
  prompt: Prompt,
  byName: ReadonlyMap<string, RunnableTool>,
): readonly FunctionCallItem[] {
  if (status !== "completed") return [];
  const calls = output.filter((item) => item.type === "function_call");
  const areCallers =
    output.filter(({ type }) => CALLERS_CALLS.has(type)).length >
      calls.length ||
    calls.some(({ name }) =>
      !byName.has(name) &&
      prompt.tools?.some((tool) => nameOf(tool) === name)
    );
  return areCallers ? [] : calls;
}

interface Calling {
  readonly turn: number;
  readonly signal: AbortSignal;
  readonly byName: ReadonlyMap<string, RunnableTool>;
  /** The outputs, in the order of the calls. */
  readonly outputs: FunctionCallOutputItem[];
}

async function* callAll(
  calls: readonly FunctionCallItem[],
  calling: Calling,
): AsyncGenerator<RunEvent, void, undefined> {
  const { turn, signal, outputs } = calling;
  for (const call of calls) yield { type: "tool.started", turn, call };
  const pending = new Map(
    calls.map((call, index) => [
      index,
      callOne(call, calling).then((event) => ({ index, event })),
    ]),
  );
  // Rejects as soon as the run is aborted, whatever the tools make of it.
  const any = () => abortable(Promise.race(pending.values()), signal);
  while (pending.size > 0) {
    const { index, event } = await any();
    pending.delete(index);
    outputs[index] = event.output;
    yield event;
  }
}

/** Makes a call; never rejects. */
async function callOne(
  call: FunctionCallItem,
  { turn, signal, byName }: Calling,
): Promise<ToolDoneEvent> {
  const done = { type: "tool.done", turn, call } as const;
  try {
    const tool = byName.get(call.name);
    if (!tool) {
      throw new TypeError(
        `There is no tool '${call.name}', but ${[...byName.keys()].join(", ")}`,
      );
    }
    const value = await tool.call({ signal, call, turn });
    return { ...done, output: functionCallOutput(call.call_id, value) };
  } catch (error) {
    const output = functionCallOutput(
      call.call_id,
      `Error: ${messageOf(error)}`,
    );
    return { ...done, output, error };
  }
}
