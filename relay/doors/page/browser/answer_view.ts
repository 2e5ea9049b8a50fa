import type { SocketMessage, WireEvent } from "./data.ts";
import { drawing, h } from "./dom.ts";
import { piecesOf } from "./pieces.ts";
import { Pinned } from "./pinned.ts";
import { count, gapWords, signOf, visible } from "./words.ts";

/** A block of text that has this many characters is done: the browser lays it out no more. */
const BLOCK = 2_000;

/** A line, or as much of a long one as a block may have. */
const LINE = /[^\n]{0,7999}\n|[^\n]{1,8000}/g;

/** The characters that are shown at a time: those before are taken away. */
const SHOWN = 200_000;

/** The characters that a part counts for by itself: an answer may have many short ones. */
const PART = 50;

/** The words for the kinds of parts. */
const TITLES: Readonly<Record<string, string>> = {
  reasoning: "Reasoning",
  tool: "Tool call",
  result: "Tool result",
  user: "User",
};

/** Shows a model's answer as it grows. */
export class AnswerView {
  readonly query = "mode=merge&snapshot";
  readonly element: HTMLElement;
  /** Whether something of an answer has come. */
  hasAnswer = false;
  /** Whether something else has come. */
  hasEvents = false;
  readonly #pinned: Pinned;
  readonly #text: HTMLElement = h("div", { class: "answer" });
  readonly #hint: HTMLElement = h("p", { class: "hint" });
  /** The block that the next text is appended to, by its key. */
  #key: string | undefined;
  #block: HTMLElement | undefined;
  #filled = 0;
  #part: HTMLElement | undefined;
  /** The changes since the last frame, in the order of their coming. */
  #waiting: (() => void)[] = [];
  #added = "";
  #length = 0;
  #dropped = 0;
  readonly #draw = drawing(() => this.#drawNow(), 50);

  constructor() {
    this.#pinned = new Pinned("Answer", this.#hint, this.#text);
    this.element = this.#pinned.element;
  }

  take(message: SocketMessage): void {
    switch (message.type) {
      case "subscribed":
        if (this.#key) this.#line("rule", "");
        break;
      case "snapshot":
        message.value.events.forEach((event) => this.#event(event));
        break;
      case "events":
        message.events.forEach((event) => this.#event(event));
        break;
      case "merged":
        this.#event(message);
        break;
      case "gap":
        this.#line("gap", gapWords(message));
        break;
      case "end":
        this.#line("rule", `${signOf(message.status)} ${message.status}`);
    }
    this.#draw();
  }

  #event({ event = "message", data }: WireEvent): void {
    this.hasEvents = true;
    for (const { kind, key, name, text, isFirst } of piecesOf(event, data)) {
      this.hasAnswer = true;
      if (isFirst) {
        if (this.#key) this.#line("rule", "");
        continue;
      }
      if (key !== this.#key || name) {
        if (key !== this.#key || kind !== "tool") this.#begin(kind, key);
        if (name) this.#added += `${name} `;
      }
      this.#added += text;
    }
  }

  #flush(): void {
    const text = this.#added;
    this.#added = "";
    if (text) this.#waiting.push(() => this.#append(visible(text)));
  }

  #line(kind: string, text: string): void {
    this.#flush();
    this.#key = "";
    this.#waiting.push(() => {
      this.#block = undefined;
      this.#length += PART;
      this.#text.append(h("p", { class: kind }, text));
    });
  }

  #begin(kind: string, key: string): void {
    this.#flush();
    this.#key = key;
    this.#waiting.push(() => {
      this.#length += PART;
      const title = TITLES[kind];
      this.#part = h("section", { class: kind }, title && h("h2", title));
      this.#block = undefined;
      this.#text.append(this.#part);
    });
  }

  /** Adds text to the last block, which ends at the end of a line if there is one soon. */
  #append(text: string): void {
    this.#length += text.length;
    for (const [line] of text.matchAll(LINE)) {
      if (!this.#block) {
        this.#block = h("div");
        this.#filled = 0;
        this.#part?.append(this.#block);
      }
      this.#block.append(line);
      this.#filled += line.length;
      if (this.#filled > (line.endsWith("\n") ? BLOCK : 4 * BLOCK)) {
        this.#block = undefined;
      }
    }
  }

  #drawNow(): void {
    this.#flush();
    for (const step of this.#waiting) step();
    this.#waiting = [];
    while (this.#length > SHOWN) {
      const part = this.#text.firstElementChild!; // it has come to that length
      const [block = part, next] = part.querySelectorAll("div");
      const { length } = block.textContent!; // an element has one
      this.#dropped += length;
      this.#length -= length;
      block.remove();
      if (next) continue;
      part.remove();
      this.#length -= PART;
    }
    this.#hint.textContent = this.#dropped > 0
      ? `${count(this.#dropped)} characters before this are not shown.`
      : !this.hasAnswer && this.hasEvents
      ? "These events are no model's answer that this page knows: see Events."
      : "";
    this.#pinned.settle();
  }
}
