import { drawing, h, say, set } from "./dom.ts";

/** The height of a row, in CSS pixels: page.css has the same. */
export const ROW = 28;

/** Rows beyond the edges of what is seen that are there, too. */
const SPARE = 6;

/** A column of a table. */
export interface Column<Item> {
  readonly title: Node | string;
  readonly name: string;
  /** The way in which the rows are sorted by it, if they are. */
  readonly sorted?: "ascending" | "descending" | undefined;
  text(item: Item): string;
}

/** The source of a table's rows. */
export interface Rows<Item> {
  /** Returns the number of rows. */
  total(): number;
  /** The number of rows before the first one, which are on other pages. */
  readonly skipped: number;
  item(row: number): Item | undefined;
  /** Makes what stands in the first cell of a row: a link or a button. */
  make(): HTMLElement;
  /** Changes it, and the row. */
  fill(handle: HTMLElement, item: Item, row: HTMLTableRowElement): void;
  /** Is told that it was pressed. */
  press?(item: Item): void;
}

/** A table of which only the rows that are seen are in the document. */
export class Grid<Item> {
  readonly table: HTMLTableElement;
  readonly body: HTMLTableSectionElement = h("tbody");
  /** Draws the rows before the next frame. */
  readonly draw: () => void = drawing(() => this.drawNow());
  readonly #columns: readonly Column<Item>[];
  readonly #rows: Rows<Item>;
  #scroller: HTMLElement | undefined;
  readonly #above = h("tr", { "aria-hidden": "true" }, h("td"));
  readonly #below = h("tr", { "aria-hidden": "true" }, h("td"));
  #from = 0;

  constructor(
    label: string,
    columns: readonly Column<Item>[],
    rows: Rows<Item>,
  ) {
    this.#columns = columns;
    this.#rows = rows;
    this.body.append(this.#above, this.#below);
    this.table = h(
      "table",
      { class: label.toLowerCase(), "aria-label": label },
      h(
        "thead",
        h(
          "tr",
          ...columns.map(({ title, name, sorted }) =>
            h("th", { scope: "col", class: name, "aria-sort": sorted }, title)
          ),
        ),
      ),
      this.body,
    );
    const rowOf = ({ target }: Event): number =>
      this.#from +
      this.#elements().findIndex((element) => element.contains(target as Node) // events of a table are at nodes
      );
    this.body.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.focus(rowOf(event) + step);
    });
    this.body.addEventListener("click", (event) => {
      const item = rows.item(rowOf(event));
      if (item !== undefined) rows.press?.(item);
    });
  }

  /** Says what scrolls the table. */
  scrollsIn(scroller: HTMLElement): void {
    this.#scroller = scroller;
    scroller.addEventListener("scroll", this.draw);
    new ResizeObserver(this.draw).observe(scroller);
  }

  /** Moves the focus to a row, which need not be seen yet. */
  focus(row: number): void {
    const scroller = this.#scroller;
    if (!scroller || row < 0 || row >= this.#rows.total()) return;
    // The head stands over the first row that is seen.
    const top = row * ROW;
    const most = scroller.clientHeight - 3 * ROW;
    scroller.scrollTop = Math.min(
      top,
      Math.max(scroller.scrollTop, top - most),
    );
    this.drawNow();
    this.#elements()[row - this.#from]?.querySelector<HTMLElement>("a, button")
      ?.focus({ preventScroll: true });
  }

  #elements(): HTMLTableRowElement[] {
    return [...this.body.rows].slice(1, -1);
  }

  /**
   * Draws the rows that are seen.
   *
   * @param isAtEnd Whether the last row is about to be scrolled to.
   */
  drawNow(isAtEnd = false): void {
    const { skipped } = this.#rows;
    const total = this.#rows.total();
    const { scrollTop = 0, clientHeight = 0 } = this.#scroller ?? {};
    const end = (total + 1) * ROW - clientHeight;
    const seen = Math.floor((isAtEnd ? Math.max(0, end) : scrollTop) / ROW);
    const to = Math.min(total, seen + Math.ceil(clientHeight / ROW) + SPARE);
    const from = this.#from = Math.max(0, Math.min(seen, to) - SPARE);
    set(this.table, { "aria-rowcount": skipped + total + 1 });
    this.#above.style.height = `${from * ROW}px`;
    this.#below.style.height = `${(total - to) * ROW}px`;
    const elements = this.#elements();
    for (let row = from; row < to; row++) {
      const item = this.#rows.item(row);
      if (item === undefined) continue;
      const element = elements[row - from] ?? this.#add();
      set(element, { "aria-rowindex": skipped + row + 2 });
      const handle = element.querySelector<HTMLElement>("a, button")!; // made with it
      this.#columns.forEach(({ text }, index) => {
        say(index === 0 ? handle : element.cells[index]!, text(item)); // made with it
      });
      this.#rows.fill(handle, item, element);
    }
    for (const element of elements.slice(Math.max(0, to - from))) {
      element.remove();
    }
  }

  #add(): HTMLTableRowElement {
    const element = h(
      "tr",
      ...this.#columns.map(({ name }, index) =>
        index === 0
          ? h("th", { scope: "row", class: name }, this.#rows.make())
          : h("td", { class: name })
      ),
    );
    this.#below.before(element);
    return element;
  }
}
