import { button, h } from "./dom.ts";

/** A part that scrolls, and stays at its end until somebody scrolls up. */
export class Pinned {
  readonly element: HTMLElement;
  readonly scroller: HTMLElement;
  isPinned = true;
  #top = 0;
  readonly #jump = button("Jump to now", () => {
    this.isPinned = true;
    this.settle();
    this.scroller.focus({ preventScroll: true });
  }, { class: "jump", hidden: true });

  constructor(label: string, ...children: Node[]) {
    this.scroller = h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
      ...children,
    );
    this.element = h("div", { class: "pinned" }, this.scroller, this.#jump);
    this.scroller.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.scroller;
      if (scrollTop < this.#top - 2) this.isPinned = false;
      if (scrollTop + clientHeight > scrollHeight - 4) this.isPinned = true;
      this.#top = scrollTop;
      this.#jump.hidden = this.isPinned;
    });
  }

  /** Goes to the end, unless somebody looks at what is before. */
  settle(): void {
    if (this.isPinned) {
      this.scroller.scrollTop = this.#top = this.scroller.scrollHeight;
    }
    this.#jump.hidden = this.isPinned;
  }
}
