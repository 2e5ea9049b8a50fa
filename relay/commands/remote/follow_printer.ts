import type { SubscriptionMessage } from "../../client/message.ts";
import type { TopicEnd } from "../../client/topic_end.ts";
import { escapeInvisible } from "../../logs/escape_invisible.ts";
import { ANSWER_FORMATS, AnswerText } from "../answer_text.ts";
import { ExitError } from "../command.ts";
import type { System } from "../system.ts";
import { jsonLine } from "./json_line.ts";

/** Turns a topic into text. */
export interface FollowPrinter {
  /** Returns what is printed of a message. */
  print(message: SubscriptionMessage): string;
  /** Returns what is printed after all messages. */
  end(end: TopicEnd): string;
}

/** Makes a printer of the data of events, of an answer's text, or of JSON. */
export function followPrinter(
  form: "data" | "lines" | "text" | "json",
  system: Pick<System, "isOutputTerminal">,
): FollowPrinter {
  switch (form) {
    case "data":
    case "lines":
      return new DataPrinter(system.isOutputTerminal, form === "lines");
    case "text":
      return new TextPrinter();
    case "json":
      return new JsonPrinter(system);
  }
}

/** Programs get data as it is; a terminal nothing that it would obey. */
class DataPrinter implements FollowPrinter {
  readonly #isTerminal: boolean;
  /** Whether each line says its topic. */
  readonly #namesTopic: boolean;

  constructor(isTerminal: boolean, namesTopic: boolean) {
    this.#isTerminal = isTerminal;
    this.#namesTopic = namesTopic;
  }

  print(message: SubscriptionMessage): string {
    if (message.type !== "event") return "";
    const { data, topic } = message;
    if (!this.#isTerminal && !this.#namesTopic) return `${data}\n`;
    const safe = (text: string): string =>
      this.#isTerminal ? escapeInvisible(text) : text;
    const begin = this.#namesTopic ? `${safe(topic)}\t` : "";
    return data.split("\n").map((line) => `${begin}${safe(line)}\n`).join("");
  }

  end(): string {
    return "";
  }
}

class TextPrinter implements FollowPrinter {
  #answer = new AnswerText();
  #hasEvents = false;
  /** The last character that was printed. */
  #last = "\n";

  print(message: SubscriptionMessage): string {
    if (message.type === "end") return this.#finish();
    if (message.type !== "event") return "";
    this.#hasEvents = true;
    return this.#remember(this.#answer.push(message.event, message.data));
  }

  end(): string {
    return this.#finish();
  }

  /** Ends an answer; another one may follow in the next epoch. */
  #finish(): string {
    const rest = this.#remember(this.#answer.end().text);
    if (this.#hasEvents && !this.#answer.isKnown) {
      throw new ExitError(
        1,
        `Expected a stream of ${ANSWER_FORMATS} for --text: leave it out, or give --json`,
      );
    }
    const text = this.#last === "\n" ? rest : `${rest}\n`;
    this.#answer = new AnswerText();
    this.#hasEvents = false;
    this.#last = "\n";
    return text;
  }

  #remember(text: string): string {
    if (text !== "") this.#last = text.slice(-1);
    return text;
  }
}

class JsonPrinter implements FollowPrinter {
  readonly #system: Pick<System, "isOutputTerminal">;

  constructor(system: Pick<System, "isOutputTerminal">) {
    this.#system = system;
  }

  print(message: SubscriptionMessage): string {
    return jsonLine(message, this.#system);
  }

  end(end: TopicEnd): string {
    return jsonLine({ type: "end", ...end }, this.#system);
  }
}
