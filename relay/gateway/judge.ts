import type {
  BodyEnd,
  Ending,
  EndingReader,
} from "../../src/model/wires/ending.ts";
import { readFailure } from "../../src/model/wires/failure.ts";
import {
  endingReader,
  formatOf,
  type TellingHeaders,
} from "../../src/model/wires/format.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { TopicEnd } from "../topics/end.ts";

/** The end of a topic, as the ending of its stream has it. */
export type Verdict = TopicEnd;

/** Takes the secrets out of a text. */
export type Redact = (text: string) => string;

/** The longest reason of an end, in UTF-16 code units. */
const LONGEST = 1_000;

/**
 * Makes the judge of a provider's stream.
 *
 * @param path The path of the request, below the provider's base URL; it tells the
 * format.
 * @param redact Takes the secrets out of the provider's words. Default: leaves them
 * as they are.
 * @param headers The headers of the answer, which may tell another format. Default:
 * none.
 * @returns A judge for one stream.
 */
export function judgeFor(
  path: string,
  redact: Redact = (text) => text,
  headers?: TellingHeaders,
): Judge {
  return new Judge(endingReader(formatOf(path, headers)), redact);
}

/**
 * Makes verdicts of the endings of a stream, as its format has them. There, a
 * response that is cut off has ended; here, its topic is complete, with a reason.
 */
export class Judge {
  readonly #reader: EndingReader;
  readonly #redact: Redact;
  #verdict: Verdict | undefined;
  /** The ending that `#verdict` was made of. */
  #judged: Ending | undefined;
  #hasStrayed = false;

  /** Begins with a stream that has said nothing yet. */
  constructor(reader: EndingReader, redact: Redact) {
    this.#reader = reader;
    this.#redact = redact;
  }

  /**
   * The verdict on the events so far; `undefined` while they have told no ending.
   * In Chat, later events may still change it.
   */
  get verdict(): Verdict | undefined {
    const { ending } = this.#reader;
    if (ending !== this.#judged) {
      this.#judged = ending;
      this.#verdict = ending && this.#judge(ending);
    }
    return this.#verdict;
  }

  /**
   * Whether nothing more is to come: the stream may be closed at once. Where this
   * is false and there is a verdict, more may follow for a while, such as the usage,
   * or `[DONE]`.
   */
  get isOver(): boolean {
    return this.#hasStrayed || this.#reader.isOver;
  }

  /** The id of a response that can be asked for by it; `undefined` elsewhere, and before it was told. */
  get responseId(): string | undefined {
    return this.#reader.responseId;
  }

  /** The usage that the event of the end has, as the wire has it. */
  get usage(): unknown {
    return this.#reader.usage;
  }

  /** The number of the last event that has one; found out when it is asked for. */
  get sequenceNumber(): number | undefined {
    return this.#reader.sequenceNumber;
  }

  /** Whether the response says that the provider goes on with it when nobody reads it. */
  get background(): boolean {
    return this.#reader.background ?? false;
  }

  /** Takes the next event in, whatever it is; never throws. */
  take(event: ServerSentEvent): void {
    this.#reader.take(event);
  }

  /**
   * Takes an error in that came in no event.
   *
   * @param event The event that was made of it.
   * @returns Whether the stream has failed by it: then it is over.
   */
  takeStray(event: ServerSentEvent): boolean {
    if (this.isOver || this.verdict?.status === "failed") return false;
    this.#reader.take(event);
    this.#hasStrayed = this.#reader.ending?.kind === "failed";
    return this.#hasStrayed;
  }

  /**
   * Returns the verdict on a stream whose connection is over.
   *
   * @param how The end of the body.
   * @param error The error that broke it.
   */
  end(how: BodyEnd, error?: unknown): Verdict {
    return this.verdict ?? this.#judge(this.#reader.close(how), how, error);
  }

  #judge(ending: Ending, how?: BodyEnd, error?: unknown): Verdict {
    switch (ending.kind) {
      case "completed":
        return { status: "complete" };
      case "incomplete":
        return { status: "complete", reason: this.#reason(ending.said) };
      case "cancelled":
        return { status: "cancelled" };
      case "failed":
        return { status: "failed", reason: this.#failure(ending.details) };
      case "truncated": {
        const what = how === "broken" ? "connection lost" : "stream closed";
        const why = error instanceof Error && error.message !== ""
          ? `: ${error.message}`
          : "";
        return {
          status: "truncated",
          reason: this.#reason(`${what} before ${ending.missing}${why}`),
        };
      }
    }
  }

  #failure(details: unknown): string {
    const { providerCode = "", providerMessage } = readFailure(details);
    const said = [providerCode, providerMessage].filter((part) => part !== "");
    return this.#reason(said.join(": ") || "the provider gives no reason");
  }

  /** Makes a reason of a text. The secrets go first, as half of one would not be found. */
  #reason(text: string): string {
    const clean = this.#redact(text);
    const cut = clean.length > LONGEST
      ? `${clean.slice(0, LONGEST - 1)}…`
      : clean;
    // The cut, or the provider, may have left half of a character.
    return cut.toWellFormed();
  }
}
