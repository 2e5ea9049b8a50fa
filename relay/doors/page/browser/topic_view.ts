import { ask, mayCancel, Refusal } from "./access.ts";
import { AnswerView } from "./answer_view.ts";
import type { Description, ListChange } from "./data.ts";
import { announce, button, facts, h, say, set } from "./dom.ts";
import { EventsView } from "./events_view.ts";
import { followView } from "./follow_view.ts";
import { follow } from "./live.ts";
import { followTopic } from "./topic_socket.ts";
import { endView, factsOf, type SeenGap, timeline } from "./timeline.ts";
import { gapWords, signOf, stateOf, upstreamWords, visible } from "./words.ts";

/**
 * Shows a topic.
 *
 * @returns Rejects with a refusal of the relay.
 */
export function showTopic(
  main: HTMLElement,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  let topic: Description | undefined;
  const gaps: SeenGap[] = [];
  let reading = new AbortController();
  signal.addEventListener("abort", () => reading.abort());

  const badge = h("span", { class: "badge" });
  const stop = button("Stop…", () => askToStop(main, name), {
    hidden: true,
    class: "stop",
  });
  const note = h("p", { class: "note", role: "status" });
  const end = h("div");
  const stream = h("div");
  const list = h("dl");
  const line = h("div");
  let choice: "answer" | "events" | undefined;
  let shown: "answer" | "events" = "answer";
  const answerButton = button("Answer", () => choose("answer"));
  const eventsButton = button("Events", () => choose("events"));
  main.replaceChildren(
    h("a", { href: "#/" }, "← All topics"),
    h("div", { class: "bar" }, h("h1", name), badge, stop),
    note,
    end,
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        h(
          "div",
          {
            class: "bar",
            role: "group",
            "aria-label": "Show the stream as",
          },
          answerButton,
          eventsButton,
        ),
        stream,
      ),
      h(
        "aside",
        { "aria-label": "About this topic" },
        h("section", h("h2", "Timeline"), line),
        h("section", h("h2", "Facts"), list),
        followView(name),
      ),
    ),
  );

  const choose = (what: "answer" | "events"): void => {
    choice = what;
    read(what);
  };

  /** Reads the stream from its beginning, in another way than before. */
  const read = (what: "answer" | "events"): void => {
    shown = what;
    reading.abort();
    reading = new AbortController();
    set(answerButton, { "aria-pressed": String(what === "answer") });
    set(eventsButton, { "aria-pressed": String(what === "events") });
    const view = what === "answer" ? new AnswerView() : new EventsView();
    stream.replaceChildren(view.element);
    const { signal } = reading;
    let events = 0;
    followTopic(name, view.query, signal, (message) => {
      if (message.type === "gap") {
        gaps.push({ at: Date.now(), words: gapWords(message) });
        gaps.splice(0, gaps.length - 20);
        drawFacts();
      }
      view.take(message);
      // Events that are not an answer are shown as they are, unless the user
      // has chosen.
      if (choice || !(view instanceof AnswerView) || view.hasAnswer) return;
      if (message.type === "live" || message.type === "end" || ++events > 20) {
        if (view.hasEvents) read("events");
      }
    }).catch((error: Refusal) => {
      if (signal.aborted) return;
      // It is read again when it is there again.
      if (error.code === "unknown_topic") topic = undefined;
      drawAll();
    });
  };

  const drawFacts = (): void => {
    if (!topic) return;
    line.replaceChildren(timeline(topic, gaps));
    facts(list, factsOf(topic));
  };

  let endShown = "";
  const drawAll = (): void => {
    const state = topic ? stateOf(topic) : "unknown";
    say(badge, topic ? `${signOf(state)} ${state}` : "");
    badge.className = `badge ${state}`;
    stop.hidden = !topic || topic.state === "ended" || !mayCancel(name);
    const upstream = topic?.upstream;
    say(
      note,
      !topic
        ? "There is no such topic. It is shown as soon as it begins."
        : topic.state === "pending"
        ? `Nothing has come yet. ${
          upstream
            ? `The source is ${upstreamWords(upstream)}.`
            : "The topic waits for whoever fills it."
        }`
        : upstream && upstream.state !== "open"
        ? `The source is ${upstreamWords(upstream)}.`
        : "",
    );
    const ending = JSON.stringify(topic?.end ?? "");
    if (ending !== endShown) {
      endShown = ending;
      const view = topic && endView(topic);
      end.replaceChildren(...view ? [view] : []);
    }
    drawFacts();
  };

  return follow(`topics/${name}/info`, signal, (event, data) => {
    const { topics: [now], gone }: ListChange = JSON.parse(data);
    const isNew = !topic && now;
    if (now || gone?.length || event === "rivulet.snapshot") topic = now;
    drawAll();
    if (isNew) read(choice ?? shown);
  });
}

/** Asks whether a topic is to be stopped, and stops it. */
function askToStop(main: HTMLElement, name: string): void {
  const reason = h("input", {
    id: "reason",
    maxlength: 1_000,
    autocomplete: "off",
  });
  const failure = h("p", { role: "alert" });
  const dialog = h(
    "dialog",
    { "aria-labelledby": "question", close: () => dialog.remove() },
    h("h2", { id: "question" }, `Stop ${name}?`),
    h("p", "What fills it is stopped, and it ends as cancelled for everybody."),
    h(
      "form",
      {
        submit: (event) => {
          event.preventDefault();
          ask(`topics/${name}/cancel`, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify(reason.value ? { reason: reason.value } : {}),
          }).then(() => {
            dialog.close();
            announce("Stopped");
          }, (error) => {
            say(
              failure,
              error instanceof Refusal
                ? visible(error.message)
                : "The relay cannot be reached",
            );
          });
        },
      },
      h("label", { for: "reason" }, "Reason, for those who follow"),
      reason,
      h("button", { class: "primary" }, "Stop it"),
      button("Let it run", () => dialog.close()),
    ),
    failure,
  );
  // With the view, it goes away.
  main.append(dialog);
  dialog.showModal();
}
