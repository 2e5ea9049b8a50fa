import type { Counts, Description, ListChange } from "./data.ts";
import { button, copyable, eachSecond, h, say } from "./dom.ts";
import { Grid } from "./grid.ts";
import { follow } from "./live.ts";
import { urlOf } from "./access.ts";
import {
  count,
  duration,
  rate,
  signOf,
  sourceWords,
  stateOf,
} from "./words.ts";

/** A topic that has not grown for this long has a rate of nothing, in milliseconds. */
const STILL = 2_500;

/** A topic of the list. */
interface Row {
  topic: Description;
  /** The time at which its `next` was learned. */
  at: number;
  rate?: number;
}

/** The columns: the words, how to sort by it, and what stands in it. */
const COLUMNS: readonly {
  readonly title: string;
  readonly name: string;
  /** The value of `sort`. Numbers begin with the largest. */
  readonly sort?: string;
  text(row: Row): string;
}[] = [
  {
    title: "Topic",
    name: "name",
    sort: "name",
    text: ({ topic }) => topic.name,
  },
  {
    title: "State",
    name: "state",
    text: ({ topic }) => `${signOf(stateOf(topic))} ${stateOf(topic)}`,
  },
  {
    title: "Events/s",
    name: "rate num",
    sort: "-rate",
    text: (row) => rate(row.topic.state === "open" ? row.rate : 0),
  },
  {
    title: "Events",
    name: "count num",
    sort: "-events",
    text: ({ topic }) => count(topic.next - 1),
  },
  {
    title: "Followers",
    name: "followers num",
    sort: "-followers",
    text: ({ topic }) => count(topic.subscribers),
  },
  {
    title: "Lag",
    name: "lag num",
    sort: "-lag",
    text: ({ topic }) => topic.lag === undefined ? "–" : count(topic.lag),
  },
  { title: "Source", name: "source", text: ({ topic }) => sourceWords(topic) },
  {
    title: "Age",
    name: "age num",
    sort: "-created",
    text: ({ topic }) =>
      topic.createdAt === undefined
        ? "–"
        : duration(Date.now() - topic.createdAt),
  },
];

/** The values of the filters, and their words. */
const STATES = [
  ["", "Any state"],
  ["state=open", "open"],
  ["state=pending", "pending"],
  ["state=ended", "ended"],
  ...["complete", "failed", "truncated", "cancelled", "expired"]
    .map((status) => [`status=${status}`, status] as const),
] as const;

const SOURCES = [
  ["", "Any source"],
  ["run", "run"],
  ["chat", "chat"],
  ["sse", "event stream"],
  ["fixture", "recording"],
  ["none", "publications"],
] as const;

const LIMITS = [["100", "100 rows"], ["1000", "1,000 rows"]] as const;

function select(
  label: string,
  options: readonly (readonly [string, string])[],
  value: string,
  change: (value: string) => void,
): HTMLSelectElement {
  const element = h(
    "select",
    { "aria-label": label, change: () => change(element.value) },
    ...options.map(([value, text]) => h("option", { value }, text)),
  );
  element.value = value;
  return element;
}

/**
 * Shows the topics.
 *
 * @param query The search, as the page's URL has it after `#/?`.
 * @returns Rejects with a refusal of the relay.
 */
