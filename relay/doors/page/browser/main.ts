import { hasToken, Refusal, useToken } from "./access.ts";
import { announce, button, copyable, h, set } from "./dom.ts";
import { showLink } from "./live.ts";
import { showRelay } from "./relay_view.ts";
import { showTopic } from "./topic_view.ts";
import { showTopics } from "./topics_view.ts";
import { visible } from "./words.ts";

const main = document.querySelector<HTMLElement>("#main")!; // page.html has it

let leaving = new AbortController();

/** Shows what the URL names. */
function show(): void {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const [path = "", query] = location.hash.slice(1).split("?");
  const [, topic] = /^\/topics\/([\w.~:-]+)$/.exec(path) ?? [];
  for (const link of document.querySelectorAll("nav a")) {
    const isHere =
      link.getAttribute("href") === (path === "/relay" ? "#/relay" : "#/");
    set(link, { "aria-current": isHere && "page" });
  }
  const view = topic !== undefined
    ? showTopic(main, topic, signal)
    : path === "/relay"
    ? showRelay(main, signal)
    : showTopics(main, new URLSearchParams(query), signal);
  document.title = topic === undefined
    ? path === "/relay" ? "Relay – Rivulet" : "Rivulet"
    : `${topic} – Rivulet`;
  view.catch((error) => {
    if (signal.aborted) return;
    if (error instanceof Refusal) showAccess(error);
    else throw error;
  });
}

/** Goes to what the URL names, as a page does. */
function navigate({ oldURL, newURL }: HashChangeEvent): void {
  const pathOf = (url: string): string => url.replace(/^[^#]*#?|\?.*$/g, "");
  const isOther = pathOf(oldURL) !== pathOf(newURL);
  const focused = document.activeElement?.getAttribute("aria-label");
  show();
  if (isOther) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  } else if (focused) {
    // The view was made anew: its user goes on where it was.
    const same = main.querySelector<HTMLElement>(
      `[aria-label="${CSS.escape(focused)}"]`,
    );
    same?.focus();
    if (same instanceof HTMLInputElement) {
      same.setSelectionRange(same.value.length, same.value.length);
    }
  }
}

/** Returns the meaning of a refusal. */
function titleOf(refusal: Refusal | undefined): string {
  if (!refusal) return "Use a token";
  const { status, code, reason } = refusal;
  if (code === "token_required") return "This relay asks for a token";
  if (reason === "expired") return "Your token has expired";
  if (status === 401) return "The relay does not take this token";
  return status === 403
    ? "This token may not see that"
    : "The relay refuses that";
}

/** Asks for a token. */
function showAccess(refusal?: Refusal): void {
  leaving.abort();
  showLink("connecting");
  const input = h("input", {
    // Not shown, and not read out.
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    id: "secret",
    required: true,
  });
  main.replaceChildren(
    h(
      "section",
      { class: "access" },
      h("h1", titleOf(refusal)),
      refusal && h("p", { role: "alert" }, visible(refusal.message)),
      h(
        "form",
        {
          submit: (event) => {
            event.preventDefault();
            useToken(input.value);
            announce("Token taken");
            show();
            main.focus({ preventScroll: true });
          },
        },
        h("label", { for: "secret" }, "Token"),
        input,
        h("button", { class: "primary" }, "Use it"),
        hasToken() && button("Forget the token", () => {
          useToken("");
          show();
        }),
        button(refusal ? "Try again" : "Back", show),
      ),
      h(
        "p",
        { class: "note" },
        "It stays in the memory of this tab, and is gone when you reload. To make one, with the relay's key:",
      ),
      copyable(
        "deno run -A jsr:@rivulet/rivulet/cli token --read '*' --ttl 1h",
        "the command that makes a token",
      ),
    ),
  );
  input.focus();
}

addEventListener("hashchange", navigate);
document.querySelector("#token")?.addEventListener("click", () => showAccess());
show();
