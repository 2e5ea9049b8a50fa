/**
 * Every door at which a topic is read, with what it tells: to be compared with what the
 * same door of another relay tells.
 *
 * @module
 */
import { PrefixStream } from "../subscribers/prefix_stream.ts";
import type { TestRelay } from "../relay/relay.ts";

/** Reads a topic from a position on, up to its end. */
type Read = (
  relay: TestRelay,
  name: string,
  query?: string,
) => Promise<unknown>;

type Message = Readonly<Record<string, unknown>>;

/** Adds a parameter to a query. */
function and(query: string, parameter: string): string {
  return query === "" ? `?${parameter}` : `${query}&${parameter}`;
}

/** Returns a door that answers with JSON. */
function json(path: (name: string, query: string) => string): Read {
  return async ({ request }, name, query = "") => {
    const answer = await request(path(name, query), {
      headers: { Accept: "application/json" },
    });
    return [answer.status, ofRelay(answer), lasting(await answer.json())];
  };
}

/** Leaves out what one relay knows of its own subscribers and callers. */
function lasting(
  { subscribers: _, lag: _lag, run, ...value }: Message,
): Message {
  const { caller: _caller, ...known } = { ...run as Message | undefined };
  return { ...value, run: known };
}

/** Returns the headers of an answer that tell of the topic. */
function ofRelay({ headers }: Response): unknown {
  return [...headers].filter(([name]) => name.startsWith("rivulet"));
}

/** Returns a door that answers with an event stream. */
function stream(path: (name: string, query: string) => string): Read {
  return async ({ request }, name, query = "") => {
    const answer = await request(path(name, query), {
      headers: { Accept: "text/event-stream" },
    });
    return [answer.status, ofRelay(answer), ...await readBody(answer)];
  };
}

/** Reads a body up to its end, or to where it is cut. */
export async function readBody({ body }: Response): Promise<string[]> {
  let text = "";
  if (!body) return [text];
  try {
    for await (const chunk of body) text += new TextDecoder().decode(chunk);
    return [text];
  } catch {
    return [text, "cut"];
  }
}

/** Returns a door that is a WebSocket of the topic. */
function socket(parameter?: string): Read {
  return async ({ url }, name, query = "") => {
    const asked = parameter === undefined ? query : and(query, parameter);
    const { messages, closed } = listen(`${url}/topics/${name}${asked}`);
    const closing = await closed;
    return [...joined(messages), closing];
  };
}

function listen(url: string, said?: object): {
  readonly ws: WebSocket;
  readonly messages: Message[];
  readonly closed: Promise<readonly [number, string]>;
} {
  const ws = new WebSocket(url.replace("http", "ws"));
  const messages: Message[] = [];
  const closed = Promise.withResolvers<readonly [number, string]>();
  ws.onopen = () => said && ws.send(JSON.stringify(said));
  ws.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    // The session and the limits are the relay's own.
    if (message.type !== "welcome") messages.push(message);
    if (said && message.type === "end") ws.close();
  };
  ws.onclose = ({ code, reason }) => closed.resolve([code, reason]);
  return { ws, messages, closed: closed.promise };
}

/** Returns a door that is a WebSocket of several topics, until one has ended. */
function subscription(fields: (name: string) => Message): Read {
  return async ({ url }, name, query = "") => {
    const after = new URLSearchParams(query).get("after");
    const { messages, closed } = listen(`${url}/ws`, {
      type: "subscribe",
      ...fields(name),
      ...after !== null && { after },
    });
    await closed;
    return joined(messages.map(withoutTime));
  };
}

/** A position of a prefix begins with the time, in milliseconds. */
function withoutTime(message: Message): Message {
  const { position } = message;
  if (typeof position !== "string") return message;
  return { ...message, position: position.replace(/^\d+/, "") };
}

/** A stream of all topics whose names begin so, until one has ended. */
const prefixStream: Read = async ({ url }, name) => {
  await using stream = await PrefixStream.open(url, `${name}*`);
  const messages: Message[] = [];
  do messages.push(await stream.next()); while (
    messages.at(-1)?.["type"] !== "end"
  );
  return joined(messages);
};

/** Events may come in other messages: what counts is which they are. */
function joined(messages: readonly Message[]): unknown[] {
  return messages.flatMap((message) => {
    if (message["type"] !== "events") return [message];
    const { events, offset } = message as {
      readonly events: readonly object[];
      readonly offset: number;
    };
    return events.map((event, index) => ({ ...event, offset: offset + index }));
  });
}

/** Of a topic that has ended or not: a door, and what it tells up to the end. */
export const READING_DOORS: Readonly<Record<string, Read>> = {
  page: json((name, query) => `/topics/${name}${query}`),
  "page of one event": json((name, query) =>
    `/topics/${name}${and(query, "limit=1")}`
  ),
  info: json((name) => `/topics/${name}/info`),
  head: async ({ request }, name) => {
    const answer = await request(`/topics/${name}`, { method: "HEAD" });
    return [answer.status, ofRelay(answer)];
  },
  stream: stream((name, query) => `/topics/${name}${query}`),
  "last event id": async ({ request }, name, query = "") => {
    const id = new URLSearchParams(query).get("after");
    const answer = await request(`/topics/${name}`, {
      headers: {
        Accept: "text/event-stream",
        ...id !== null && { "Last-Event-ID": id },
      },
    });
    return [answer.status, ofRelay(answer), ...await readBody(answer)];
  },
  raw: stream((name, query) => `/topics/${name}${and(query, "raw")}`),
  active: stream((name, query) => `/topics/${name}${and(query, "active")}`),
  websocket: socket(),
  merge: socket("mode=merge"),
  latest: socket("mode=latest"),
  snapshot: socket("snapshot"),
  "snapshot and window": socket("snapshot&window=1000000"),
  subscribe: subscription((topic) => ({ topic })),
};

/**
 * Of a topic that is not there yet, or has not ended: a door, and what it tells as it
 * happens. What mode `latest` leaves out, and `merge` puts together, depends on the moment.
 */
export const LIVE_DOORS: Readonly<Record<string, Read>> = {
  ...Object.fromEntries(
    ["stream", "raw", "active", "websocket", "snapshot", "subscribe"].map((
      door,
    ) => [door, READING_DOORS[door]!]), // they are above
  ),
  merge: async (...asked) => unmerged(await READING_DOORS["merge"]!(...asked)),
  latest: async (...asked) => newest(await READING_DOORS["latest"]!(...asked)),
  "prefix, websocket": subscription((name) => ({ topic: `${name}*` })),
  "prefix, stream": prefixStream,
};

/** Puts all pieces of text together. */
function unmerged(told: unknown): unknown {
  let text = "";
  const others = (told as readonly Message[]).filter(({ data }) => {
    const piece = typeof data === "string" && data.startsWith("{")
      ? JSON.parse(data).delta
      : undefined;
    if (piece !== undefined) text += piece;
    return piece === undefined;
  });
  return [text, ...others];
}

/** Leaves out events that others have followed, and that nothing was told of. */
function newest(told: unknown): unknown {
  const messages = told as readonly Message[];
  const events = messages.filter(({ data }) => data !== undefined);
  return messages.filter((message) =>
    message["reason"] !== "skipped" &&
    (message["data"] === undefined || message === events.at(-1))
  );
}