export function showTopics(
  main: HTMLElement,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<void> {
  const get = (name: string): string => query.get(name) ?? "";
  const sort = get("sort") || "name";
  const limit = Number(get("limit") || 100);
  const skip = Number(get("skip") || 0);
  const search = get("search");

  /** Looks for something else, from the first page on. */
  const go = (changes: Readonly<Record<string, string | number>>): void => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries({ skip: "", ...changes })) {
      if (value) next.set(name, String(value));
      else next.delete(name);
    }
    location.hash = `#/?${next}`;
  };

  const rows = new Map<string, Row>();
  let order: readonly string[] = [];
  /** The order that waits until nobody points at a row any more. */
  let late: readonly string[] | undefined;
  let counts: Counts | undefined;

  let typing: number | undefined;
  const searchBox = h("input", {
    type: "search",
    placeholder: "Search names",
    "aria-label": "Search names",
    maxlength: 128,
    value: search,
    input: () => {
      clearTimeout(typing);
      typing = setTimeout(() => go({ search: searchBox.value }), 250);
    },
    keydown: (event) => {
      if ((event as KeyboardEvent).key === "ArrowDown") grid.focus(0);
    },
  });
  signal.addEventListener("abort", () => clearTimeout(typing));
  const summary = h("p", { class: "soft" });
  const grid = new Grid<Row>(
    "Topics",
    COLUMNS.map((column) => {
      const by = column.sort;
      if (!by) return column;
      const isSorted = sort === by || sort === turned(by);
      const isDown = sort.startsWith("-");
      return {
        ...column,
        sorted: isSorted ? isDown ? "descending" : "ascending" : undefined,
        title: button(
          column.title,
          () => go({ sort: sort === by ? turned(by) : by }),
        ),
      };
    }),
    {
      skipped: skip,
      total: () => order.length,
      item: (row) => rows.get(order[row] ?? ""),
      make: () => h("a"),
      fill: (link, { topic }, row) => {
        const href = `#/topics/${topic.name}`;
        if (link.getAttribute("href") !== href) link.setAttribute("href", href);
        row.className = stateOf(topic);
      },
    },
  );
  const { body } = grid;
  const scroller = h(
    "div",
    { class: "scroll", role: "region", tabindex: 0, "aria-label": "Topics" },
    grid.table,
  );
  grid.scrollsIn(scroller);
  const empty = h("section", { class: "empty", hidden: true });
  const range = h("span");
  const previous = button(
    "Previous",
    () => go({ skip: Math.max(0, skip - limit) }),
  );
  const following = button("Next", () => go({ skip: skip + limit }));
  const pager = h(
    "nav",
    { "aria-label": "Pages", class: "pager", hidden: true },
    previous,
    range,
    following,
  );
  main.replaceChildren(
    h(
      "div",
      { class: "bar" },
      h("h1", "Topics"),
      searchBox,
      select("State", STATES, get("filter"), (filter) => go({ filter })),
      select("Source", SOURCES, get("source"), (source) => go({ source })),
      select("Rows", LIMITS, String(limit), (limit) => go({ limit })),
      summary,
    ),
    scroller,
    empty,
    pager,
  );

  const draw = (): void => {
    grid.draw();
    const { pending, open, ended, matching = order.length } = counts ?? {};
    say(
      summary,
      open === undefined
        ? ""
        : `${count(open)} open · ${count(pending!)} pending · ${
          count(ended!)
        } ended`, // with it
    );
    const isEmpty = order.length === 0;
    scroller.hidden = isEmpty;
    if (isEmpty && empty.hidden) {
      empty.replaceChildren(
        ...search || get("filter") || get("source") || skip > 0
          ? nothingFound(go)
          : nothingYet(),
      );
    }
    empty.hidden = !isEmpty;
    const last = skip + order.length;
    pager.hidden = skip === 0 && last >= matching;
    say(range, `${count(skip + 1)}–${count(last)} of ${count(matching)}`);
    previous.disabled = skip === 0;
    following.disabled = last >= matching;
  };

  const learn = (topic: Description, at: number): void => {
    const row = rows.get(topic.name);
    if (!row) return void rows.set(topic.name, { topic, at });
    const { epoch, next } = row.topic;
    if (topic.epoch !== epoch || topic.next !== next) {
      const grown = topic.epoch === epoch ? topic.next - next : 0;
      const rate = grown * 1_000 / Math.max(at - row.at, 100);
      row.rate = row.rate ? (row.rate + rate) / 2 : rate;
      row.at = at;
    }
    row.topic = topic;
  };

  /** While somebody points at a row, or has the focus in one, rows keep their places. */
  const settle = (names: readonly string[]): void => {
    const isHeld = body.matches(":hover, :focus-within") &&
      names.length === order.length;
    late = isHeld ? names : undefined;
    order = isHeld ? order.filter((name) => rows.has(name)) : names;
  };
  const release = (): void => {
    if (late) settle(late);
    grid.draw();
  };
  body.addEventListener("pointerleave", release);
  body.addEventListener("focusout", () => setTimeout(release));
  eachSecond(signal, () => {
    const now = performance.now();
    for (const row of rows.values()) if (now - row.at > STILL) row.rate = 0;
    grid.draw();
  });
  addEventListener("keydown", (event) => {
    if (
      event.key !== "/" || event.target instanceof HTMLInputElement
    ) return;
    event.preventDefault();
    searchBox.focus();
  }, { signal });

  const asked = new URLSearchParams(
    `limit=${limit}&skip=${skip}&counts&${get("filter")}`,
  );
  if (search) asked.set("search", search);
  if (get("source")) asked.set("source", get("source"));
  if (sort !== "name") asked.set("sort", sort);
  return follow(`topics?${asked}`, signal, (name, data) => {
    const change: ListChange = JSON.parse(data);
    const now = performance.now();
    if (name === "rivulet.snapshot") {
      const names = change.topics.map(({ name }) => name);
      const isNew = new Set(names);
      for (const name of rows.keys()) if (!isNew.has(name)) rows.delete(name);
      change.topics.forEach((topic) => learn(topic, now));
      settle(names);
    } else {
      for (const name of change.gone ?? []) rows.delete(name);
      change.topics.forEach((topic) => learn(topic, now));
      // In the order of the names, the relay leaves it to its reader.
      if (sort === "name" && rows.size + order.length > 0) {
        const names = [...rows.keys()];
        if (names.length !== order.length || change.gone?.length) {
          settle(names.sort());
        }
      } else settle(change.names ?? order.filter((name) => rows.has(name)));
    }
    counts = change.counts ?? counts;
    draw();
  });
}

/** The other direction of an order. */
function turned(sort: string): string {
  return sort.startsWith("-") ? sort.slice(1) : `-${sort}`;
}

function nothingFound(go: (changes: Record<string, string>) => void): Node[] {
  return [
    h("h2", "No topic matches"),
    button("Show all topics", () => go({ search: "", filter: "", source: "" })),
  ];
}

function nothingYet(): Node[] {
  const topic = urlOf("topics/hello");
  return [
    h("h2", "There are no topics yet"),
    h("p", "Publish an event, and its topic is here:"),
    copyable(
      `curl -d 'Hello' -H 'Content-Type: text/plain' ${topic}`,
      "the command that publishes an event",
    ),
    h("p", "Or ask a model through the relay, with --provider:"),
    copyable(
      `curl -N ${
        urlOf("v1/responses")
      } -H 'Content-Type: application/json' -d '{"model": "gpt-5", "input": "Hello", "stream": true}'`,
      "the command that asks a model",
    ),
  ];
}
