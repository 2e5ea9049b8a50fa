import type { SocketMessage } from "./data.ts";
import { button, copy, drawing, h, say } from "./dom.ts";
import { Grid, ROW } from "./grid.ts";
import { Pinned } from "./pinned.ts";
import { bytes, count, gapWords, visible } from "./words.ts";

/** The most events that are kept to be looked at, and characters of them. */
const MAX_EVENTS = 20_000;
const MAX_CHARACTERS = 8_000_000;

/** The characters of an event's data that a row has, and that are shown in full. */
const IN_ROW = 240;
const IN_FULL = 16_384;

/** The characters that are searched before the browser gets its turn. */
const SEARCHED = 1_000_000;

/** An event, or what is said in between. */
interface Entry {
  /** 0 for what is no event. */
  readonly offset: number;
  readonly time: string;
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

/** Shows the events of a topic as they are. */
export class EventsView {
  readonly query = "mode=all";
  readonly element: HTMLElement;
  /** The newest entries, and the number of those before them. */
  #entries: Entry[] = [];
  #base = 0;
  #characters = 0;
  #isLive = false;
  #epoch = "";
  #pattern: RegExp | undefined;
  /** Of a search: the numbers of entries that fit, and of the next to look at. */
  #matches: number[] = [];
  #next = 0;
  readonly #search = h("input", {
    type: "search",
    placeholder: "Search types, data and ids",
    "aria-label": "Search events",
    input: () => this.#look(),
  });
  readonly #found = h("span", { class: "soft" });
  readonly #detail = h("section", { class: "detail", "aria-label": "Event" });
  readonly #grid: Grid<Entry>;
  readonly #pinned: Pinned;
  readonly #draw = drawing(() => this.#drawNow(), 50);

  constructor() {
    this.#grid = new Grid<Entry>("Events", [
      {
        title: "Offset",
        name: "offset",
        text: ({ offset }) => String(offset || "–"),
      },
      { title: "Time", name: "time", text: ({ time }) => time },
      { title: "Type", name: "type", text: ({ event }) => visible(event) },
      { title: "Data", name: "data", text: ({ data }) => rowText(data) },
      { title: "Id", name: "id", text: ({ id }) => visible(id) },
    ], {
      skipped: 0,
      total: () => (this.#pattern ? this.#matches : this.#entries).length,
      item: (row) =>
        this.#entries[
          this.#pattern ? (this.#matches[row] ?? 0) - this.#base : row
        ],
      make: () => button("", () => {}),
      fill: (handle, { offset }, row) => {
        handle.toggleAttribute("disabled", !offset);
        row.className = offset ? "" : "lost";
      },
      press: (entry) => this.#open(entry),
    });
    this.#pinned = new Pinned("Events", this.#grid.table);
    this.#grid.scrollsIn(this.#pinned.scroller);
    this.element = h(
      "div",
      h("div", { class: "bar" }, this.#search, this.#found),
      this.#pinned.element,
      this.#detail,
    );
  }

  take(message: SocketMessage): void {
    switch (message.type) {
      case "subscribed":
        if (this.#epoch) this.#note("The topic begins anew here");
        this.#epoch = message.epoch;
        break;
      case "events": {
        const time = this.#isLive
          ? new Date().toISOString().slice(11, 23)
          : "earlier";
        let { offset } = message;
        for (const { event = "message", data, id = "" } of message.events) {
          this.#add({ offset: offset++, time, event, data, id });
        }
        break;
      }
      case "gap":
        this.#note(gapWords(message));
        break;
      case "end":
        this.#note(`The end: ${message.status}`);
        break;
      case "live":
        this.#isLive = true;
    }
    this.#draw();
  }

  #note(data: string): void {
    this.#add({ offset: 0, time: "", event: "", data, id: "" });
  }

  #add(entry: Entry): void {
    const entries = this.#entries;
    entries.push(entry);
    this.#characters += entry.data.length;
    // Some at a time: an array is moved when its front is taken away.
    if (
      entries.length < MAX_EVENTS * 1.1 &&
      this.#characters < MAX_CHARACTERS * 1.1
    ) return;
    let drop = 0;
    while (
      entries.length - drop > MAX_EVENTS ||
      this.#characters > MAX_CHARACTERS && drop < entries.length - 1
    ) this.#characters -= entries[drop++]!.data.length; // there are more
    entries.splice(0, drop);
    this.#base += drop;
    if (this.#pattern) {
      this.#matches = this.#matches.filter((number) => number >= this.#base);
    } else if (!this.#pinned.isPinned) {
      this.#pinned.scroller.scrollTop -= drop * ROW;
    }
  }

  /** Searches anew. */
  #look(): void {
    const { value } = this.#search;
    this.#pattern = value
      ? new RegExp(value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i")
      : undefined;
    this.#matches = [];
    this.#next = 0;
    this.#pinned.isPinned = true;
    this.#draw();
  }

  /** Searches on, for a short while. */
  #searchOn(pattern: RegExp): void {
    let left = SEARCHED;
    this.#next = Math.max(this.#next, this.#base);
    for (; left > 0; this.#next++) {
      const entry = this.#entries[this.#next - this.#base];
      if (!entry) return;
      const { event, data, id } = entry;
      left -= data.length + 100;
      if ([event, data, id].some((text) => pattern.test(text))) {
        this.#matches.push(this.#next);
      }
    }
    this.#draw();
  }

  #drawNow(): void {
    if (this.#pattern) this.#searchOn(this.#pattern);
    const here = count(this.#entries.length);
    say(
      this.#found,
      this.#pattern
        ? `${count(this.#matches.length)} of ${here}`
        : `${here} here${
          this.#base ? `, ${count(this.#base)} before are not` : ""
        }`,
    );
    this.#grid.drawNow(this.#pinned.isPinned);
    this.#pinned.settle();
  }

  /** Shows all of an event. */
  #open({ offset, event, id, data }: Entry): void {
    this.#pinned.isPinned = false;
    const full = pretty(data);
    const pre = h(
      "pre",
      { tabindex: 0, "aria-label": "Data" },
      visible(full.slice(0, IN_FULL)),
    );
    const rest = full.length - IN_FULL;
    this.#detail.replaceChildren(
      h(
        "div",
        { class: "bar" },
        h("h2", `Event ${offset}`),
        h(
          "bdi",
          { class: "soft" },
          visible(
            `${event}, ${bytes(new Blob([data]).size)}${id && `, id ${id}`}`,
          ),
        ),
        button("Copy data", () => void copy(data, pre)),
        button(
          "Copy position",
          () => void copy(`${this.#epoch}:${offset}`, pre),
        ),
        button("Close", () => {
          this.#detail.replaceChildren();
          this.#pinned.scroller.focus();
        }),
      ),
      pre,
      rest > 0 && h(
            "p",
            { class: "soft" },
            `${
              count(rest)
            } more characters are not shown: "Copy data" has them.`,
          ) || "",
    );
  }
}

/** The data as a row has it: one line. */
function rowText(data: string): string {
  const text = visible(data.slice(0, IN_ROW)).replace(/\s+/g, " ");
  return data.length > IN_ROW ? `${text}…` : text;
}

/** The data with its JSON in lines, if it is some and short. */
function pretty(data: string): string {
  try {
    return data.length < IN_FULL
      ? JSON.stringify(JSON.parse(data), undefined, 2)
      : data;
  } catch {
    return data;
  }
}
