/** A child of an element. */
type Child = Node | string | false | null | undefined;

/** The properties of an element: attributes, and listeners. */
type Props = Readonly<
  Record<
    string,
    string | number | boolean | undefined | ((event: Event) => void)
  >
>;

/** Makes an element. All text becomes text: nothing in the page parses HTML. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props?: Props | Child,
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (props instanceof Node || typeof props === "string") {
    children.unshift(props);
  } else set(element, props || {});
  for (const child of children) if (child) element.append(child);
  return element;
}

/** Sets attributes and listeners of an element. */
export function set(element: Element, props: Props): void {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === undefined || value === false) {
      element.removeAttribute(name);
    } else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Changes the text of an element, if it is another one. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Writes names and values, those that there are: in place, so that a selection stays. */
export function facts(
  list: HTMLDListElement,
  all: readonly (readonly [string, string | undefined])[],
): void {
  const known = all.filter(([, value]) => value);
  if (list.children.length !== known.length * 2) {
    list.replaceChildren(...known.flatMap(() => [h("dt"), h("dd")]));
  }
  known.flat().forEach((text, index) => say(list.children[index]!, text!)); // both are there
}

/**
 * Calls what draws once before a frame, however often it is asked to.
 *
 * @param pause The shortest time between two frames that it draws, in milliseconds: of
 * what streams, nobody reads sixty states a second.
 */
export function drawing(draw: () => void, pause = 0): () => void {
  let isAsked = false;
  let last = 0;
  return () => {
    if (isAsked) return;
    isAsked = true;
    setTimeout(() =>
      requestAnimationFrame((now) => {
        isAsked = false;
        last = now;
        draw();
      }), last + pause - performance.now());
  };
}

/** Calls a function each second until the signal is aborted. */
export function eachSecond(signal: AbortSignal, tick: () => void): void {
  const timer = setInterval(tick, 1_000);
  signal.addEventListener("abort", () => clearInterval(timer));
}

/** Tells users of a screen reader, and shows for some seconds. */
export function announce(text: string): void {
  const line = document.querySelector("#said")!; // page.html has it
  say(line, text);
  setTimeout(() => {
    if (line.textContent === text) line.textContent = "";
  }, 4_000);
}

/** A button with a listener. */
export function button(
  text: string,
  click: (event: Event) => void,
  props: Props = {},
): HTMLButtonElement {
  return h("button", { type: "button", click, ...props }, text);
}

/** A text to copy, with the button that does it. */
export function copyable(text: string, what: string): HTMLElement {
  const code = h("code", text);
  return h(
    "div",
    { class: "copy" },
    h("pre", { tabindex: 0 }, code),
    button("Copy", () => void copy(text, code), {
      "aria-label": `Copy ${what}`,
    }),
  );
}

/** Copies a text; where the browser forbids it (no HTTPS), selects it. */
export async function copy(text: string, shown: Node): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied");
  } catch {
    getSelection()?.selectAllChildren(shown);
    announce("Selected: press Ctrl+C to copy");
  }
}
