import { z } from "zod";
import type { ResponseEvent } from "../../src/model/response_event.ts";
import { StreamDecoder } from "../../src/model/stream_decoder.ts";

/** The streams of which {@linkcode AnswerText} knows the text, in words for messages. */
export const ANSWER_FORMATS =
  "the Responses, the Chat Completions or the Messages API, or of UI messages";

/** Takes the text out of the events of one format. */
interface TextReader {
  /** Returns the text of an event. */
  push(name: string, data: string): string;
  /** Returns the rest of the text, and the error of an answer that is not whole. */
  end(): { readonly text: string; readonly error?: Error };
}

const anyEvent = z.object({
  type: z.string().optional(),
  delta: z.unknown().optional(),
});

/** The first events of a stream of UI messages that nothing else begins with. */
const UI_TYPES = /^(?:start|start-step|text-(?:start|delta|end)|reasoning-.*)$/;

function parse(data: string): z.infer<typeof anyEvent> | undefined {
  try {
    return anyEvent.safeParse(JSON.parse(data)).data;
  } catch {
    return undefined;
  }
}

/** The text of a model's answer, from the events of its stream. */
export class AnswerText {
  #reader: TextReader | undefined;
  readonly #model = new ModelTextReader();

  /** Whether the format is known: an event has told it. */
  get isKnown(): boolean {
    return this.#reader !== undefined;
  }

  /**
   * Takes an event in. Events before the first one of a known format have no text.
   *
   * @returns The text that it adds, without what a terminal would obey.
   */
  push(name: string, data: string): string {
    if (this.#reader) return printable(this.#reader.push(name, data));
    const { type } = parse(data) ?? {};
    if (type && UI_TYPES.test(type)) {
      this.#reader = new UiTextReader();
      return printable(this.#reader.push(name, data));
    }
    const text = this.#model.push(name, data);
    if (this.#model.isKnown) this.#reader = this.#model;
    return printable(text);
  }

  /** Ends the answer. Returns the rest of the text, and why the answer is not whole. */
  end(): { readonly text: string; readonly error?: Error } {
    const { text, ...rest } = this.#reader?.end() ?? { text: "" };
    return { text: printable(text), ...rest };
  }
}

/** Drops control characters: a model can write what moves a terminal's cursor, and worse. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "");
}

class ModelTextReader implements TextReader {
  readonly #decoder = new StreamDecoder();
  #part: string | undefined;

  get isKnown(): boolean {
    return this.#decoder.isKnown;
  }

  push(name: string, data: string): string {
    return this.#textOf(this.#decoder.push(name, data));
  }

  end(): { text: string; error?: Error } {
    const { events, ...rest } = this.#decoder.end();
    return { text: this.#textOf(events), ...rest };
  }

  #textOf(events: readonly ResponseEvent[]): string {
    let text = "";
    for (const event of events) {
      if (
        event.type !== "output_text.delta" && event.type !== "refusal.delta"
      ) continue;
      const part = `${event.outputIndex}.${event.contentIndex}`;
      if (this.#part !== undefined && this.#part !== part) text += "\n\n";
      this.#part = part;
      text += event.delta;
    }
    return text;
  }
}

class UiTextReader implements TextReader {
  #hasText = false;
  #isNew = false;

  push(_name: string, data: string): string {
    const { type, delta } = parse(data) ?? {};
    if (type === "text-start") this.#isNew = true;
    if (type !== "text-delta" || typeof delta !== "string") return "";
    const gap = this.#isNew && this.#hasText ? "\n\n" : "";
    this.#isNew = false;
    this.#hasText = true;
    return gap + delta;
  }

  end(): { text: string } {
    return { text: "" };
  }
}
