import { Buffer } from "node:buffer";
import { isFields, parseData } from "../../../src/model/wires/event_data.ts";

/** Finds the few events that say what a response is, or that it is over. */
const TELLING =
  /"(?:response\.(?:created|output_item\.done|completed|incomplete|failed|cancelled|done)|error)"/;

/** The events after which a response can be gone on from. */
const KEPT: ReadonlySet<string> = new Set([
  "response.completed",
  "response.done",
  "response.incomplete",
]);

/** The other events that end a response. */
const LOST: ReadonlySet<string> = new Set([
  "response.failed",
  "response.cancelled",
  "error",
]);

/** The id and the output of a response, as far as its events have told. */
export class ResponseOutput {
  #id: string | undefined;
  #items: unknown[] = [];
  #end: "kept" | "lost" | undefined;

  /** The id of the response, if it was told. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Whether an event has ended the response. */
  get isOver(): boolean {
    return this.#end !== undefined;
  }

  /** Whether another response can go on from it. */
  get isKept(): boolean {
    return this.#end === "kept" && this.#id !== undefined;
  }

  /** Takes the next event: the text of an object of JSON. */
  take(text: string): void {
    if (this.#end || !TELLING.test(text)) return;
    const wire = parseData(text);
    if (!isFields(wire) || typeof wire.type !== "string") return;
    const { type, item, response } = wire;
    if (type === "response.output_item.done") {
      if (isFields(item)) this.#items.push(item);
      return;
    }
    if (isFields(response)) {
      if (typeof response.id === "string") this.#id = response.id;
      const { output } = response;
      // Some servers leave the items out at the end, and some send no other events.
      if (Array.isArray(output) && this.#items.length === 0) {
        this.#items = output.filter(isFields);
      }
    }
    if (KEPT.has(type)) this.#end = "kept";
    else if (LOST.has(type)) this.#end = "lost";
  }

  /**
   * Returns the items as the input of another response, with commas between them.
   *
   * @param isStored Whether the provider keeps the response: it knows reasoning by its id
   * then, and else by what is encrypted in it.
   */
  asInput(isStored: boolean): Uint8Array {
    const items = this.#items.filter((item) =>
      isStored || !isFields(item) || item.type !== "reasoning" ||
      typeof item.encrypted_content === "string"
    );
    return Buffer.from(items.map((item) => JSON.stringify(item)).join(","));
  }
}
